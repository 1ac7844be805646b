public import WorkerProtocol

/// Events that follow one another in a stream. Immutable; any thread.
public final class EventBatch: Sendable {
    /// The stream.
    public let stream: StreamID
    /// Position of the first event.
    public let base: UInt64
    /// The events.
    public let records: RecordBuffer

    /// Makes a batch; `records` must not change any more.
    public init(stream: StreamID, base: UInt64, records: RecordBuffer) {
        self.stream = stream
        self.base = base
        self.records = records
    }

    /// Number of events.
    public var count: Int { records.count }
    /// Position after the last event.
    public var end: UInt64 { base + UInt64(records.count) }
    /// Bytes of the events.
    public var size: Int { records.size }
}
