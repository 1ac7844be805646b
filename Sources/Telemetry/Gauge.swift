import Synchronization

/// A number that goes up and down.
public final class Gauge: Sendable {
    private let word = Atomic<Int64>(0)

    /// A gauge at zero. Use `MetricsRegistry.gauge` for one that is exposed.
    public init() {}

    /// Sets the value. Any thread; the last one wins.
    @inline(__always)
    public func set(_ value: Int64) {
        word.store(value, ordering: .relaxed)
    }

    /// Sets the value; numbers past Int64 are cut to its largest.
    public func set(clamping value: UInt64) {
        set(Int64(clamping: value))
    }

    /// Adds, from the one thread that writes this gauge.
    @inline(__always)
    public func add(_ amount: Int64) {
        word.store(word.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// The value now. Any thread.
    public var value: Int64 { word.load(ordering: .relaxed) }
}
