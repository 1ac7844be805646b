import Foundation
import Testing

/// Plugins that were built outside of this tree against the SDK alone (Tests/Fixtures/build-plugins.sh), under a real host. CAPELET_TEST_PLUGINS
/// names the folder where they are; without it they are built into the build folder.
@Suite(.serialized, .ownThreads)
struct OutOfTreeTests {
    static let names = ["c", "cpp", "rust", "swift-plain", "swift-foundation", "swift-static"]

    /// Where the plugins are; builds what is missing or old.
    private func plugins() async throws -> String {
        if let given = ProcessInfo.processInfo.environment["CAPELET_TEST_PLUGINS"] { return given }
        let folder = Programs.buildFolder + "/fixtures"
        let built = try await run("/bin/sh", [Programs.root + "/Tests/Fixtures/build-plugins.sh", folder], within: .seconds(900))
        guard built.code == 0 else { throw TestTrouble("build-plugins.sh: \(built.errors)") }
        return folder
    }

    @Test("Plugins in every language run side by side: outputs and emits arrive")
    func everyLanguage() async throws {
        let folder = try await plugins()
        var present = Self.names.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0).so") }
        // Without cargo there is no plugin in Rust, and the script has said so.
        let missing = Set(Self.names).subtracting(present)
        #expect(missing.isEmpty || missing == ["rust"], "missing: \(missing)")
        if missing.contains("rust") { print("SKIPPED rust: there is no cargo on this machine") }

        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        for name in present {
            try FileManager.default.copyItem(atPath: "\(folder)/\(name).so", toPath: host.folder.file("plugins/\(name).so"))
        }
        try FileManager.default.copyItem(atPath: Programs.swiftFixture, toPath: host.folder.file("plugins/swift-fixture.so"))
        present.append("swift-fixture")
        var lambdas = ""
        for name in present {
            lambdas += "  echo-\(name): { plugin: \(name), lambda: echo, memory: 512MiB }\n"
            lambdas += "  copy-\(name): { plugin: \(name), lambda: emit-copy, memory: 512MiB, config: { to: copies-\(name) } }\n"
            lambdas += "  out-\(name): { plugin: lambdas, lambda: label, after: echo-\(name) }\n"
        }
        let routed = present.flatMap { ["echo-\($0)", "copy-\($0)", "out-\($0)"] }.joined(separator: ", ")
        let copies = present.map { "  copies-\($0): { lambdas: [sink] }\n" }.joined()
        try host.route(
            "domains:\n  work: { lambdas: [\(routed)] }\n\(copies)lambdas:\n\(lambdas)  sink: { plugin: lambdas, lambda: record }\n")
        try await host.start()
        let count = 20
        try await host.send((0..<count).map { #"{"subject":"s\#($0 % 3)","type":"t","payload":{"n":\#($0)}}"# }, to: "work")
        let goal = UInt64(count)
        for name in present {
            let isDone = await eventually {
                let (last, copy) = (try await host.lambda("out-\(name)"), try await host.lambda("copy-\(name)"))
                return last.succeeded == goal && copy.succeeded == goal
            }
            #expect(isDone, "\(name): \(host.log.suffix(3000))")
            let outputs = host.folder.read("data/state/out-\(name)/outputs").split(separator: "\n").map(String.init)
            #expect(Set(outputs) == Set((0..<count).map { "out-\(name)(echo-\(name)={\"n\":\($0)})" }), "\(name)")
            #expect(await eventually { try await host.events("copies-\(name)").count == count }, "\(name)")
        }
        #expect(try await host.dead().isEmpty)
        // All are forked from a template: none has started threads at its loading.
        let lambdasTable = try await host.capelet("lambdas")
        #expect(lambdasTable.code == 0 && !lambdasTable.output.contains("exec"), "\(lambdasTable.output)")
        #expect(try await host.stop() == .exit(0))
        #expect(host.children.isEmpty)
    }

    @Test("Plugins from the templates of `capelet new` run, as one event shows", arguments: ["template-c", "template-swift"])
    func templates(_ name: String) async throws {
        let folder = try await plugins()
        let host = try TestHost("domains: { work: { lambdas: [\(name)] } }\nlambdas: { \(name): { memory: 512MiB } }", plugins: [:])
        try FileManager.default.copyItem(atPath: "\(folder)/\(name).so", toPath: host.folder.file("plugins/\(name).so"))
        let tested = try await host.capelet("test", name, "--payload", #"{"name":"you"}"#)
        #expect(tested.code == 0, "\(tested)")
    }

    @Test("A Swift plugin ends as its events say", arguments: ["success", "fatal", "throw", "trap", "exit"])
    func swiftOutcomes(_ word: String) async throws {
        let host = try TestHost("domains: { work: { lambdas: [outcome] } }\nlambdas: { outcome: { memory: 512MiB } }", plugins: [:])
        try FileManager.default.copyItem(atPath: Programs.swiftFixture, toPath: host.folder.file("plugins/swift-fixture.so"))
        let tested = try await host.capelet("test", "outcome", "--payload", word)
        #expect(tested.code == (word == "success" ? 0 : 1), "\(tested)")
        switch word {
        case "trap": #expect(tested.output.contains("Swift runtime trap"), "\(tested)")
        case "exit": #expect(tested.output.contains("exit"), "\(tested)")
        case "fatal": #expect(tested.output.contains("fatal"), "\(tested)")
        default: break
        }
    }
}
