import Foundation
import Glibc
import Testing

/// Rows 8 to 12 and 31: plugins that do not come back.
@Suite(.serialized, .ownThreads)
struct HostileTimeTests {
    @Test("Loops, sleeps, ignores signals, stops itself: a timeout, within deadline and grace", arguments: Tier.allCases)
    func timeouts(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier) else { return }
        let faults = [
            Fault(row: 8, "infinite loop", "spin", "timeout"), Fault(row: 9, "sleep for ever", "sleep", "timeout"),
            Fault(row: 10, "ignores every signal", "deaf", "timeout"), Fault(row: 11, "stops itself", "stop", "timeout"),
        ]
        for fault in faults {
            var took = Duration.zero
            let known = try await arena.host.dead(Arena.villain).count
            try await arena.fight(fault) {
                let begin = ContinuousClock.now
                _ = await eventually { try await arena.host.dead(Arena.villain).count > known }
                took = ContinuousClock.now - begin
            }
            // Deadline and grace are 0.4 s; the rest is the machine's.
            #expect(took < .seconds(5), "\(fault.name): \(took)")
        }
        try await arena.end()
    }

    @Test("Loops in other languages", arguments: [Language.cpp, .swift, .rust, .go])
    func loops(_ language: Language) async throws {
        guard let arena = try await Arena.make(language, tier: .standard) else { return }
        try await arena.fight(Fault(row: 8, "infinite loop", "spin", "timeout"))
        if language == .go { try await arena.fight(Fault(row: 9, "sleep for ever", "sleep", "timeout")) }
        try await arena.end()
    }

    @Test("Spins with no deadline to speak of: its CPU time ends it", arguments: Tier.allCases)
    func cpu(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["timeout": "10m", "cpu": "1s"]) else { return }
        try await arena.fight(Fault(row: 12, "spins, no deadline", "spin", "cpu-limit", says: ["CPU time"]))
        try await arena.end()
    }

    @Test("Never reads its input: what cannot be sent waits on disk, others flow")
    func backpressure() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard, settings: ["timeout": "2s"]) else { return }
        try await arena.warmUp()
        let memory = ProcessTable.kilobytes(of: arena.host.pid, ["Rss"]) ?? 0
        let padding = String(repeating: "x", count: 4000)
        try await arena.fight(Fault(row: 31, "never reads its input", "sleep", "timeout")) {
            // 16 MB behind the event that hangs, for the same subject and for others.
            for part in 0..<20 {
                try await arena.host.send(
                    (0..<200).map { #"{"subject":"wait-\#($0 % 50)","id":"\#(part)-\#($0)","payload":"success \#(padding)"}"# },
                    to: "hostile")
            }
            let lambda = try await arena.status()
            #expect(lambda.inFlight <= 1024)
            let now = ProcessTable.kilobytes(of: arena.host.pid, ["Rss"]) ?? .max
            #expect(now - memory < 100 << 10, "the host has grown from \(memory) to \(now) kB")
        }
        try await arena.end()
    }
}
