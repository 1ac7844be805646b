import Testing

@testable import EventSources

/// Random histories; each must end with the journal saying what is there, without having said anything twice. A seed repeats
/// its history with SWIFT_DETERMINISTIC_HASHING=1 in the environment.
@Suite struct ChangeDetectorSimulationTests {
    @Test(arguments: 0..<8) func nothingIsMissedOrDoubled(part: UInt64) {
        var events = 0
        var moves = 0
        for seed in part * 50..<part * 50 + 50 {
            var world = DetectorWorld(seed: seed)
            for _ in 0..<400 { world.step() }
            let isSettled = world.settle()
            #expect(isSettled, "seed \(seed) does not come to rest")
            let violations = world.check()
            #expect(violations.isEmpty, "seed \(seed)")
            events += world.events
            moves += world.moves
        }
        #expect(events > 1000 && moves > 10, "the simulation does too little: \(events) events, \(moves) moves")
    }
}
