import Testing

@testable import Dispatcher

/// How often a worker is read that floods (ISOLATION row 56).
@Suite struct ReadingPaceTests {
    @Test func oneThatAnswersIsNeverLeftAlone() {
        var pace = ReadingPace()
        for turn in 0..<10_000 as Range<UInt64> {
            // With a few log lines for each event.
            pace.ended(ReadingPace.Turn(frames: 400, progress: 80), nowMicros: turn * 10)
            #expect(pace.pausedUntilMicros == 0)
        }
    }

    @Test func fewIdleTurnsAreReadAsTheyCome() {
        var pace = ReadingPace()
        for turn in 0..<1_000 as Range<UInt64> { pace.ended(ReadingPace.Turn(frames: 3, progress: 0), nowMicros: turn * 3_000) }
        #expect(pace.pausedUntilMicros == 0)
    }

    @Test func manyIdleTurnsAreSlowedToOneAMillisecond() {
        var pace = ReadingPace()
        var now: UInt64 = 1_000_000
        var turns = 0
        while now < 2_000_000 {
            now = max(now + 10, pace.pausedUntilMicros)
            pace.ended(ReadingPace.Turn(frames: 1, progress: 0), nowMicros: now)
            turns += 1
        }
        #expect((900...1_600).contains(turns), "\(turns)")
    }

    @Test func oneLongIdleTurnIsEnough() {
        var pace = ReadingPace()
        pace.ended(ReadingPace.Turn(frames: 2_048, progress: 3), nowMicros: 5)
        #expect(pace.pausedUntilMicros == 5 + ReadingPace.pauseMicros)
    }

    @Test func aTurnEndsWhenItIsFull() {
        #expect(!ReadingPace.Turn(frames: 2_000, progress: 2_000, lines: 0).isFull)
        #expect(!ReadingPace.Turn(frames: 255, progress: 0, lines: 0).isFull)
        #expect(ReadingPace.Turn(frames: 256, progress: 0, lines: 0).isFull)
        #expect(ReadingPace.Turn(frames: 100, progress: 30, lines: 64).isFull, "each line costs")
    }

    @Test func noiseIsForgivenUpToARate() {
        var pace = ReadingPace()
        for second in 0..<5 as Range<UInt64> {
            for index in 0..<1_000 as Range<UInt64> {
                let isTooMuch = pace.noise(nowMicros: second * 1_000_000 + index)
                #expect(!isTooMuch)
            }
        }
        let isTooMuch = pace.noise(nowMicros: 4_000_999)
        #expect(isTooMuch)
    }
}
