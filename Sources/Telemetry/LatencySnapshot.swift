/// What a `LatencyHistogram` had counted at one moment.
public struct LatencySnapshot: Sendable, Equatable {
    private var counts: [UInt64]
    /// Sum of all latencies, microseconds.
    public private(set) var sumMicros: UInt64
    /// The largest latency, microseconds.
    public private(set) var maxMicros: UInt64
    /// How many latencies there are.
    public private(set) var count: UInt64

    init(counts: [UInt64], sumMicros: UInt64, maxMicros: UInt64) {
        self.counts = counts
        self.sumMicros = sumMicros
        self.maxMicros = maxMicros
        count = counts.reduce(0, &+)
    }

    /// Nothing counted.
    public init() {
        self.init(counts: [UInt64](repeating: 0, count: LatencyHistogram.bucketCount), sumMicros: 0, maxMicros: 0)
    }

    /// The latency that `fraction` (0…1) of all do not exceed, microseconds, never below the truth and at most 1/32 above; 0 when there is
    /// none.
    public func quantile(_ fraction: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let rank = max(1, min(count, UInt64((fraction * Double(count)).rounded(.up))))
        var seen: UInt64 = 0
        for (bucket, amount) in counts.enumerated() where amount > 0 {
            seen &+= amount
            if seen >= rank {
                let isLast = bucket == counts.count - 1
                return isLast ? maxMicros : min(LatencyHistogram.upperBound(of: bucket), maxMicros)
            }
        }
        return maxMicros
    }

    /// How many latencies are not above each of the ascending bounds (microseconds). A latency within 1/32 below a bound may be counted
    /// with the next one.
    public func cumulative(bounds: [UInt64]) -> [UInt64] {
        var result: [UInt64] = []
        result.reserveCapacity(bounds.count)
        var bucket = 0
        var seen: UInt64 = 0
        for bound in bounds {
            while bucket < counts.count - 1, LatencyHistogram.upperBound(of: bucket) <= bound {
                seen &+= counts[bucket]
                bucket += 1
            }
            result.append(seen)
        }
        return result
    }

    /// What was counted after an earlier snapshot of the same histogram. Its largest latency is known as well as its quantiles are.
    public func since(_ earlier: LatencySnapshot) -> LatencySnapshot {
        var counts = counts
        for index in counts.indices { counts[index] &-= earlier.counts[index] }
        let last = counts.lastIndex { $0 > 0 }
        let most = last.map { $0 == counts.count - 1 ? maxMicros : min(LatencyHistogram.upperBound(of: $0), maxMicros) } ?? 0
        return LatencySnapshot(counts: counts, sumMicros: sumMicros &- earlier.sumMicros, maxMicros: most)
    }

    /// Adds what another one counted.
    public mutating func merge(_ other: LatencySnapshot) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        sumMicros &+= other.sumMicros
        maxMicros = max(maxMicros, other.maxMicros)
        count &+= other.count
    }
}
