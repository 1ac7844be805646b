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
    /// Of these, begun ones; in no order.
    var open: [Int32] = []
    /// Bytes of the items at it.
    var bytesInFlight = 0
    /// Free lane numbers.
    var freeLanes: [UInt32]
    /// Epoch of each lane number.
    var epochs: [UInt32]
    /// Lanes that wait and have earlier items here.
    var ready = LaneList()
    /// When it last answered an event right from its handler, or was sent something while idle. Monotonic microseconds.
    var lastMicros: UInt64 = 0
    /// The token of that event: what was sent later cannot have begun before `lastMicros`.
    var lastToken: UInt64 = 0
    /// It gets nothing new and goes when it has nothing left.
    var isRetiring = false
    /// `retired` was said.
    var isRetired = false
    /// Runs one suspect and nothing else.
    var isQuarantine = false
    /// What it has in flight is the suspect.
    var hasSuspect = false
    /// A run of it has timed out: nothing new, killed at `killMicros`.
    var isCondemned = false
    /// See `isCondemned`.
    var killMicros: UInt64 = 0
    /// Its death was asked for.
    var isDoomed = false
    /// It said what cannot be true: nothing that it says counts any more.
    var isLiar = false
    /// It is killed because of a run that uses up too much CPU time: those that do are marked.
    var isOverCPU = false
    /// How often an event has left it: ended, or was taken back.
    var leaves: UInt64 = 0
    /// It was asked to give back what it has not begun and has not answered yet: nothing new until then.
    var isWithdrawing = false
    /// Its present event takes long; others get what comes next.
    var isStuck = false
    /// Whether the place is in use.
    var isLive = true
}
