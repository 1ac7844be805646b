import Foundation
import Testing

/// Rows 47 and 48: an event that kills every worker that runs it, among others that do not.
@Suite(.serialized, .ownThreads)
struct HostilePoisonTests {
    @Test("Poison in a batch of 64: 63 are delivered, 1 is a dead letter", arguments: [1, 2])
    func batch(crashes: Int) async throws {
        let arena = try await Arena(
            HostilePlugins.path("faults"), lambda: "batch",
            settings: ["timeout": "5s", "retry": "{ attempts: 5, backoff: 5ms..10ms, crashes: \(crashes) }"])
        try await arena.warmUp()
        let before = await arena.snapshot()
        // How much is queued ahead goes by what the handler takes: it has to be known to be quick.
        for _ in 0..<10 { try await arena.send((0..<200).map { ("quick\($0 % 50)", "success") }) }
        try await arena.settled()
        let known = try await arena.status().succeeded
        // While this one runs, the others gather behind it.
        try await arena.send([("gate", "hold 300")])
        try await arena.send((0..<64).map { ("s\($0)", $0 == 37 ? "poison" : "success") })
        try await arena.settled()
        let dead = try await arena.host.dead(Arena.villain)
        #expect(dead.map(\.subject) == ["s37"] && dead.first?.reason == "crashes" && dead.first?.crashes == crashes, "\(dead)")
        #expect(try await arena.status().succeeded == known + 64)
        #expect(arena.answers("batch") != nil)
        let batches = arena.host.folder.read("data/state/villain/answers").split(separator: "\n").compactMap {
            $0.split(separator: "=").last
        }
        #expect(batches.contains("64"), "they were one batch: \(batches)")
        let deaths = try await arena.host.deaths(Arena.villain)
        // Once with all the others, then alone, until it is given up. What was known of the first death cannot be pinned on one event.
        #expect(
            (crashes...crashes + 1).contains(deaths.count) && deaths.allSatisfy { $0.verdict == "signal" }, "\(deaths.count): \(deaths)")
        // The innocent keep their attempt number.
        let innocent = arena.host.record(Arena.villain).lines.filter { $0.subject != "s37" }
        #expect(innocent.allSatisfy { $0.attempt == 1 })
        try await arena.warmUp()
        let after = await arena.snapshot(like: before)
        #expect(after == before)
        FaultTable.shared.note(
            row: 47, "poison in a batch of 64", .c, verdict: "signal; 64 delivered, \(dead.count) dead letter", tier: .standard,
            failed: dead.count != 1 || after != before)
        try await arena.end()
    }

    @Test("Poison that says it has begun what others are: each runs alone, and it is found")
    func lies() async throws {
        let arena = try await Arena(
            HostilePlugins.path("liar"), lambda: "liar",
            settings: ["timeout": "5s", "retry": "{ attempts: 5, backoff: 5ms..10ms, crashes: 2 }"])
        try await arena.warmUp()
        let before = await arena.snapshot()
        try await arena.send((0..<40).map { ("s\($0)", $0 == 3 ? "lie about the index" : "success") })
        try await arena.settled()
        let dead = try await arena.host.dead(Arena.villain)
        #expect(dead.map(\.subject) == ["s3"], "\(dead)")
        #expect(try await arena.status().succeeded == 40)
        #expect(arena.answers("channel") == nil)
        let innocent = arena.host.record(Arena.villain).lines.filter { $0.subject != "s3" }
        #expect(innocent.allSatisfy { $0.attempt == 1 })
        let verdicts = Set(try await arena.host.deaths(Arena.villain).map(\.verdict))
        #expect(verdicts.isSubset(of: ["signal", "protocol"]), "\(verdicts)")
        try await arena.warmUp()
        let after = await arena.snapshot(like: before)
        #expect(after == before)
        FaultTable.shared.note(
            row: 48, "poison that lies about its index", .c, verdict: verdicts.sorted().joined(separator: ", ") + "; found",
            tier: .standard,
            failed: dead.count != 1 || after != before)
        try await arena.end()
    }
}
