import CCapelet
import CapeletSDK
import Foundation
import ProjectTemplate
import Synchronization
import Testing

@Suite("ProjectTemplate")
struct ProjectTemplateTests {
    /// The repository. Tests may be reached through a link.
    private static let repository = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func run(_ command: String, in folder: URL) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        process.currentDirectoryURL = folder
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test("EmbeddedSDK.swift is what PluginSDK/embed.sh makes of the SDK and the templates")
    func isFresh() throws {
        let (status, output) = try run("PluginSDK/embed.sh --check", in: Self.repository)
        #expect(status == 0, "\(output)")
    }

    @Test("a Swift project has its lambda, its manifest and the SDK, word for word")
    func swiftProject() throws {
        let files = try ProjectTemplate.render(name: "my-hook_2", language: .swift)
        let byPath = Dictionary(uniqueKeysWithValues: files.map { ($0.path, $0.contents) })
        for path in [".gitignore", "Package.swift", "README.md", "event.json", "Sources/MyHook2Plugin/MyHook2Lambda.swift"] {
            #expect(byPath[path] != nil, "\(path)")
        }
        let manifest = try #require(byPath["Package.swift"])
        #expect(manifest.contains(#".library(name: "my-hook_2", type: .dynamic, targets: ["MyHook2Plugin"])"#))
        #expect(byPath["Sources/MyHook2Plugin/MyHook2Lambda.swift"]?.contains(#".lambda("my-hook_2", MyHook2Lambda.self"#) == true)
        let sdk = Self.repository.appending(path: "PluginSDK")
        for path in [
            "Package.swift", "Sources/CapeletSDK/Event.swift", "Sources/CCapelet/include/capelet.h",
            "Sources/CCapelet/include/module.modulemap",
        ] {
            let original = try String(contentsOf: sdk.appending(path: path), encoding: .utf8)
            #expect(byPath["capelet-sdk/\(path)"] == original, "\(path)")
        }
        #expect(files.map(\.path) == files.map(\.path).sorted())
    }

    @Test("no placeholder is left", arguments: ProjectTemplate.Language.allCases)
    func filled(language: ProjectTemplate.Language) throws {
        for file in try ProjectTemplate.render(name: "hello", language: language) {
            #expect([file.path, file.contents].allSatisfy { !$0.contains("__name__") && !$0.contains("__Name__") }, "\(file.path)")
        }
    }

    @Test("a C project builds with its one command, and its plugin runs")
    func cProject() throws {
        let folder = URL(filePath: NSTemporaryDirectory()).appending(path: "template-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for file in try ProjectTemplate.render(name: "EOF", language: .c) {
            try file.contents.write(to: folder.appending(path: file.path), atomically: true, encoding: .utf8)
        }
        let (command, plugin) = ProjectTemplate.Language.c.build(name: "EOF")
        let (status, output) = try run("\(command) CFLAGS='-O1 -Werror'", in: folder)
        #expect(status == 0, "\(output)")

        let library = try #require(dlopen(folder.appending(path: plugin).path, RTLD_NOW))
        let symbol = try #require(dlsym(library, "capelet_plugin_v1"))
        let table = unsafeBitCast(symbol, to: (@convention(c) () -> UnsafePointer<capelet_plugin>).self)()
        let host = FakeHost(table, "EOF", config: ["greeting": "Good morning"])
        #expect(host.start() == nil)
        let event = FakeEvent(token: 4, subject: "World", type: "greeting", payload: Array("{}".utf8))
        #expect(host.handle(event) == .init(status: Status.success, message: "", retryAfterMillis: 0))
        #expect(host.output(of: 4) == "Good morning, World!")
        #expect(host.record.withLock { $0.lines.map(\.text) } == ["event 1: greeting of World, attempt 1"])
        #expect(host.handle(FakeEvent(payload: [])).message == "the payload is empty")
        host.stop()
    }

    @Test(
        "a name that cannot be a plugin's is refused",
        arguments: [
            ("", "it is empty"), ("2fast", "it has to begin with a letter"), ("-x", "it has to begin with a letter"),
            ("_x", "it has to begin with a letter"), ("a b", "use letters, digits, - and _ only"),
            ("a/b", "use letters, digits, - and _ only"),
            ("é", "it has to begin with a letter"), ("aé", "use letters, digits, - and _ only"),
            (String(repeating: "a", count: 65), "it is longer than 64 characters"), ("CapeletSDK", "the SDK has this name; choose another"),
        ])
    func names(name: String, problem: String) {
        #expect(throws: ProjectTemplate.InvalidName.self) { try ProjectTemplate.render(name: name, language: .swift) }
        do {
            _ = try ProjectTemplate.render(name: name, language: .c)
        } catch {
            #expect(error.problem == problem)
        }
    }
}
