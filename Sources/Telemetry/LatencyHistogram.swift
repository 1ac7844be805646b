import Synchronization

/// How often which latency was seen, in buckets that are exact below 64 µs and at most 1/32 wide above (the layout of HdrHistogram with 32
/// sub-buckets). 9 KB.
///
/// One thread records; any thread takes snapshots. hdrhistogram-swift is not used here since its histogram cannot be read while another
/// thread writes.
public final class LatencyHistogram: @unchecked Sendable {
    /// Values from 2^40 µs (12 days) on are counted in the last bucket.
    static let exponentMax = 40
    static let subBits = 5
    static let bucketCount = (exponentMax - subBits + 1) << subBits

    // Initialised once here, freed once in deinit; the words are atomics.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let sum = Atomic<UInt64>(0)
    private let largest = Atomic<UInt64>(0)

    /// An empty histogram. Use `MetricsRegistry.histogram` for one that is exposed.
    public init() {
        words = .allocate(capacity: Self.bucketCount)
        for index in 0..<Self.bucketCount { (words + index).initialize(to: Atomic<UInt64>(0)) }
    }

    deinit {
        words.deinitialize(count: Self.bucketCount)
        words.deallocate()
    }

    /// The bucket that `micros` falls in.
    @inline(__always)
    static func bucket(of micros: UInt64) -> Int {
        if micros < 1 << UInt64(subBits) { return Int(micros) }
        let exponent = 63 - micros.leadingZeroBitCount
        if exponent >= exponentMax { return bucketCount - 1 }
        let shift = exponent - subBits
        return ((shift + 1) << subBits) + Int((micros >> UInt64(shift)) & ((1 << UInt64(subBits)) - 1))
    }

    /// The largest value that falls in a bucket.
    static func upperBound(of bucket: Int) -> UInt64 {
        if bucket < 1 << subBits { return UInt64(bucket) }
        let shift = (bucket >> subBits) - 1
        let sub = bucket & ((1 << subBits) - 1)
        return (UInt64((1 << subBits) + sub + 1) << UInt64(shift)) - 1
    }

    /// Counts one latency, in microseconds. From the one thread that writes this histogram. Does not allocate.
    @inline(__always)
    public func record(micros: UInt64) {
        record(micros: micros, count: 1)
    }

    /// Counts the same latency `count` times.
    @inline(__always)
    public func record(micros: UInt64, count: UInt64) {
        let index = Self.bucket(of: micros)
        words[index].store(words[index].load(ordering: .relaxed) &+ count, ordering: .relaxed)
        sum.store(sum.load(ordering: .relaxed) &+ micros &* count, ordering: .relaxed)
        if micros > largest.load(ordering: .relaxed) { largest.store(micros, ordering: .relaxed) }
    }

    /// What was counted up to now. Any thread; what is recorded meanwhile may be in it or not.
    public func snapshot() -> LatencySnapshot {
        var counts = [UInt64](repeating: 0, count: Self.bucketCount)
        for index in 0..<Self.bucketCount { counts[index] = words[index].load(ordering: .relaxed) }
        return LatencySnapshot(counts: counts, sumMicros: sum.load(ordering: .relaxed), maxMicros: largest.load(ordering: .relaxed))
    }
}
