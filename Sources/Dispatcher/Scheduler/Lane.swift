/// One subject of one route while the scheduler has something of it in hand.
///
/// Its items form a list: first those at a worker (`sent`), then those that wait. Only one worker has items of a lane at any time. Before that, those
/// that are on disk: while any row of the lane is not in memory, every item in memory has a row of its own, with a smaller id. So what a crash
/// of the host leaves is in order.
struct Lane {
    /// The subject's hash; for `order: none` a number of the event's own.
    var hash: UInt64
    /// The route.
    var route: Int32
    /// Tells this use of the lane's place from earlier ones.
    var serial: UInt32
    /// First item, or -1.
    var head: Int32 = -1
    /// Last item, or -1.
    var tail: Int32 = -1
    /// First item that is not at a worker, or -1. Meaningless while `isBlocked`.
    var firstWaiting: Int32 = -1
    /// Items in the list.
    var count: Int32 = 0
    /// Items at the worker.
    var sent: Int32 = 0
    /// The worker that has its items, or -1.
    var worker: Int32 = -1
    /// Its number within that worker.
    var workerLane: UInt32 = 0
    /// Neighbours on the ready list it is on, or -1.
    var nextReady: Int32 = -1
    /// See `nextReady`.
    var previousReady: Int32 = -1
    /// The pool or worker of that list.
    var queueOwner: Int32 = -1
    /// Which ready list it is on.
    var queued: LaneQueue = .none
    /// Nothing more is sent until everything at the worker has been answered.
    var isBlocked = false
    /// Its first item has failed and waits for its next try.
    var hasFailed = false
    /// One at a time, until a success.
    var isOnProbation = false
    /// Its rows wait for an operator or a new generation.
    var isParked = false
    /// A request to load rows is under way.
    var isLoading = false
    /// Its first event is dropped as soon as it is in memory: an operator wants it so.
    var dropsFirst = false
    /// Whether the place is in use.
    var isLive = true
    /// Rows on disk that are not in memory.
    var rowsUnloaded: Int32 = 0
    /// Largest id of a row that is or was in memory.
    var loadedThrough: Int64 = 0
    /// When its rows are to be loaded. Monotonic microseconds; meaningful with `rowsUnloaded` and without items.
    var dueMicros: UInt64 = 0
}

/// The ready list that a lane is on.
enum LaneQueue: UInt8 {
    /// None.
    case none
    /// That of its pool: any worker may take it.
    case pool
    /// That of the worker that has its earlier items.
    case worker
    /// That of the pool's suspects: runs alone.
    case quarantine
}

/// A list of lanes, linked through the lanes.
struct LaneList {
    /// First lane, or -1.
    var head: Int32 = -1
    /// Last lane, or -1.
    var tail: Int32 = -1
}
