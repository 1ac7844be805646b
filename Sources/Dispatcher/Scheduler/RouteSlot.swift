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
    /// Items at workers.
    var inFlight = 0
    /// Bytes of what is left in deferred rows.
    var deferredBytes = 0
    /// Whether progress has changed since the last commit; then the route is among `Scheduler.dirtyRoutes`.
    var isDirty = false
    /// Whether it gets events (false: removed from the routing file, draining).
    var isActive = true
    /// An inactive route of the same lambda and domain, on another stream, that still has runs: this one waits for it. Or -1.
    var waitsFor: Int32 = -1
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
