public import WorkerProtocol

/// Progress, failures and effects that belong together.
public struct JournalCommit: Sendable {
    /// How far routes have come. Absolute, not a difference.
    public var progress: [RouteProgress] = []
    /// Events that come about: emitted ones (kind domain: offset and host sequence are filled in, known ids are left out) and handed-on ones
    /// (kind input: records stay as they are).
    public var appends: [StreamAppend] = []
    /// What happens to deferred rows, in this order.
    public var deferred: [DeferredChange] = []
    /// Dead letters to add.
    public var dead: [DeadLetter] = []
    /// Dead letters to remove, by id.
    public var deadRemoved: [Int64] = []
    /// Parts of joins to add.
    public var joins: [JoinPart] = []
    /// Joins that are complete: stream and position of the domain.
    public var joinsRemoved: [JoinKey] = []

    /// An empty commit.
    public init() {}

    /// Whether there is nothing to write.
    public var isEmpty: Bool {
        progress.isEmpty && appends.isEmpty && deferred.isEmpty && dead.isEmpty && deadRemoved.isEmpty && joins.isEmpty
            && joinsRemoved.isEmpty
    }
}

/// How far a route has come.
public struct RouteProgress: Sendable, Equatable {
    /// The route.
    public var route: RouteID
    /// Everything below is done.
    public var watermark: UInt64
    /// What is done above: ascending, disjoint.
    public var ranges: [Range<UInt64>]
    /// Makes a progress.
    public init(route: RouteID, watermark: UInt64, ranges: [Range<UInt64>]) {
        self.route = route
        self.watermark = watermark
        self.ranges = ranges
    }
}

/// Events for a stream.
public struct StreamAppend: Sendable {
    /// The stream.
    public var stream: StreamID
    /// The events.
    public var records: RecordBuffer
    /// Makes an append.
    public init(stream: StreamID, records: RecordBuffer) {
        self.stream = stream
        self.records = records
    }
}

/// Why a deferred row waits.
public enum DeferredState: UInt8, Sendable {
    /// For its due time; then its first event runs.
    case deferred = 0
    /// For an operator, or a new generation or configuration of its lambda.
    case parked = 1
    /// Its first event runs right now, for longer than others can wait.
    case open = 2
    /// Behind an earlier row of its subject.
    case behind = 3
}

/// What is known of the first event of a deferred row.
public struct FailureHistory: Sendable, Equatable {
    /// Runs that have ended without success.
    public var attempts: UInt32 = 0
    /// Of these, deaths of the worker that were the event's own fault.
    public var crashes: UInt32 = 0
    /// Kills from outside while it ran.
    public var externalKills: UInt32 = 0
    /// When it first failed, milliseconds since 1970.
    public var sinceMillis: Int64 = 0
    /// When it last failed, milliseconds since 1970.
    public var lastMillis: Int64 = 0
    /// What the last failure said.
    public var error: String = ""
    /// Whether it runs alone in its worker next time: a worker died that had it, perhaps by its doing.
    public var isSuspect: Bool = false
    /// Nothing has happened yet.
    public init() {}
}

/// Events of one subject that a route has set aside. A row with several events holds followers, in order; the history is of the first that is left.
public struct DeferredRow: Sendable {
    /// Given by the dispatcher, ascending; rows of one subject run in the order of their ids.
    public var id: Int64
    /// The route.
    public var route: RouteID
    /// The subject's hash.
    public var subjectHash: UInt64
    /// The events.
    public var records: RecordBuffer
    /// How many of them, from the first, are done with.
    public var done: UInt32
    /// Why it waits.
    public var state: DeferredState
    /// When it runs again, milliseconds since 1970.
    public var dueMillis: Int64
    /// What is known of the first event that is left.
    public var history: FailureHistory
    /// Makes a row.
    public init(
        id: Int64, route: RouteID, subjectHash: UInt64, records: RecordBuffer, done: UInt32 = 0, state: DeferredState, dueMillis: Int64,
        history: FailureHistory
    ) {
        self.id = id
        self.route = route
        self.subjectHash = subjectHash
        self.records = records
        self.done = done
        self.state = state
        self.dueMillis = dueMillis
        self.history = history
    }
}

/// What happens to a deferred row.
public enum DeferredChange: Sendable {
    /// It comes about.
    case insert(DeferredRow)
    /// Its first `done` events are done with, and the history is that of the next.
    case update(id: Int64, done: UInt32, state: DeferredState, dueMillis: Int64, history: FailureHistory)
    /// It is done with.
    case remove(id: Int64)
}

/// The first deferred row of a subject, as far as the dispatcher keeps it in memory.
public struct DeferredHead: Sendable, Equatable {
    /// The row's id.
    public var id: Int64
    /// The subject's hash.
    public var subjectHash: UInt64
    /// Why it waits.
    public var state: DeferredState
    /// When it runs again, milliseconds since 1970.
    public var dueMillis: Int64
    /// Rows of this subject.
    public var rows: Int
    /// Events in them that are left.
    public var events: Int
    /// Bytes of them.
    public var bytes: Int
    /// Makes a head.
    public init(id: Int64, subjectHash: UInt64, state: DeferredState, dueMillis: Int64, rows: Int, events: Int, bytes: Int) {
        self.id = id
        self.subjectHash = subjectHash
        self.state = state
        self.dueMillis = dueMillis
        self.rows = rows
        self.events = events
        self.bytes = bytes
    }
}

