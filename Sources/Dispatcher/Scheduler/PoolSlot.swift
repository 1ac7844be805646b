import Routing

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
    /// Lanes that wait and have no worker.
    var ready = LaneList()
    /// Lanes whose first item is a suspect: each runs alone in a worker.
    var quarantine = LaneList()
    /// The worker that runs suspects, or -1.
    var quarantineWorker: Int32 = -1
    /// Whether a handler has ever returned pending: then one event per subject is sent at a time.
    var hasPending = false
    /// Mean time from one result to the next while a worker is busy, microseconds.
    var handlerMicros: Double = 100
    /// Events queued ahead in one worker, from `handlerMicros`.
    var queueAhead = 40
    /// Different subjects that have failed without a success between.
    var failedSubjects: [UInt64] = []
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
    /// Requests for rows that are under way.
    var rowLoads = 0
    /// Whether no events go to its workers: on an operator's word, or by `enabled: false`.
    var isPaused = false
    /// See `isPaused`.
    var isPausedByOperator = false

    /// Its deadline, microseconds.
    var timeoutMicros: UInt64 = 0
    /// Longer than any host runs, and far from an overflow when times are added.
    private static let noTimeoutMicros: UInt64 = 1 << 62

    /// Events of one subject go one after the other, each only when the one before it has ended.
    var isOrdered = true

    /// A pool for a lambda.
    init(lambda: LambdaRoute, version: UInt64) {
        self.lambda = lambda
        self.version = version
        adopt(lambda)
    }

    /// Takes new settings.
    mutating func adopt(_ lambda: LambdaRoute) {
        self.lambda = lambda
        filter = lambda.filter.isEmpty ? nil : CompiledFilter(lambda.filter)
        isOrdered = lambda.order != .none
        timeoutMicros = lambda.limits.timeout?.micros ?? Self.noTimeoutMicros
        isPaused = isPausedByOperator || !lambda.enabled
    }
}
