import ArgumentParser
import Foundation
import Routing

/// How a command finds the host.
struct HostOptions: ParsableArguments {
    @Option(
        name: [.short, .long], help: ArgumentHelp("The routing file (default: $CAPELET_CONFIG, or ./capelet.yaml).", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("The data directory, instead of the one that the routing file names.", valueName: "dir"))
    var data: String?

    /// The routing file that is meant: the one that was given, else $CAPELET_CONFIG, else ./capelet.yaml.
    static func configPath(_ given: String?) -> String {
        if let given { return given }
        if let named = ProcessInfo.processInfo.environment["CAPELET_CONFIG"], !named.isEmpty { return named }
        return "capelet.yaml"
    }

    /// Where the host's socket is.
    func socketPath() throws(CommandFailure) -> String { try dataPath() + "/capelet.sock" }

    /// The data directory. A routing file with errors will do, as long as the directory can be seen in it: the host goes on with its old
    /// state, and `capelet status` says what is wrong.
    func dataPath() throws(CommandFailure) -> String {
        if let data { return Self.absolute(data) }
        let path = Self.configPath(config)
        do throws(RoutingError) {
            return try RoutingFile.load(path: path).data
        } catch {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw CommandFailure(
                    .configuration,
                    "cannot read the routing file \(path); name it with --config FILE, or the data directory with --data DIR")
            }
            let folder = Self.absolute(path).split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            return Self.absolute(Self.dataSetting(in: text) ?? "data", base: folder.isEmpty ? "/" : folder)
        }
    }

    /// The value of `data:` at the top level of a file that cannot be read as a whole.
    static func dataSetting(in text: String) -> String? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("data:") {
            var value = line.dropFirst(5).trimmingCharacters(in: .whitespaces)
            if let quote = value.first, quote == "\"" || quote == "'" {
                value = String(value.dropFirst().prefix { $0 != quote })
            } else if let comment = value.range(of: " #") {
                value = String(value[..<comment.lowerBound]).trimmingCharacters(in: .whitespaces)
            }
            return value.isEmpty ? nil : value
        }
        return nil
    }

    static func absolute(_ path: String, base: String = FileManager.default.currentDirectoryPath) -> String {
        if path == "." { return base }
        var whole = path.hasPrefix("/") ? path : base + "/" + path
        while whole.count > 1, whole.hasSuffix("/") { whole.removeLast() }
        return whole
    }

    /// A client for the host.
    func client() throws(CommandFailure) -> HostClient { HostClient(socketPath: try socketPath()) }
}

/// How a command prints.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON for scripts.")
    var json = false
}
