import ArgumentParser
import Foundation
import Host
import Routing

/// `capelet check`: reads the routing file as the host would, without starting anything.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check the routing file without starting anything.",
        discussion: """
            Exit code 78 when it cannot be used, with file, line and column of everything that is wrong. Lambdas that are functions of C \
            libraries are looked for too: each library is loaded in a process that is thrown away. Plugins that are missing are warnings.
            """)

    @Option(
        name: [.short, .long], help: ArgumentHelp("The routing file (default: $CAPELET_CONFIG, or ./capelet.yaml).", valueName: "file"))
    var config: String?

    @Flag(help: "Print a routing file with every setting and its default.")
    var defaults = false

    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        struct Problem: Encodable {
            var file: String
            var line: Int
            var column: Int
            var message: String
            var hint: String?
        }
        var ok: Bool
        var file: String
        var domains: [String] = []
        var lambdas: [String] = []
        var problems: [Problem] = []
        var warnings: [String] = []
    }

    func run() throws {
        if defaults { return Output.write(RouteTable.defaultsText()) }
        let path = HostOptions.configPath(config)
        var report = Report(ok: true, file: path)
        do throws(RoutingError) {
            let table = try RoutingFile.load(path: path)
            report.domains = table.domains.keys.sorted()
            report.lambdas = table.lambdas.keys.sorted()
            report.warnings = table.warnings + Self.missingPlugins(table)
            let functions = FunctionCheck.run(table: table, file: path)
            report.warnings += functions.warnings
            let shown = functions.problems.prefix(50)
            if !shown.isEmpty { throw RoutingError(problems: Array(shown), omitted: functions.problems.count - shown.count) }
        } catch {
            report.ok = false
            report.problems = error.problems.map {
                .init(file: $0.file, line: $0.line, column: $0.column, message: $0.message, hint: $0.hint)
            }
            if !output.json {
                Output.error(error.description + "\n")
                throw ExitCode(CommandFailure.Code.configuration.rawValue)
            }
        }
        if output.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            Output.print(String(decoding: try encoder.encode(report), as: UTF8.self))
            if !report.ok { throw ExitCode(CommandFailure.Code.configuration.rawValue) }
            return
        }
        for warning in report.warnings { Output.error("warning: \(warning)\n") }
        func counted(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }
        Output.print("\(path): \(counted(report.domains.count, "domain")), \(counted(report.lambdas.count, "lambda")): the file is right")
    }

    /// Plugins that the file names and that are not there. Not an error: they may be copied in before the host starts.
    static func missingPlugins(_ table: RouteTable) -> [String] {
        if !table.needsPlugins { return [] }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: table.plugins, isDirectory: &isFolder), isFolder.boolValue else {
            return ["the plugins folder \(table.plugins) is not there: nothing can be served until it is"]
        }
        var missing: [String: [String]] = [:]
        for lambda in table.lambdas.values {
            guard let plugin = lambda.plugin else { continue }
            let places = ["\(table.plugins)/\(plugin).so", "\(table.plugins)/\(plugin)/\(plugin).so"]
            if !places.contains(where: { FileManager.default.fileExists(atPath: $0) }) { missing[plugin, default: []].append(lambda.name) }
        }
        return missing.sorted { $0.key < $1.key }.map { plugin, lambdas in
            let names = lambdas.sorted().joined(separator: ", ")
            return "the plugin \(plugin) of \(names) is not in \(table.plugins) (\(plugin).so or \(plugin)/\(plugin).so)"
        }
    }
}
