import Journal

/// Where an event that the scheduler has in hand is.
enum ItemState: UInt8 {
    /// In its lane, not sent.
    case waiting
    /// In a worker's inbox, not known to have begun.
    case sent
    /// Its handler runs, as far as is known.
    case started
    /// Its handler has returned pending.
    case pending
    /// Its last run failed; its lane is about to be set aside.
    case failed
}

/// One event that the scheduler has in hand: taken from a stream's window or from a deferred row.
struct Item {
    /// Index of the batch that holds the record, in the batch table; pinned as long as the item lives.
    var batch: Int32
    /// Index of the record within that batch.
    var index: Int32
    /// Position in the route's stream; `UInt64.max` once a deferred row keeps the event.
    var position: UInt64
    /// Index of the loaded row it belongs to, or -1.
    var row: Int32 = -1
    /// Its lane.
    var lane: Int32
    /// Next item of the lane, or -1.
    var next: Int32 = -1
    /// The worker it is at, or -1.
    var worker: Int32 = -1
    /// Its place in the worker's list of what it has begun, or -1.
    var openAt: Int32 = -1
    /// Size of its record, bytes.
    var bytes: UInt32
    /// Names its current run; 0 when not sent. The low bits are the item's index.
    var token: UInt64 = 0
    /// When it was sent, began, and when its run counts as timed out. Monotonic microseconds.
    var sentMicros: UInt64 = 0
    /// See `sentMicros`.
    var startedMicros: UInt64 = 0
    /// See `sentMicros`.
    var deadlineMicros: UInt64 = 0
    /// Where it is.
    var state: ItemState = .waiting
    /// It was at a worker that died, perhaps by its doing: runs alone next time.
    var isSuspect = false
    /// A worker died that had it and said that it had begun nothing.
    var hasHidden = false
    /// The host found that its present run uses up more CPU time than it may.
    var isOverCPU = false
    /// Its deadline has passed and it was cancelled.
    var isTimedOut = false
    /// Its present run, or the one that has just ended, is the probe of a lambda that holds.
    var isProbe = false
}

/// A deferred row that is (partly) in memory: those of its events that are left are items of its lane.
struct LoadedRow {
    /// The row's id in the journal.
    var id: Int64
    /// Events in the row.
    var count: UInt32
    /// Events that are done with.
    var done: UInt32
    /// Of the first event that is left.
    var history: FailureHistory
    /// The route it belongs to.
    var route: Int32
    /// Whether the journal has to be told about `done` or `history`.
    var isDirty = false
    /// Whether the row was written while its event was running.
    var isOpen = false
}