/// An event given up on.
public struct DeadLetter: Sendable {
    /// Given by the dispatcher from the same numbers as deferred rows.
    public var id: Int64
    /// The route.
    public var route: RouteID
    /// The event: one record.
    public var records: RecordBuffer
    /// When it was given up on, milliseconds since 1970.
    public var atMillis: Int64
    /// Why: `fatal`, `attempts`, `crashes`, `external-kills`.
    public var reason: String
    /// Its history.
    public var history: FailureHistory
    /// Makes a dead letter.
    public init(id: Int64, route: RouteID, records: RecordBuffer, atMillis: Int64, reason: String, history: FailureHistory) {
        self.id = id
        self.route = route
        self.records = records
        self.atMillis = atMillis
        self.reason = reason
        self.history = history
    }
}

/// An event that waits for upstreams: the input stream it is for, and its offset in the domain.
public struct JoinKey: Hashable, Sendable {
    /// The input stream.
    public var stream: StreamID
    /// The event's offset in its domain.
    public var offset: UInt64
    /// Makes a key.
    public init(stream: StreamID, offset: UInt64) {
        self.stream = stream
        self.offset = offset
    }
}

/// One upstream's part of a join.
public struct JoinPart: Sendable, Equatable {
    /// What it belongs to.
    public var key: JoinKey
    /// The upstream.
    public var lambda: String
    /// Whether the upstream succeeded; otherwise the event is skipped.
    public var succeeded: Bool
    /// Its output.
    public var output: [UInt8]
    /// Makes a part.
    public init(key: JoinKey, lambda: String, succeeded: Bool, output: [UInt8]) {
        self.key = key
        self.lambda = lambda
        self.succeeded = succeeded
        self.output = output
    }
}

/// Which rows an operator wants to see.
public struct RowQuery: Sendable, Equatable {
    /// Only this lambda.
    public var lambda: String?
    /// Only this domain.
    public var domain: String?
    /// Only this subject.
    public var subject: String?
    /// Only rows whose error contains this text.
    public var error: String?
    /// Only this row.
    public var id: Int64?
    /// At most so many.
    public var limit: Int = 100
    /// Any row.
    public init() {}
}

/// A deferred, parked or open event as an operator sees it.
public struct BlockedEvent: Sendable, Equatable {
    /// The row.
    public var id: Int64
    /// The lambda.
    public var lambda: String
    /// The domain.
    public var domain: String
    /// The subject.
    public var subject: String
    /// The first event's offset in its domain.
    public var offset: UInt64
    /// Events in the row.
    public var events: Int
    /// Why it waits.
    public var state: DeferredState
    /// When it runs again, milliseconds since 1970.
    public var dueMillis: Int64
    /// What is known of the first event.
    public var history: FailureHistory
    /// Makes a blocked event.
    public init(
        id: Int64, lambda: String, domain: String, subject: String, offset: UInt64, events: Int, state: DeferredState, dueMillis: Int64,
        history: FailureHistory
    ) {
        self.id = id
        self.lambda = lambda
        self.domain = domain
        self.subject = subject
        self.offset = offset
        self.events = events
        self.state = state
        self.dueMillis = dueMillis
        self.history = history
    }
}

/// Events on deferred rows and among the dead letters.
public struct RowCounts: Sendable, Equatable {
    /// Events that wait for a retry, or behind one that does.
    public var deferred = 0
    /// Events that are parked, or behind one that is.
    public var parked = 0
    /// Dead letters.
    public var dead = 0
    /// None.
    public init() {}
}

/// Sizes and rates of a journal.
public struct JournalFigures: Sendable, Equatable {
    /// Groups written.
    public var groups: UInt64 = 0
    /// Events appended.
    public var events: UInt64 = 0
    /// Microseconds that the last group took.
    public var lastGroupMicros: UInt64 = 0
    /// Size of the database file, bytes.
    public var databaseBytes: UInt64 = 0
    /// Size of the write-ahead log, bytes.
    public var walBytes: UInt64 = 0
    /// For each stream: oldest kept position, first position not yet written, bytes kept.
    public var streams: [StreamID: StreamFigures] = [:]
    /// Why nothing can be written at the moment; nil: all is well.
    public var fault: String? = nil
    /// Nothing yet.
    public init() {}
}

/// Sizes of one stream.
public struct StreamFigures: Sendable, Equatable {
    /// Oldest kept position.
    public var start: UInt64 = 0
    /// First position not yet written.
    public var end: UInt64 = 0
    /// Bytes kept.
    public var bytes: UInt64 = 0
    /// Ids remembered.
    public var ids: Int = 0
    /// Nothing yet.
    public init() {}
}
