public import WorkerProtocol

/// Number of a stream within one data directory. Never used again. The domain number in a record is its domain's stream.
public struct StreamID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt32
    /// The stream with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// What a stream holds.
public enum StreamKind: UInt8, Sendable {
    /// The accepted events of a domain. Positions are offsets.
    case domain = 0
    /// The input of a lambda with `after:`; named `DOMAIN/LAMBDA`. Trimmed as soon as the lambda is done.
    case input = 1
}

/// One stream.
public struct StreamDescription: Sendable, Equatable {
    /// Its number.
    public var id: StreamID
    /// What it holds.
    public var kind: StreamKind
    /// Its name.
    public var name: String
    /// Makes a description.
    public init(id: StreamID, kind: StreamKind, name: String) {
        self.id = id
        self.kind = kind
        self.name = name
    }
}

/// How a stream numbers, remembers and keeps its events (SEMANTICS §1, §7).
public struct StreamSettings: Sendable, Equatable {
    /// Whether producers number the events themselves.
    public var producerSequence = false
    /// How long ids are remembered, seconds.
    public var deduplicateSeconds: Int64 = 3600
    /// How many ids are remembered.
    public var deduplicateCountMax = 1_000_000
    /// How long events are kept behind the slowest live route, seconds.
    public var retentionSeconds: Int64 = 24 * 3600
    /// How many bytes of such events are kept.
    public var retentionBytesMax: UInt64 = 1 << 30
    /// Bytes that may lie before the slowest live route before appends are refused.
    public var backlogBytesMax: UInt64 = 8 << 30
    /// The defaults.
    public init() {}
}

/// Number of a route within one data directory.
public struct RouteID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt32
    /// The route with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// Where a new route begins.
public enum RouteStart: Sendable, Equatable {
    /// At the end of the stream.
    case end
    /// At the oldest position that is kept.
    case beginning
    /// At this position, or the oldest kept above it.
    case position(UInt64)
}

/// One route and how far it has come.
public struct RouteState: Sendable, Equatable {
    /// Its number.
    public var id: RouteID
    /// The lambda's name.
    public var lambda: String
    /// The domain's name.
    public var domain: String
    /// The stream it reads.
    public var stream: StreamID
    /// Everything below this position is done.
    public var watermark: UInt64
    /// What is done above it: ascending, disjoint, not touching.
    public var ranges: [Range<UInt64>]
    /// Whether it was made by the call that returned it.
    public var isNew: Bool
    /// Makes a state.
    public init(
        id: RouteID, lambda: String, domain: String, stream: StreamID, watermark: UInt64, ranges: [Range<UInt64>], isNew: Bool = false
    ) {
        self.id = id
        self.lambda = lambda
        self.domain = domain
        self.stream = stream
        self.watermark = watermark
        self.ranges = ranges
        self.isNew = isNew
    }
}

/// A stream that grew.
public struct StreamAdvance: Sendable, Equatable {
    /// The stream.
    public var stream: StreamID
    /// The first position that is not yet written.
    public var end: UInt64
    /// Makes an advance.
    public init(stream: StreamID, end: UInt64) {
        self.stream = stream
        self.end = end
    }
}

/// A key and value that a source keeps in one transaction with its events (its catalog, its cursor).
public enum SourceChange: Sendable, Equatable {
    /// Stores a value.
    case put(key: [UInt8], value: [UInt8])
    /// Removes a key.
    case remove(key: [UInt8])
}

/// A hash of an event's id, wide enough that a collision need not be reckoned with.
public struct IDHash: Hashable, Sendable {
    /// First half.
    public var high: UInt64
    /// Second half.
    public var low: UInt64
    /// From its halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// Events to be taken in together.
public struct AppendRequest: Sendable {
    /// The stream, of kind domain.
    public var stream: StreamID
    /// The events. The journal fills in offset (and sequence, unless the producer gives it) and owns the buffer from now on. Their `domain`
    /// must be the stream's number.
    public var records: RecordBuffer
    /// Whether all are refused if one is.
    public var isAtomic: Bool
    /// Whether the answer may come before the fsync.
    public var isRelaxed: Bool
    /// The name of the source whose state changes, and the changes. In the same transaction.
    public var source: String?
    /// See `source`.
    public var sourceChanges: [SourceChange]
    /// Called once, on the writer's thread. Must return at once.
    public var completion: @Sendable (Result<AppendReceipt, JournalError>) -> Void

    /// Makes a request.
    public init(
        stream: StreamID, records: RecordBuffer, isAtomic: Bool = true, isRelaxed: Bool = false, source: String? = nil,
        sourceChanges: [SourceChange] = [], completion: @escaping @Sendable (Result<AppendReceipt, JournalError>) -> Void
    ) {
        self.stream = stream
        self.records = records
        self.isAtomic = isAtomic
        self.isRelaxed = isRelaxed
        self.source = source
        self.sourceChanges = sourceChanges
        self.completion = completion
    }
}

/// What became of appended events.
public struct AppendReceipt: Sendable, Equatable {
    /// Position of the first event, when all were accepted (`entries` is empty then: they follow one another).
    public var firstOffset: UInt64
    /// Number of events that were asked for.
    public var count: Int
    /// One entry for each event, when they were not all accepted; else empty.
    public var entries: [AppendEntry]
    /// Makes a receipt.
    public init(firstOffset: UInt64, count: Int, entries: [AppendEntry] = []) {
        self.firstOffset = firstOffset
        self.count = count
        self.entries = entries
    }
}

/// What became of one appended event.
public enum AppendEntry: Sendable, Equatable {
    /// It has this offset.
    case accepted(offset: UInt64)
    /// It was known: this is the offset it got then.
    case duplicate(offset: UInt64)
    /// Its sequence is not above the last one of its subject.
    case outOfOrder(last: UInt64)
}
