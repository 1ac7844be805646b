import Testing

@testable import Dispatcher

/// Each deliberate fault has to be found, or the simulator proves nothing.
@Suite struct MutationTests {
    @Test(arguments: SchedulerFault.allCases) func faultIsFound(_ fault: SchedulerFault) {
        for seed in 1...60 as ClosedRange<UInt64> {
            do {
                try SimulationTests.run(seed: seed, steps: 600, faults: [fault])
            } catch {
                return
            }
        }
        Issue.record("60 seeds did not notice the fault '\(fault)'")
    }
}
