import Foundation
import Testing

/// Which module may import which. Top down in Docs/ARCHITECTURE.md: a module knows only what stands below it.
@Suite struct LayerTests {
    /// Our modules from top to bottom. Those on one line do not know each other.
    static let layers: [[String]] = [
        ["capelet"],
        ["Host"],
        ["Frontend"],
        ["EventSources"],
        ["Dispatcher"],
        ["Supervisor"],
        ["Journal"],
        ["Routing"],
        ["Telemetry"],
        ["WorkerProtocol"],
        ["CWorkerProtocol", "CLinux", "CSeccomp", "ProjectTemplate"],
    ]

    /// What comes from elsewhere is known in one place, so that it can be replaced there.
    static let homes: [String: Set<String>] = [
        "ArgumentParser": ["capelet"],
        "Hummingbird": ["Frontend"], "HummingbirdCore": ["Frontend"], "HTTPTypes": ["Frontend"], "NIOHTTPTypes": ["Frontend"],
        "NIOHTTP1": ["Frontend"],
        "GRDB": ["Journal"], "GRDBSQLite": ["Journal"],
        "Yams": ["Routing"],
        "Histogram": ["Telemetry"],
        "CSeccomp": ["Supervisor"],
    ]

    /// What belongs to the processes of plugins.
    static let pluginSide: Set<String> = ["CapeletSDK", "CapeletJSON", "CCapelet", "CLibC", "CFFI"]

    @Test func modulesKnowOnlyWhatIsBelow() throws {
        let level = Dictionary(uniqueKeysWithValues: Self.layers.enumerated().flatMap { level, names in names.map { ($0, level) } })
        for module in level.keys.sorted() {
            for file in try Repository.files(in: "Sources/\(module)", "swift") where !Repository.generated.contains(file.path) {
                for (name, line) in Self.imports(file) where name != module {
                    let place = "\(file):\(line)"
                    if let below = level[name], let own = level[module] {
                        #expect(below > own, "\(place): \(module) must not know \(name), which stands above or beside it")
                    }
                    if let homes = Self.homes[name] {
                        #expect(homes.contains(module), "\(place): only \(homes.sorted().joined(separator: ", ")) may import \(name)")
                    }
                    #expect(!Self.pluginSide.contains(name), "\(place): the host does not know \(name)")
                }
            }
        }
    }

    @Test func everyModuleHasALayer() throws {
        let sources = Repository.root.appendingPathComponent("Sources").path
        let known = Set(Self.layers.joined()).union(["capelet-worker", "CLibC", "CFFI", "CSeccomp"])
        for module in try FileManager.default.contentsOfDirectory(atPath: sources) {
            #expect(known.contains(module), "Sources/\(module) has no place in the layers; see Docs/ARCHITECTURE.md")
        }
    }

    /// The processes that plugins live in have the C library and nothing else in them.
    @Test func theWorkerKnowsNothingOfTheHost() throws {
        for file in try Repository.files(in: "Sources/capelet-worker", "swift") {
            for (name, line) in Self.imports(file) {
                #expect(
                    ["CLibC", "CWorkerProtocol", "CCapelet", "CFFI"].contains(name), "\(file):\(line): the worker must not import \(name)")
            }
        }
    }

    /// A plugin gets by without anything of the host, and without Foundation unless it asks for CapeletJSON.
    @Test func theSDKStandsAlone() throws {
        let allowed = [
            "CapeletSDK": ["CCapelet", "Synchronization", "Glibc", "Musl", "Darwin"],
            "CapeletJSON": ["CapeletSDK", "FoundationEssentials", "Foundation"],
        ]
        for (module, names) in allowed {
            for file in try Repository.files(in: "PluginSDK/Sources/\(module)", "swift") {
                for (name, line) in Self.imports(file) {
                    #expect(names.contains(name), "\(file):\(line): \(module) must not import \(name)")
                }
            }
        }
    }

    /// The fuzz targets are built without the server, the storage and what these depend on (Fuzz/Makefile).
    @Test func fuzzTargetsKnowTheDecodersOnly() throws {
        let allowed = ["FuzzSupport", "WorkerProtocol", "CWorkerProtocol", "CLinux", "Routing", "Frontend", "Supervisor", "Glibc"]
        for file in try Repository.files(in: "Fuzz", "swift") {
            for (name, line) in Self.imports(file) {
                #expect(allowed.contains(name), "\(file):\(line): a fuzz target must not import \(name)")
            }
        }
    }

    @Test func importsAreFound() {
        func names(_ text: String) -> [String] { Self.imports(Repository.File(path: "", lines: text.split(separator: "\n"))).map(\.name) }
        #expect(names("import Journal\npublic import Routing\n    @testable import Host\n// import No") == ["Journal", "Routing", "Host"])
        #expect(names("import struct Foundation.Data\nimport Foo.Bar\nlet text = \"import No\"") == ["Foundation", "Foo"])
    }

    /// The modules that a file imports, with the number of the line.
    static func imports(_ file: Repository.File) -> [(name: String, line: Int)] {
        let before: Set<Substring> = ["public", "internal", "package", "private", "fileprivate"]
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        return file.lines.enumerated().compactMap { number, line in
            guard line.contains("import ") else { return nil }
            var words = line.split(separator: " ")[...]
            while let word = words.first, before.contains(word) || word.hasPrefix("@") { words = words.dropFirst() }
            guard words.popFirst() == "import" else { return nil }
            if let word = words.first, kinds.contains(word) { words = words.dropFirst() }
            return words.first.map { (String($0.prefix { $0 != "." }), number + 1) }
        }
    }
}
