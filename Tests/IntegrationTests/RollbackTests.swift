import Foundation
import Glibc
import Testing

/// `capelet rollback`: a lambda runs an earlier generation of its plugin than the plugins folder has.
@Suite(.serialized, .ownThreads)
struct RollbackTests {
    private static let routing = """
        domains: { work: { lambdas: [record, obey] } }
        lambdas:
          record: { workers: 2, config: { micros: 400 } }
        """

    /// Puts a version into the plugins folder and has it served.
    private static func deploy(_ plugin: LambdaPlugin, on host: TestHost) async throws {
        try plugin.install(in: host.folder.file("plugins"))
        let answer = try await host.capelet("reload")
        guard answer.code == 0 else { throw TestTrouble("reload: \(answer.errors)") }
    }

    /// The version that runs a lambda's next event.
    private static func version(of lambda: String, on host: TestHost) async throws -> String? {
        let count = host.record(lambda).lines.count
        try await host.send([#"{"subject":"probe","payload":"success"}"#], to: "work")
        try await host.settled { host.record(lambda).lines.count > count }
        return host.record(lambda).lines.last?.version
    }

    @Test("Under load: nothing lost, order kept, and a kill -9 of the host forgets nothing")
    func underLoad() async throws {
        let host = try TestHost(Self.routing)
        try await host.start()
        let load = LoadSource(host: host, domain: "work", subjects: 24)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            func more() async {
                let before = load.sent.count
                _ = await eventually { load.sent.count > before + 100 }
            }
            await more()
            try await Self.deploy(.two, on: host)
            for _ in 0..<3 {
                await more()
                let back = try await host.capelet("rollback", "record")
                #expect(back.code == 0, "\(back.errors)")
                #expect(back.output.contains("record is rolled back from #2 to lambdas #1"), "\(back.output)")
                await more()
                let undone = try await host.capelet("rollback", "record", "--undo")
                #expect(undone.code == 0, "\(undone.errors)")
            }
            #expect(try await host.capelet("rollback", "record").code == 0)
            await more()
            load.stop()
            try await group.waitForAll()
        }
        try await host.settled()
        let expected = Set(load.sent.map(\.event))
        let record = host.record("record")
        #expect(record.finished == expected, "\(expected.subtracting(record.finished).count) of \(expected.count) are missing")
        #expect(record.inversions == [])
        #expect(record.overlaps == [])
        #expect(record.runs.values.allSatisfy { $0 == 1 }, "a rollback interrupts nothing that can finish in time")
        #expect(Set(record.lines.map(\.version)) == ["1", "2"])
        #expect(record.versionChanges <= 8, "no subject goes back and forth by itself")
        #expect(try await host.dead().isEmpty)
        // The neighbour runs what the plugins folder has.
        #expect(host.record("obey").lines.last?.version == "2")
        #expect(await eventually { host.children.count <= 3 * 2 + 3 }, "what was replaced is gone: \(host.children)")

        try await host.kill()
        try await host.start()
        #expect(host.log.contains("record is rolled back from #2 to #1"), "\(host.log)")
        #expect(try await Self.version(of: "record", on: host) == "1")
        #expect(try await Self.version(of: "obey", on: host) == "2")
        let lambda = try await host.lambda("record")
        #expect(lambda.rolledBackFrom == 2 && lambda.generation == 1)
        #expect(try await host.lambda("obey").rolledBackFrom == nil)
        for command in ["status", "lambdas"] {
            let shown = try await host.capelet(command)
            #expect(shown.output.contains("record: rolled back from #2 to #1"), "\(shown.output)")
        }
        try await host.stop()
    }

    @Test("Once more goes one further back; reloads that do not concern it keep it; new contents or --undo end it")
    func life() async throws {
        let host = try TestHost(Self.routing)
        try await host.start()
        let early = try await host.capelet("rollback", "record")
        #expect(early.code == 1 && early.errors.contains("no generation of lambdas that served before #1 is kept"), "\(early.errors)")
        try await Self.deploy(.two, on: host)
        try await Self.deploy(.three, on: host)
        #expect(try await host.capelet("rollback", "record").output.contains("from #3 to lambdas #2"))
        #expect(try await Self.version(of: "record", on: host) == "2")
        let further = try await host.capelet("rollback", "record", "--json")
        #expect(further.output.contains("\"from\":3") && further.output.contains("\"to\":1"), "\(further.output)")
        #expect(try await Self.version(of: "record", on: host) == "1")
        #expect(try await host.capelet("rollback", "record").code == 1, "nothing is further back")

        // Reloads of something else, and restarts.
        try host.route(Self.routing + "\n  obey: { workers: 2 }")
        #expect(try await host.capelet("reload").code == 0)
        #expect(try await Self.version(of: "record", on: host) == "1")
        try await host.stop()
        try await host.start()
        #expect(try await Self.version(of: "record", on: host) == "1")
        // Without the plugin's file too: the lambda does not need it. Its neighbour does.
        let file = host.folder.file("plugins/lambdas.so")
        try FileManager.default.removeItem(atPath: file)
        #expect(try await host.capelet("reload").code == 1)
        try host.route("domains: { work: { lambdas: [record] } }")
        #expect(try await host.capelet("reload").code == 0)
        #expect(try await Self.version(of: "record", on: host) == "1")
        let undo = try await host.capelet("rollback", "record", "--undo")
        #expect(undo.code == 1 && undo.errors.contains("is not in the plugins folder"), "\(undo.errors)")
        try host.route(Self.routing)
        try await Self.deploy(.three, on: host)
        #expect(try await host.lambda("record").rolledBackFrom == 3, "these are the contents that it was rolled back from")

        #expect(try await host.capelet("rollback", "record", "--undo").output.contains("runs lambdas #3 again"))
        #expect(try await Self.version(of: "record", on: host) == "three")
        #expect(try await host.lambda("record").rolledBackFrom == nil)
        #expect(try await host.capelet("rollback", "record", "--undo").code == 1)

        #expect(try await host.capelet("rollback", "record").code == 0)
        try LambdaPlugin.slow.install(in: host.folder.file("plugins"))
        let reload = try await host.capelet("reload")
        #expect(reload.code == 0 && reload.output.contains("its rollback to #2 has ended"), "\(reload.output)\(reload.errors)")
        #expect(try await Self.version(of: "record", on: host) == "slow")
        try await host.stop()
        try await host.start()
        #expect(try await Self.version(of: "record", on: host) == "slow", "it has ended for good")
        #expect(host.record("record").inversions == [])
        try await host.stop()
    }

    @Test("What cannot serve is refused with the reason, and what serves goes on")
    func refusals() async throws {
        let host = try TestHost(Self.routing, plugins: ["lambdas": .one])
        try await host.start()
        let unknown = try await host.capelet("rollback", "recorder")
        #expect(unknown.code == 1 && unknown.errors.contains("recorder"), "\(unknown.errors)")

        // The earlier one lacks the lambda.
        try host.route("domains: { work: { lambdas: [record] } }")
        try await Self.deploy(.withoutObey, on: host)
        try host.route(Self.routing)
        try await Self.deploy(.two, on: host)
        let lacks = try await host.capelet("rollback", "obey")
        #expect(lacks.code == 1 && lacks.errors.contains("has no lambda 'obey'"), "\(lacks.errors)")
        #expect(try await host.capelet("rollback", "record").code == 0)
        #expect(try await host.capelet("rollback", "record", "--undo").code == 0)

        // The earlier one cannot be loaded any more, and no process has it.
        let copies = host.folder.file("data/generations")
        let history = try String(contentsOfFile: copies + "/history", encoding: .utf8).split(separator: "\n")
        let before = try #require(history.dropLast().last)
        let library = "\(copies)/\(before)/lambdas.so"
        let isUnused = await eventually {
            host.children.allSatisfy { child in
                let maps = FileManager.default.contents(atPath: "/proc/\(child.pid)/maps") ?? Data()
                return !String(decoding: maps, as: UTF8.self).contains(before)
            }
        }
        #expect(isUnused, "\(host.children)")
        for path in [String(library.dropLast("/lambdas.so".utf8.count)), library] { #expect(chmod(path, 0o700) == 0) }
        try Data("no library".utf8).write(to: URL(fileURLWithPath: library))
        let spoiled = try await host.capelet("rollback", "record")
        #expect(spoiled.code == 1 && spoiled.errors.contains("cannot serve, what served before serves on"), "\(spoiled.errors)")
        #expect(try await Self.version(of: "record", on: host) == "2")
        #expect(try await host.lambda("record").rolledBackFrom == nil)
        // And what was refused is not there after a restart.
        try await host.kill()
        try await host.start()
        #expect(try await Self.version(of: "record", on: host) == "2")
        try await host.stop()
    }

    @Test("A rollback mends a lambda whose present generation dies at every start")
    func mends() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        try await host.stop()
        // While the host is down the plugin is replaced by one whose workers never start.
        try LambdaPlugin.failing.install(in: host.folder.file("plugins"))
        try await host.start()
        try await host.send([#"{"subject":"s","payload":"success"}"#], to: "work")
        #expect(await eventually { try await host.lambda("record").state == "broken" })
        let begin = ContinuousClock.now
        let back = try await host.capelet("rollback", "record")
        #expect(back.code == 0, "\(back.errors)")
        try await host.settled { host.record("record").finished.count == 1 }
        #expect(ContinuousClock.now - begin < .seconds(15), "it does not wait for the next probe")
        #expect(host.record("record").lines.last?.version == "1")
        #expect(try await host.lambda("record").state == "running")
        // And back into the trouble: refused.
        let undo = try await host.capelet("rollback", "record", "--undo")
        #expect(undo.code == 1 && undo.errors.contains("start gives up"), "\(undo.errors)")
        #expect(try await host.lambda("record").rolledBackFrom == 2)
        #expect(try await Self.version(of: "record", on: host) == "1")
        try await host.stop()
    }
}
