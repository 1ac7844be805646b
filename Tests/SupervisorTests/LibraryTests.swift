import CLinux
import Foundation
import Glibc
import Logging
import Routing
import Testing
import WorkerProtocol

@testable import Supervisor

/// Libraries whose functions are lambdas: how they are found, told apart and copied.
@Suite struct LibraryTests {
    let plugins = Fixture.newFolder()
    let data = Fixture.newFolder()
    /// As routing files write paths: without doubled slashes.
    let files = Fixture.newFolder().replacing("//", with: "/")

    private func store() -> GenerationStore {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return GenerationStore(
            plugins: plugins, data: data, workerExecutable: Fixture.worker, generationsKept: 3, boot: .seconds(10), logger: logger)
    }

    /// A table with a lambda for each library and function.
    private func table(_ functions: [(library: String, function: String)]) throws -> RouteTable {
        let names = functions.indices.map { "f\($0)" }
        let lambdas = zip(names, functions).map { "\($0): { library: \($1.library), function: \($1.function), signature: void () }" }
        let text = "domains: { d: { lambdas: [\(names.joined(separator: ", "))] } }\nlambdas: { \(lambdas.joined(separator: ", ")) }"
        return try RoutingFile.parse(text: text, path: "capelet.yaml", baseDirectory: files)
    }

    private func copies() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: data + "/generations").filter { $0 != "numbers" }.sorted()
    }

    @Test func librariesOfTheSystemAreNotCopied() throws {
        let store = store()
        let table = try table([("libz.so.1", "crc32"), ("libz.so.1", "crc33"), ("libc.so.6", "strlen"), ("libnothing.so.9", "f")])
        let scan = try store.scan(table: table)
        #expect(try copies() == [])
        #expect(scan.libraries.keys.sorted() == ["libc.so.6", "libz.so.1"])
        let zlib = try #require(scan.libraries["libz.so.1"])
        #expect(zlib.kind == .system && zlib.plugin == "libz.so.1" && zlib.library == "libz.so.1" && zlib.number == 1 && zlib.threads == 1)
        #expect(scan.missingFunctions.keys.map { $0 } == [LibraryFunction(library: "libz.so.1", function: "crc33")])
        #expect(scan.missingFunctions.values.first?.hasSuffix("undefined symbol: crc33") == true)
        let why = "libnothing.so.9: cannot open shared object file: No such file or directory"
        #expect(scan.libraryFailures == ["libnothing.so.9": why])
        // It is known by where it is and what is in it.
        let path = try #require(FileOperations.real(zlib.directory + "/libz.so.1"))
        #expect(path.hasPrefix(zlib.directory + "/"))
        let contents = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(zlib.id == sha256(Data((path + "\0").utf8) + contents).prefix(16))
        #expect(try store.scan(table: table).libraries["libz.so.1"] == zlib)
        #expect(try self.store().scan(table: table).libraries["libz.so.1"] == zlib, "its number is kept")
    }

    @Test func librariesWithAPathAreCopied() throws {
        try Fixture.install("well", as: "own", in: files)
        let table = try table([("./own.so", "capelet_plugin_v1"), ("./own.so", "nothing")])
        let store = store()
        let path = files + "/own.so"
        let scan = try store.scan(table: table)
        let first = try #require(scan.libraries[path])
        #expect(first.kind == .copy && first.plugin == "own.so" && first.library == "own.so" && first.number == 1)
        #expect(first.directory == "\(data)/generations/own.so-\(first.id)")
        #expect(try copies() == ["own.so-\(first.id)"])
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(try Data(contentsOf: URL(fileURLWithPath: first.directory + "/own.so")) == bytes)
        #expect(scan.missingFunctions == [LibraryFunction(library: path, function: "nothing"): "own.so: undefined symbol: nothing"])
        try Fixture.install("two", as: "own", in: files)
        let second = try #require(try store.scan(inUse: [first.id], table: table).libraries[path])
        #expect(second.number == 2 && second.id != first.id)
        #expect(try copies().count == 2)
    }

    @Test func whatIsWrongWithALibraryIsSaid() throws {
        try Fixture.install("abort", as: "crashes", in: files)
        try Data("not a library, although it is long enough to have the header of one".utf8).write(
            to: URL(fileURLWithPath: files + "/text.so"))
        let scan = try store().scan(
            table: try table([("./crashes.so", "f"), ("./text.so", "f"), ("./absent.so", "f"), ("./", "f")].dropLast()))
        #expect(scan.libraries.isEmpty)
        let reasons = scan.libraryFailures
        #expect(reasons[files + "/crashes.so"]?.contains("SIGABRT") == true)
        #expect(reasons[files + "/text.so"] == "text.so: invalid ELF header")
        #expect(reasons[files + "/absent.so"] == "open \(files)/absent.so: No such file or directory")
    }

    @Test func descriptionsAreParsed() throws {
        let found = try PluginDescription(parsing: "library /a/b\nfunction f\nmissing g\tit is\tgone\nmissing h\nthreads 2\nend\n")
        #expect(found.path == "/a/b" && found.functions == ["f"] && found.missing == ["g": "it is\tgone", "h": ""] && found.threads == 2)
        for wrong in ["library a\nthreads 1\nend\n", "library /a\nfunction f\n", "function f\nthreads 1\nend\n", "error why\n"] {
            #expect(throws: PluginDescription.Failure.self) { try PluginDescription(parsing: wrong) }
        }
    }

    @Test func withoutPluginsTheirFolderMayBeMissing() throws {
        rmdir(plugins)
        #expect(try store().scan(table: try table([("libc.so.6", "abs")])).libraries.count == 1)
        let mixed = try RoutingFile.parse(text: "domains: { d: { lambdas: [a] } }", path: "capelet.yaml", baseDirectory: files)
        #expect(throws: SystemCallError.self) { try store().scan(table: mixed) }
    }

    @Test func whatItIsMadeOfTellsWorkersApart() throws {
        let generation = PluginGeneration(plugin: "l", number: 1, id: "0123456789abcdef", directory: "/", library: "l", kind: .system)
        func spec(_ keys: String) throws -> WorkerSpec {
            let text = "domains: { d: { lambdas: [f] } }\nlambdas: { f: { library: l, \(keys) } }"
            let route = try #require(try RoutingFile.parse(text: text, path: "c", baseDirectory: "/").lambdas["f"])
            return try WorkerSpec(route: route, generation: generation, domains: [], stateDirectory: "/s")
        }
        let first = try spec("function: a, signature: void (u8), arguments: [1]")
        #expect(first.makesSameWorkers(as: try spec("function: a, signature: void (u8), arguments: [1], output: none")))
        #expect(!first.makesSameWorkers(as: try spec("function: a, signature: void (u8), arguments: [2]")))
        #expect(!first.makesSameWorkers(as: try spec("function: b, signature: void (u8), arguments: [1]")))
        #expect(!first.makesSameWorkers(as: try spec("function: a, signature: void (i8), arguments: [1]")))
    }

    private func sha256(_ data: Data) -> String {
        var hash = capelet_linux_sha256()
        capelet_linux_sha256_start(&hash)
        data.withUnsafeBytes { capelet_linux_sha256_add(&hash, $0.baseAddress, $0.count) }
        var digest = [UInt8](repeating: 0, count: 32)
        capelet_linux_sha256_end(&hash, &digest)
        return digest.map { String(format: "%02x", $0) }.joined()
    }
}
