public import Journal
public import WorkerProtocol

/// How one run ended, as a worker said.
public enum RunStatus: UInt8, Sendable {
    /// Done.
    case success = 0
    /// Failed for now.
    case retry = 1
    /// Failed for good.
    case fatal = 2
    /// The handler has returned; the end comes later.
    case pending = 3
    /// Not run, because of an earlier event of its lane and epoch.
    case skipped = 4
}

/// What a run has put out, checked by the engine. Committed with its success, or dropped.
public struct RunEffects: Sendable {
    /// Its output, for the lambdas that come after it.
    public var output: [UInt8] = []
    /// Events that it emitted, by stream.
    public var emits: [StreamAppend] = []
    /// Why the run fails as fatal, whatever it says: an unknown domain, a limit passed.
    public var violation: String? = nil
    /// Nothing.
    public init() {}
}

/// Why a worker died, as far as it matters for its events.
public enum DeathCause: Sendable, Equatable {
    /// By its own doing: crash, exit, limit, protocol. Counts against the event that ran.
    case fault
    /// Killed because a run took too long. Counts against that event.
    case timeout
    /// Killed from outside: counts from the fifth time on the same event.
    case external
    /// Reload, shutdown, the host's own doing. Never counts.
    case host
}

/// What the scheduler wants done. In order.
public enum SchedulerAction: Sendable, Equatable {
    /// Put this item into this worker's inbox (`Scheduler.delivery`).
    case send(worker: Int32, item: Int32)
    /// Load batches of a route's stream from this position on; answer with `loaded`.
    case load(route: Int32, position: UInt64)
    /// Once every commit taken before or with the next one is written: load deferred rows; answer with `rowsLoaded`.
    case loadRows(route: Int32, lane: Int32, serial: UInt32, hash: UInt64, after: Int64)
    /// Take back what this worker has not begun; answer with `withdrawn`.
    case withdraw(worker: Int32)
    /// Tell this worker that a run is no longer wanted.
    case cancel(worker: Int32, token: UInt64)
    /// Kill this worker: this run has taken too long.
    case killForTimeout(worker: Int32)
    /// Kill this worker: what it sent cannot be true.
    case killForProtocol(worker: Int32, reason: String)
    /// A retiring worker has nothing left.
    case retired(worker: Int32)
}

/// One run, as it goes to a worker.
public struct Delivery {
    /// The event.
    public var record: RecordView
    /// Names the run.
    public var token: UInt64
    /// Number of the run, from 1.
    public var attempt: UInt32
    /// See worker_channel.h.
    public var lane: UInt32
    /// See worker_channel.h.
    public var epoch: UInt32
}
