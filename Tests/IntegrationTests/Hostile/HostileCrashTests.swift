import Foundation
import Testing

/// Rows 1 to 7: ways in which a plugin ends its own process.
@Suite(.serialized, .ownThreads)
struct HostileCrashTests {
    @Test("C: null, abort, exit, overflow, heap", arguments: Tier.allCases)
    func c(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier) else { return }
        try await arena.fight(Fault(row: 1, "null write", "null", "signal", says: ["SIGSEGV", "villain"]))
        try await arena.fight(Fault(row: 2, "abort", "abort", "signal", says: ["SIGABRT", "the invariant does not hold"]))
        try await arena.fight(Fault(row: 5, "exit in mid-event", "exit", "exit", says: ["exited with code 0"]))
        try await arena.fight(Fault(row: 6, "stack overflow", "overflow", "signal", says: ["SIGSEGV"]))
        try await arena.fight(Fault(row: 7, "heap corruption", "heap", "signal", "timeout", end: .either))
        try await arena.end()
    }

    @Test("C++: uncaught exception, terminate, null, exit, overflow, double free", arguments: [Tier.standard])
    func cpp(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.cpp, tier: tier) else { return }
        try await arena.fight(Fault(row: 1, "null write", "null", "signal", says: ["SIGSEGV"]))
        try await arena.fight(Fault(row: 2, "uncaught exception", "throw", "signal", says: ["SIGABRT", "nobody catches this"]))
        try await arena.fight(Fault(row: 2, "abort", "abort", "signal", says: ["SIGABRT", "terminate"]))
        try await arena.fight(Fault(row: 5, "exit in mid-event", "exit", "exit", says: ["exited with code 0"]))
        try await arena.fight(Fault(row: 6, "stack overflow", "overflow", "signal", says: ["SIGSEGV"]))
        try await arena.fight(Fault(row: 7, "heap corruption", "heap", "signal", "timeout", end: .either))
        try await arena.end()
    }

    @Test("Swift: traps, an error that is thrown, null, exit, overflow", arguments: Tier.allCases)
    func swift(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.swift, tier: tier) else { return }
        let trap = "Swift runtime trap"
        try await arena.fight(Fault(row: 3, "fatalError", "trap", "signal", says: [trap, "the invariant does not hold"]))
        if tier == .standard {
            try await arena.fight(Fault(row: 3, "arithmetic overflow", "overflowing sum", "signal", says: [trap]))
            try await arena.fight(Fault(row: 3, "index out of range", "out of bounds", "signal", says: [trap, "Index out of range"]))
            try await arena.fight(Fault(row: 3, "forced nil", "forced", "signal", says: [trap]))
            try await arena.fight(Fault(row: 1, "null write", "null", "signal", says: ["SIGSEGV"]))
            try await arena.fight(Fault(row: 5, "exit in mid-event", "exit", "exit", says: ["exited with code 0"]))
            try await arena.fight(Fault(row: 6, "stack overflow", "stack", "signal", says: ["SIGSEGV"]))
        }
        try await arena.end()
    }

    @Test("Rust: panic, null, exit, overflow, heap", arguments: [Tier.standard])
    func rust(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.rust, tier: tier) else { return }
        try await arena.fight(Fault(row: 2, "panic", "panic", "signal", says: ["SIGABRT", "nobody catches this"]))
        try await arena.fight(Fault(row: 1, "null write", "null", "signal", says: ["SIGSEGV"]))
        try await arena.fight(Fault(row: 5, "exit in mid-event", "exit", "exit", says: ["exited with code 0"]))
        try await arena.fight(Fault(row: 6, "stack overflow", "overflow", "signal", says: ["SIG"]))
        try await arena.fight(Fault(row: 7, "heap corruption", "heap", "signal", "timeout", end: .either))
        try await arena.end()
    }

    @Test("Go: panic, nil, exit, overflow; threads at load mean exec mode, in which real work is done", arguments: Tier.allCases)
    func go(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.go, tier: tier, settings: ["timeout": "2s"]) else { return }
        try await arena.fight(
            Fault(
                row: 36, "threads at load: memory, goroutines, timers", "work",
                shows: { "exec mode, " + ($0.answers("work") ?? "no answer") }))
        #expect(arena.answers("work") == "524288")
        try await arena.fight(Fault(row: 4, "panic", "panic", "signal", says: ["SIGABRT", "nobody recovers from this"]))
        if tier == .standard {
            #expect(arena.host.log.contains("starts threads while loading"))
            #expect(try await arena.host.capelet("lambdas").output.contains("exec"))
            try await arena.fight(Fault(row: 1, "null write", "null", "signal", says: ["SIGABRT", "nil pointer dereference"]))
            try await arena.fight(Fault(row: 5, "exit in mid-event", "exit", "exit", says: ["exited with code 0"]))
            try await arena.fight(Fault(row: 6, "stack overflow", "overflow", "signal", says: ["SIGABRT"]))
        }
        try await arena.end()
    }
}
