import CLinux
import Foundation
import Glibc
import Testing

/// Rows 16, 17, 37 to 39, 49, 50, 52 and 58: processes that multiply, are left behind, are killed or cannot be made.
@Suite(.serialized, .ownThreads)
struct HostileProcessTests {
    // MARK: more processes than one

    @Test("A fork bomb is refused or killed with all that it made", arguments: Tier.allCases)
    func forkBomb(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["timeout": "1s"]) else { return }
        try await arena.fight(
            Fault(row: 16, "fork bomb", "bomb", "timeout", "seccomp", "signal", slowestMillis: 3000))
        if let answer = arena.answers("bomb"), tier != .off {
            #expect(answer.hasPrefix("E"), "no new processes without `processes:`: \(answer)")
        }
        try await arena.end()
    }

    @Test("A grandchild in a session of its own that holds the socket: the death is noticed, the orphan killed", arguments: Tier.allCases)
    func grandchild(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["timeout": "5s"]) else { return }
        try await arena.fight(Fault(row: 17, "grandchild holds the socket", "grandchild", "signal", "seccomp"))
        let answer = arena.answers("grandchild") ?? "no answer"
        #expect(tier == .off ? answer == "ok" : answer != "ok", "\(answer)")
        try await arena.end()
    }

    // MARK: killed from outside

    @Test("kill -9 of a worker, idle and at work: external, and it is replaced", arguments: Tier.allCases)
    func killedWorker(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["timeout": "10s"]) else { return }
        try await arena.warmUp()
        let before = await arena.snapshot()
        let idle = try await arena.worker()
        kill(idle, SIGKILL)
        #expect(await eventually { try await arena.host.deaths(Arena.villain).count == 1 })
        try await arena.warmUp()
        // At work: the event runs again at once, and nobody counts it as the event's fault.
        try await arena.send([("s", "hold 400"), ("s", "success")])
        #expect(await eventually { try await arena.status().inFlight > 0 && arena.host.record(Arena.villain).lines.last?.isBegin == true })
        kill(try await arena.worker(), SIGKILL)
        try await arena.settled()
        let deaths = try await arena.host.deaths(Arena.villain)
        #expect(deaths.map(\.verdict) == ["external", "external"], "\(deaths)")
        #expect(try await arena.host.dead(Arena.villain).isEmpty)
        let after = await arena.snapshot(like: before)
        #expect(after == before)
        FaultTable.shared.note(
            row: 49, "kill -9 from outside", .c, verdict: deaths.first?.verdict ?? "?", tier: tier,
            failed: Set(deaths.map(\.verdict)) != ["external"] || after != before)
        try await arena.end()
    }

    @Test("A template is killed: its workers go on, and another is made")
    func killedTemplate() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard, settings: ["timeout": "10s"]) else { return }
        try await arena.warmUp()
        let before = await arena.snapshot()
        let worker = try await arena.worker()
        let keeper = ProcessTable.parent(of: worker) ?? 0
        let template = try #require(arena.host.children.first { $0.parent == keeper && $0.pid != worker })
        try await arena.send([("s", "hold 300")])
        kill(template.pid, SIGKILL)
        try await arena.settled()
        #expect(try await arena.status().succeeded == 2)
        let deaths = try await arena.host.deaths(Arena.villain)
        #expect(deaths.allSatisfy { $0.pid != worker }, "its worker has gone on: \(deaths)")
        if let present = try? await arena.worker() { kill(present, SIGKILL) }
        try await arena.warmUp()
        let after = await arena.snapshot(like: before)
        #expect(after == before)
        #expect(arena.host.log.contains("the template of"))
        FaultTable.shared.note(row: 37, "template killed", .c, verdict: "rebuilt", tier: .standard, failed: after != before)
        try await arena.end()
    }

    @Test("The host is killed: nothing of it is left after a second, whatever its workers do", arguments: Tier.allCases)
    func killedHost(_ tier: Tier) async throws {
        let words = [
            (38, "host killed, worker spins", "spin"), (38, "host killed, worker stopped", "stop"),
            (58, "clears its death signal", "run-away"),
            (38, "host killed, many processes", "bomb"),
        ]
        for (row, fault, word) in words {
            guard let arena = try await Arena.make(.c, tier: tier, settings: ["timeout": "10m"]) else { return }
            try await arena.warmUp()
            try await arena.send([("s", word)])
            #expect(await eventually { arena.host.record(Arena.villain).lines.last { $0.subject == "s" }?.isBegin == true })
            if ["run-away", "bomb"].contains(word) { #expect(await eventually { arena.answers(word) != nil }) }
            arena.load.stop()
            #expect(ArenaSnapshot(of: arena.host).processes >= 3)
            let took = try await arena.host.kill()
            #expect(took < .seconds(1), "\(fault): gone after \(took)")
            FaultTable.shared.note(row: row, fault, .c, verdict: "all gone within 1 s", tier: tier, failed: took >= .seconds(1))
            guard word == "spin" else { continue }
            // Its control groups nobody could remove: the next host does.
            let dead = arena.host.pid
            try await arena.host.start()
            #expect(ArenaSnapshot.groups(of: dead) == 0)
            try await arena.host.kill()
        }
    }

    // MARK: processes that cannot be made

    @Test("No descriptor is left while a worker is to be made: the host waits, and goes on by itself")
    func noDescriptors() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard) else { return }
        try await arena.warmUp()
        let before = await arena.snapshot()
        await arena.load.halt()
        let worker = try await arena.worker()
        // Numbers below this are all in use: nothing can be opened.
        try await Self.limitFiles(of: arena.host.pid, to: 8)
        kill(worker, SIGKILL)
        #expect(await eventually { arena.host.log.lowercased().contains("too many open files") })
        #expect(arena.host.end() == nil)
        try await Self.limitFiles(of: arena.host.pid, to: 1024)
        arena.load.resume()
        try await arena.warmUp()
        let after = await arena.snapshot(like: before)
        #expect(after == before)
        FaultTable.shared.note(
            row: 50, "no descriptors while spawning", .c, verdict: "backs off, recovers", tier: .standard, failed: after != before)
        try await arena.end()
    }

    /// Sets the soft limit of a living process.
    private static func limitFiles(of pid: pid_t, to count: Int) async throws {
        let answer = try await run("prlimit", ["--pid", "\(pid)", "--nofile=\(count):"])
        guard answer.code == 0 else { throw TestTrouble("prlimit: \(answer.errors)") }
    }
}

extension Arena {
    /// The process id of the hostile lambda's only worker.
    func worker() async throws -> pid_t {
        var pid: pid_t = 0
        _ = await eventually {
            pid = try await self.status().workers.first { $0.state == "ready" }?.pid ?? 0
            return pid > 0
        }
        guard pid > 0 else { throw TestTrouble("no worker is ready: \(try await status())") }
        return pid
    }
}
