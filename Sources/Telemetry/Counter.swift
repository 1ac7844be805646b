import Synchronization

/// A number that only grows, until the process ends.
public final class Counter: Sendable {
    private let word = Atomic<UInt64>(0)

    /// A counter at zero. Use `MetricsRegistry.counter` for one that is exposed.
    public init() {}

    /// Adds, from the one thread that writes this counter.
    @inline(__always)
    public func add(_ amount: UInt64 = 1) {
        word.store(word.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Adds, from any thread.
    public func addShared(_ amount: UInt64 = 1) {
        word.wrappingAdd(amount, ordering: .relaxed)
    }

    /// The value now. Any thread.
    public var value: UInt64 { word.load(ordering: .relaxed) }
}
