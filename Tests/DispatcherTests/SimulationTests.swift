import Foundation
import Testing

@testable import Dispatcher

/// Runs seeds: a few hundred in every test run, any number in `make simulate SEEDS=...` (CAPELET_SEEDS), one with
/// a trace with CAPELET_SEED (with CAPELET_TRACE also when it passes).
@Suite struct SimulationTests {
    static let steps = 800

    static func run(seed: UInt64, steps: Int = steps, faults: SchedulerFaults = [], isTracing: Bool = false) throws {
        let simulation = try Simulation(seed: seed, faults: faults, isTracing: isTracing)
        do {
            for _ in 0..<steps { try simulation.step() }
            try simulation.drain()
            try simulation.verify()
            if ProcessInfo.processInfo.environment["CAPELET_TRACE"] != nil { print(simulation.trace.joined(separator: "\n")) }
        } catch {
            if isTracing { print(simulation.trace.suffix(600).joined(separator: "\n")) }
            throw Ledger.Violation(description: "seed \(seed), step \(simulation.steps): \(error)")
        }
    }

    private static func number(_ name: String) -> UInt64? { ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } }

    @Test func promisesHold() async throws {
        if let seed = Self.number("CAPELET_SEED") {
            try Self.run(seed: seed, isTracing: true)
            return
        }
        let first = Self.number("CAPELET_FIRST_SEED") ?? 1
        let last = first + (Self.number("CAPELET_SEEDS") ?? 200) - 1
        let failures = await withTaskGroup(of: [String].self) { group in
            let lanes = UInt64(max(ProcessInfo.processInfo.activeProcessorCount, 1))
            for lane in 0..<lanes {
                group.addTask {
                    var failures: [String] = []
                    var seed = first + lane
                    while seed <= last && failures.count < 5 {
                        do { try Self.run(seed: seed) } catch { failures.append("\(error)") }
                        seed += lanes
                    }
                    return failures
                }
            }
            return await group.reduce([]) { $0 + $1 }
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
}
