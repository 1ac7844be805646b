/// When a worker that is well is replaced by a fresh one: before a slow leak, or age, does harm.
///
/// The replacement is started first; the old worker finishes what it has begun. Nothing of this counts as a failure.
public struct RecycleSettings: Sendable, Equatable {
    /// A share of the lambda's `memory`, or a size.
    public enum Watermark: Sendable, Equatable {
        /// Per cent of `memory`.
        case percent(Int)
        /// Bytes.
        case bytes(UInt64)
    }

    /// How much of what `memory` limits a worker may have; nil: as much as the limit allows.
    public var memory: Watermark? = .percent(80)
    /// Events that it has begun; nil: any number.
    public var events: Int? = nil
    /// How long it lives; nil: for ever.
    public var age: Duration? = nil

    /// The defaults.
    public init() {}

    /// The watermark in bytes under this limit; nil: there is none.
    public func memoryBytes(under limit: UInt64) -> UInt64? {
        switch memory {
        case nil: nil
        case .percent(let percent): limit / 100 * UInt64(max(percent, 0))
        case .bytes(let bytes): bytes
        }
    }
}
