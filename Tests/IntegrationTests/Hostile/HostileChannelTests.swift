import Foundation
import Testing

/// Rows 21, 25 to 30 and 56: plugins that found the channel to the host and break its rules.
@Suite(.serialized, .ownThreads)
struct HostileChannelTests {
    private static func liar(tier: Tier, timeout: String = "3s") async throws -> Arena {
        try await Arena(HostilePlugins.path("liar"), lambda: "liar", tier: tier, settings: ["timeout": timeout])
    }

    @Test("Lies in the channel are found, and end the worker", arguments: [Tier.off, .standard, .strict])
    func lies(_ tier: Tier) async throws {
        let arena = try await Self.liar(tier: tier)
        var lies = [
            (25, "frame length 0", "size 0"), (25, "frame length max+1", "size max+1"), (25, "frame length 2^32-1", "size 2^32-1"),
            (27, "unknown frame type", "unknown type"), (27, "unknown result", "unknown code"), (27, "ready again", "ready again"),
            (27, "another frame within a message", "interleaved"), (29, "count of bytes jumps", "written jumps"),
            (29, "count of bytes goes back", "written goes back"), (29, "limit moves", "limit moves"),
            (29, "claim runs wild", "claim runs wild"),
            (29, "released jumps", "released jumps"),
        ]
        if tier != .standard { lies = lies.filter { ["size max+1", "unknown type", "claim runs wild"].contains($0.2) } }
        for (row, name, word) in lies {
            let deaths = ["limit moves", "claim runs wild", "released jumps"].contains(word) ? 1...2 : 1...1
            try await arena.fight(Fault(row: row, name, word, "protocol", says: ["rules of its channel"], deaths: deaths))
        }
        // What the host sees of it is a matter of chance: each of the lengths is looked at once.
        if tier == .standard {
            try await arena.fight(Fault(row: 29, "length flips while it is read", "length flips", "protocol", "timeout"))
        }
        #expect(arena.answers("channel") == nil, "the plugin did not find the channel")
        try await arena.end()
    }

    @Test("A frame that is never finished, then the end")
    func truncated() async throws {
        let arena = try await Self.liar(tier: .standard, timeout: "300ms")
        // Nothing says that the rest will not come: the deadline does.
        try await arena.fight(Fault(row: 26, "truncated frame, then the end", "part", "protocol", "timeout"))
        try await arena.end()
    }

    @Test("Replies that nobody asked for, and a second one, count for nothing")
    func replies() async throws {
        let arena = try await Self.liar(tier: .standard, timeout: "300ms")
        try await arena.fight(Fault(row: 27, "reply to another event", "reply unasked", "timeout", "protocol"))
        try await arena.warmUp()
        // The first reply is the event's end; what comes after it is too late. The worker sleeps on, and is found out when more is to run.
        let before = try await arena.status().succeeded
        try await arena.send([("twice", "reply twice")])
        #expect(await eventually { try await arena.status().succeeded == before + 1 })
        #expect(try await arena.host.dead(Arena.villain).allSatisfy { $0.subject != "twice" })
        FaultTable.shared.note(row: 27, "second reply", .c, verdict: "ignored", tier: .standard)
        arena.load.stop()
        try await arena.host.kill()
    }

    @Test("Descriptors that are sent to the host stay outside of it")
    func descriptors() async throws {
        let arena = try await Self.liar(tier: .standard)
        try await arena.fight(
            Fault(row: 28, "descriptors to the host", "descriptors", "protocol", end: .either, shows: { $0.answers("descriptors") ?? "?" }))
        try await arena.end()
    }

    @Test("Shared memory cannot be cut or made writable, and a hole in it harms nobody", arguments: [Tier.off, .standard])
    func truncation(_ tier: Tier) async throws {
        let arena = try await Self.liar(tier: tier, timeout: "300ms")
        try await arena.fight(Fault(row: 30, "truncates shared memory", "truncate", "protocol", "timeout"))
        let answer = arena.answers("truncate") ?? ""
        #expect(!answer.contains("ftruncate ok"), "\(answer)")
        #expect(!answer.contains("mprotect ok"), "\(answer)")
        #expect(!answer.contains("hole ok"), "\(answer)")
        try await arena.end()
    }

    @Test("A worker that has closed its socket is ended")
    func closesItsSocket() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard, settings: ["timeout": "10s"]) else { return }
        try await arena.fight(Fault(row: 21, "closes its socket", "sockets", "protocol", says: ["socket"]))
        try await arena.end()
    }

    @Test("Hostile traffic: each worker gets a bounded turn")
    func traffic() async throws {
        let arena = try await Self.liar(tier: .standard, timeout: "4s")
        try await arena.fight(Fault(row: 56, "compare-and-swap without end", "swap claims", "protocol", deaths: 1...2))
        try await arena.fight(Fault(row: 56, "wake-up storm", "ring on", "protocol", says: ["rang the bell"]))
        try await arena.fight(Fault(row: 56, "log flood", "flood log"))
        try await arena.fight(Fault(row: 56, "heartbeat flood", "flood heartbeat"))
        let emits = try await arena.fight(Fault(row: 56, "emit flood", "flood emit", end: .dead))
        #expect(emits.dead.first?.reason == "fatal", "\(emits.dead)")
        try await arena.end()
    }
}
