import Foundation
import Glibc
import Testing

/// Reloads and plugin files under faults: rows 40 and 43 to 45 of the fault matrix. Rows 41 and 42 are in `ReloadTests`.
@Suite(.serialized, .ownThreads)
struct ReloadFaultTests {
    private static let routing = """
        domains: { work: { lambdas: [record, obey] } }
        lambdas:
          record: { workers: 2, config: { micros: 400 } }
        """

    /// Changes the bytes of a file that is there: no new inode.
    private static func overwrite(_ path: String, with bytes: [UInt8], truncate: Bool) throws {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw TestTrouble("open \(path): \(errno)") }
        defer { close(file) }
        var at = 0
        let size = Int(lseek(file, 0, SEEK_END))
        while at < size, !bytes.isEmpty {
            let count = pwrite(file, bytes, min(bytes.count, size - at), off_t(at))
            guard count > 0 else { throw TestTrouble("write \(path): \(errno)") }
            at += count
        }
        if truncate, ftruncate(file, 0) != 0 { throw TestTrouble("truncate \(path): \(errno)") }
    }

    @Test("Row 40: a plugin's file that is overwritten in place, and then truncated, harms nothing that runs or is started anew")
    func overwrittenInPlace() async throws {
        let host = try TestHost(Self.routing)
        try await host.start()
        let file = host.folder.file("plugins/lambdas.so")
        let load = LoadSource(host: host, domain: "work", subjects: 24)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            func more() async {
                let before = load.sent.count
                _ = await eventually { load.sent.count > before + 100 }
            }
            await more()
            for truncate in [false, true] {
                try Self.overwrite(file, with: [UInt8](repeating: 0xCC, count: 4096), truncate: truncate)
                await more()
                // New workers come from the template, and a new template from the copy.
                let keepers = host.children.filter { $0.parent == host.pid }.map(\.pid)
                let workers = Set(try await host.status().lambdas.flatMap(\.workers).map(\.pid))
                for worker in workers { Glibc.kill(worker, SIGKILL) }
                for template in host.children where keepers.contains(template.parent) && !workers.contains(template.pid) {
                    Glibc.kill(template.pid, SIGKILL)
                }
                _ = await eventually {
                    let now = try await host.status().lambdas
                    return now.allSatisfy { lambda in lambda.workers.contains { $0.state == "ready" && !workers.contains($0.pid) } }
                }
                await more()
            }
            load.stop()
            try await group.waitForAll()
        }
        try await host.settled()
        let expected = Set(load.sent.map(\.event))
        let record = host.record("record")
        #expect(record.finished == expected, "\(expected.subtracting(record.finished).count) of \(expected.count) are missing")
        #expect(record.inversions == [])
        #expect(record.overlaps == [])
        #expect(Set(record.lines.map(\.version)) == ["1"])
        #expect(try await host.dead().isEmpty)
        // Only what this test has killed has died.
        for lambda in ["record", "obey"] {
            let verdicts = Set(try await host.deaths(lambda).map(\.verdict))
            #expect(verdicts == ["external"], "\(lambda): \(verdicts)")
        }
        // To reload what is left of the file is refused.
        let answer = try await host.capelet("reload")
        #expect(answer.code == 1 && answer.errors.contains("lambdas.so"), "\(answer.errors)")
        try await host.send([#"{"subject":"s","payload":"success"}"#], to: "work")
        try await host.settled()
        try await host.stop()
    }

    @Test("Row 43: ten signals within 100 ms are two reloads, and the newest state wins")
    func signalsCoalesce() async throws {
        let host = try TestHost(Self.routing)
        try await host.start()
        let plugins = host.folder.file("plugins")
        // The first reload takes half a second, so that all the others come while it runs.
        try LambdaPlugin.slow.install(in: plugins)
        let begin = ContinuousClock.now
        for round in 0..<10 {
            host.send(SIGHUP)
            if round == 4 { try LambdaPlugin.three.install(in: plugins) }
            await pause(.milliseconds(5))
            if round == 8 { try LambdaPlugin.two.install(in: plugins) }
        }
        #expect(ContinuousClock.now - begin < .seconds(2))
        #expect(await eventually { try await host.status().generation >= 3 })
        // When a reload that is asked for now is done, nothing waits any more.
        #expect(try await host.capelet("reload").code == 0)
        let status = try await host.status()
        // The first, the one that the others share, and the one just now; a signal may come just when the first has ended.
        #expect(status.generation <= 5, "\(status.generation)")
        #expect(status.lastReload?.message == "nothing changed", "the newest was taken up before: \(status.lastReload?.message ?? "")")
        try await host.send([#"{"subject":"s","payload":"success"}"#], to: "work")
        try await host.settled()
        #expect(host.record("record").lines.last?.version == "2")
        #expect(!host.record("record").lines.contains { $0.version == "three" })
        try await host.stop()
    }

    @Test("Row 44: a reload ends the break of a lambda in a crash loop at once")
    func breakerIsReset() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [sup-work, obey] } }
            lambdas: { sup-work: { config: { start: { mode: abort, unless: mended } } } }
            """, plugins: ["lambdas": .one, "sup": .startable])
        try await host.start()
        try await host.send([#"{"subject":"s","payload":"version"}"#], to: "work")
        #expect(await eventually { try await host.lambda("sup-work").state == "broken" })
        #expect(await eventually { try await host.lambda("obey").succeeded == 1 }, "its neighbour goes on")
        let deaths = try await host.deaths("sup-work").count
        #expect(deaths >= 3)
        try host.folder.write("data/state/sup-work/mended", "")
        let begin = ContinuousClock.now
        #expect(try await host.capelet("reload").code == 0)
        #expect(await eventually { try await host.lambda("sup-work").succeeded == 1 })
        #expect(ContinuousClock.now - begin < .seconds(15), "without the reload the next try would come after 30 s, or never")
        #expect(try await host.lambda("sup-work").state == "running")
        try await host.settled()
        try await host.stop()
    }

    @Test("Row 45: an old worker that never drains is killed at the deadline with verdict reload, and its event is none the worse")
    func neverDrains() async throws {
        let host = try TestHost(
            """
            limits: { drain: 2s }
            domains: { work: { lambdas: [obey] } }
            lambdas: { obey: { timeout: 1h, retry: { crashes: 1 } } }
            """)
        try await host.start()
        let sent = try await host.send([#"{"subject":"stuck","payload":"sleep"}"#], to: "work")
        #expect(await eventually { host.record("obey").lines.contains { $0.subject == "stuck" } })
        let old = try #require(host.record("obey").lines.first?.pid)
        let begin = ContinuousClock.now
        try LambdaPlugin.two.install(in: host.folder.file("plugins"))
        #expect(try await host.capelet("reload").code == 0, "it does not wait for the old one")
        // Others do not wait either.
        try await host.send([#"{"subject":"other","payload":"success"}"#], to: "work")
        #expect(await eventually { host.record("obey").finished.contains { $0.subject == "other" } })
        #expect(host.record("obey").lines.last { $0.subject == "other" }?.version == "2")
        #expect(await eventually { try await !host.deaths("obey").isEmpty })
        #expect(ContinuousClock.now - begin >= .seconds(2), "not before the deadline")
        let deaths = try await host.deaths("obey")
        #expect(deaths.map(\.verdict) == ["reload"], "\(deaths)")
        #expect(deaths.first?.pid == pid_t(old))
        #expect(deaths.first?.message.contains("did not finish in time") == true, "\(deaths)")
        // The event runs again, in order, and what happened counts neither as an attempt nor as a crash.
        #expect(await eventually { host.record("obey").lines.filter { $0.subject == "stuck" }.count == 2 })
        let runs = host.record("obey").lines.filter { $0.subject == "stuck" }
        #expect(runs.map(\.version) == ["1", "2"] && runs.map(\.attempt) == [1, 1], "\(runs)")
        #expect(runs.allSatisfy { $0.sequence == sent[0].offset })
        #expect(try await host.dead().isEmpty)
        #expect(host.record("obey").overlaps == [])
        try await host.kill()
    }
}
