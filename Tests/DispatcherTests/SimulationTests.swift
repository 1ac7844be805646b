import Foundation
import Testing

@testable import Dispatcher

/// Thousands of seeds in `make simulate SEEDS=...`; a few hundred in every test run.
@Suite struct SimulationTests {
    static func run(seed: UInt64, steps: Int, faults: Set<SchedulerFault> = []) throws {
        let simulation = try Simulation(seed: seed, faults: faults)
        do {
            for _ in 0..<steps { try simulation.step() }
            try simulation.drain()
            try simulation.verify()
        } catch let violation as Ledger.Violation {
            if ProcessInfo.processInfo.environment["CAPELET_SEED"] != nil { print(simulation.trace.suffix(400).joined(separator: "\n")) }
            throw Ledger.Violation(description: "seed \(seed), step \(simulation.steps): \(violation)")
        }
    }

    /// Replay one seed with CAPELET_SEED=n, run more with CAPELET_SEEDS=n.
    @Test func promisesHold() throws {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["CAPELET_SEED"].flatMap({ UInt64($0) }) {
            try Self.run(seed: seed, steps: 1500)
            return
        }
        let seeds = environment["CAPELET_SEEDS"].flatMap { UInt64($0) } ?? 300
        var failures: [String] = []
        for seed in 1...seeds {
            do {
                try Self.run(seed: seed, steps: 1500)
            } catch {
                failures.append("\(error)")
                if failures.count >= 5 { break }
            }
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    /// Each deliberate fault has to be found, or the simulator proves nothing.
    @Test(arguments: SchedulerFault.allCases) func faultIsFound(_ fault: SchedulerFault) {
        for seed in 1...200 as ClosedRange<UInt64> {
            do {
                try Self.run(seed: seed, steps: 800, faults: [fault])
            } catch {
                return
            }
        }
        Issue.record("200 seeds did not notice the fault '\(fault.rawValue)'")
    }
}
