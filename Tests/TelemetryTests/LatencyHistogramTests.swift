import Foundation
import Telemetry
import Testing

@Suite struct LatencyHistogramTests {
    @Test func quantilesAgreeWithSorting() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            let histogram = LatencyHistogram()
            var values: [UInt64] = []
            for _ in 0..<2_000 {
                let value = UInt64.random(in: 0..<(1 << UInt64.random(in: 1...38)), using: &random)
                values.append(value)
                histogram.record(micros: value)
            }
            values.sort()
            let snapshot = histogram.snapshot()
            #expect(snapshot.count == 2_000)
            #expect(snapshot.maxMicros == values.last)
            #expect(snapshot.sumMicros == values.reduce(0, +))
            for fraction in [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1] {
                let exact = values[max(0, Int((fraction * 2_000).rounded(.up)) - 1)]
                let found = snapshot.quantile(fraction)
                #expect(found >= exact && found <= exact + exact / 32 + 1, "\(fraction): \(found) for \(exact)")
            }
        }
    }

    @Test func extremesAreKept() {
        let histogram = LatencyHistogram()
        #expect(histogram.snapshot().quantile(0.5) == 0)
        histogram.record(micros: 0)
        histogram.record(micros: .max)
        let snapshot = histogram.snapshot()
        #expect(snapshot.quantile(0.5) == 0)
        #expect(snapshot.quantile(1) == .max)
        #expect(snapshot.cumulative(bounds: [0, 10, 1 << 50]) == [1, 1, 1])
    }

    @Test func mergingAddsUp() {
        let left = LatencyHistogram()
        let right = LatencyHistogram()
        left.record(micros: 10, count: 3)
        right.record(micros: 5_000)
        var both = left.snapshot()
        both.merge(right.snapshot())
        #expect(both.count == 4)
        #expect(both.quantile(0.75) == 10)
        #expect(both.quantile(1) == 5_000)
        #expect(both.sumMicros == 5_030)
    }

    @Test func whatCameSinceIsTold() {
        let histogram = LatencyHistogram()
        histogram.record(micros: 1_000_000)
        let before = histogram.snapshot()
        #expect(histogram.snapshot().since(before) == LatencySnapshot())
        histogram.record(micros: 10, count: 99)
        histogram.record(micros: 5_000)
        let since = histogram.snapshot().since(before)
        #expect(since.count == 100 && since.sumMicros == 5_990)
        #expect(since.quantile(0.99) == 10)
        #expect((5_000...5_200).contains(since.quantile(1)))
        #expect(since.maxMicros == since.quantile(1))
    }

    @Test func snapshotsWhileAnotherThreadWritesAreWhole() async {
        let histogram = LatencyHistogram()
        let counter = Counter()
        let writer = Thread {
            for value in 0..<400_000 {
                histogram.record(micros: UInt64(value % 1_000))
                counter.add()
            }
        }
        writer.start()
        var last: UInt64 = 0
        while !writer.isFinished {
            let count = histogram.snapshot().count
            #expect(count >= last && count <= 400_000)
            last = count
            await Task.yield()
        }
        #expect(histogram.snapshot().count == 400_000)
        #expect(counter.value == 400_000)
    }
}
