import Journal
import Routing

/// One lambda in one domain: its window on the stream.
struct RouteSlot {
    /// As the journal knows it.
    var id: RouteID
    /// Lambda and domain.
    var lambda: String
    /// See `lambda`.
    var domain: String
    /// The stream it reads, and that of its domain.
    var stream: StreamID
    /// See `stream`.
    var domainStream: StreamID
    /// The pool that serves it.
    var pool: Int32
    /// Lambdas after it.
    var dependents: [DependentSpec]
    /// What it is done with.
    var done: DoneSet
    /// The next position to take.
    var cursor: UInt64
    /// The first position that is not yet written.
    var streamEnd: UInt64
    /// Loaded batches that still hold events to take: indices into the batch table, in order.
    var batches: [Int32] = []
    /// Index of the batch of `batches` that is being taken from.
    var batchAt = 0
    /// Bytes of the batches from `batchAt` on.
    var loadedBytes = 0
    /// Whether a load is under way.
    var isLoading = false
    /// Where the next load begins.
    var loadFrom: UInt64
    /// Lanes by subject.
    var lanes = LaneTable()
    /// Items that wait in lanes, and their bytes.
    var waitingItems = 0
    /// See `waitingItems`.
    var waitingBytes = 0
    /// Bytes of deferred rows.
    var deferredBytes = 0
    /// Subjects that are set aside, and those of them that are parked.
    var laneAsideCount = 0
    /// Whether progress has changed since the last commit.
    var isDirty = false
    /// Whether it gets events (false: removed from the routing file, draining).
    var isActive = true
    /// Whether its cursor holds on an operator's word.
    var isPaused = false
    /// Counters since the host started.
    var counts = RouteCounts()
}

/// What a route has done since the host started.
public struct RouteCounts: Sendable, Equatable {
    /// Runs sent to a worker that were answered or began.
    public var started: UInt64 = 0
    /// Events that ended in success.
    public var succeeded: UInt64 = 0
    /// Runs that failed and will be tried again.
    public var retried: UInt64 = 0
    /// Events given up on.
    public var dead: UInt64 = 0
    /// Events parked.
    public var parked: UInt64 = 0
    /// Events that its filter left out.
    public var filtered: UInt64 = 0
    /// Events left out because an upstream did not succeed.
    public var skipped: UInt64 = 0
    /// Events that were no longer kept when the route came to them.
    public var missed: UInt64 = 0
    /// Events an operator dropped.
    public var dropped: UInt64 = 0
    /// Late, repeated or unknown results.
    public var ignored: UInt64 = 0
    /// Nothing yet.
    public init() {}
}

/// One lambda: its workers and what waits for one.
struct PoolSlot {
    /// Its settings.
    var lambda: LambdaRoute
    /// See `PoolSpec.version`.
    var version: UInt64
    /// Its filter.
    var filter: CompiledFilter?
    /// Its routes.
    var routes: [Int32] = []
    /// The route whose turn to take events it is.
    var routeTurn = 0
    /// Its workers that take events.
    var workers: [Int32] = []
    /// The worker whose turn it is.
    var workerTurn = 0
    /// Ready list: lanes that wait and have no worker.
    var readyHead: Int32 = -1
    /// See `readyHead`.
    var readyTail: Int32 = -1
    /// Lanes whose first item is a suspect: each runs alone in a worker.
    var quarantineHead: Int32 = -1
    /// See `quarantineHead`.
    var quarantineTail: Int32 = -1
    /// Whether a suspect is running.
    var quarantineWorker: Int32 = -1
    /// Whether a handler has ever returned pending: then one event per subject is sent at a time.
    var hasPending = false
    /// Mean time from one result to the next while a worker is busy, microseconds.
    var handlerMicros: Double = 100
    /// Failures of different subjects in a row, without a success between.
    var failStreak = 0
    /// The subject that failed last.
    var failedLast: UInt64 = 0
    /// Whether the cursor holds because everything fails (SEMANTICS §4.2).
    var isHolding = false
    /// The delay before the next probe, and when it is due.
    var probeDelayMicros: UInt64 = 0
    /// See `probeDelayMicros`.
    var probeDueMicros: UInt64 = 0
    /// Whether a probe is running.
    var isProbing = false
    /// Lanes by when they are due.
    var due = DueHeap()
    /// Whether the place is in use.
    var isLive = true
    /// Whether no events go to its workers: on an operator's word, or by `enabled: false`.
    var isPaused = false
    /// See `isPaused`.
    var isPausedByOperator = false
}

/// One worker as the scheduler sees it.
struct WorkerSlot {
    /// Its pool.
    var pool: Int32
    /// Items by their number in the channel, modulo `Scheduler.slotCount`.
    var queue: [Int32]
    /// Number of the next event to be sent.
    var sentNumber: UInt32 = 0
    /// Number of the first event that the worker is not known to have begun.
    var claimedNumber: UInt32 = 0
    /// Items at it that are not answered.
    var inFlight = 0
    /// Of these, begun ones.
    var open = 0
    /// Bytes of the items at it.
    var bytesInFlight = 0
    /// Free lane numbers.
    var freeLanes: [UInt32]
    /// Epoch of each lane number.
    var epochs: [UInt32]
    /// Ready list: lanes that wait and have earlier items here.
    var readyHead: Int32 = -1
    /// See `readyHead`.
    var readyTail: Int32 = -1
    /// When it last answered, or was sent something while idle. Monotonic microseconds.
    var lastMicros: UInt64 = 0
    /// It gets nothing new and goes when it has nothing left.
    var isRetiring = false
    /// Runs one suspect and nothing else.
    var isQuarantine = false
    /// What it has in flight is the suspect.
    var hasSuspect = false
    /// A run of it has timed out: nothing new, killed at `killMicros`.
    var isCondemned = false
    /// See `isCondemned`.
    var killMicros: UInt64 = 0
    /// It was asked to give back what it has not begun and has not answered yet: nothing new until then.
    var isWithdrawing = false
    /// Its present event takes long; others get what comes next.
    var isStuck = false
    /// Whether the place is in use.
    var isLive = true
}
