/// What bounds the scheduler's memory and its patience. The simulator uses tiny ones.
struct SchedulerLimits: Sendable {
    /// Bytes in one worker's inbox at most; leaves room for what the worker has not released.
    var inboxBytesMax = 512 << 10
    /// Work queued ahead in one worker, microseconds.
    var queueAheadMicros = 4000.0
    /// Bytes that are loaded ahead for one route.
    var loadBytesMax = 4 << 20
    /// Bytes of followers that wait in memory, for one route (SEMANTICS §4.1).
    var waitingBytesMax = 1 << 20
    /// Events that wait in memory, for one route.
    var waitingItemsMax = 16384
    /// Bytes that one transaction puts on disk for failures and followers before no more events are taken.
    var commitBytesMax = 4 << 20
    /// How long an event may run before a row keeps it, so that the watermark can pass.
    var openMicrosMax: UInt64 = 10_000_000
    /// How long an event runs before what waits behind it in the same worker is given to others.
    var stuckMicros: UInt64 = 20_000
    /// How long the first event of a subject runs before its followers are put on disk instead of being waited for.
    var followMicros: UInt64 = 50_000
    /// Bytes of deferred rows for one route before its cursor holds.
    var deferredBytesMax = 1 << 30
    /// Events in one row of followers.
    var rowEventsMax = 512
    /// Bytes of one row of followers.
    var rowBytesMax = Scheduler.rowLoadBytes
    /// Requests for rows under way at once, for one lambda.
    var rowLoadsMax = 64
    /// Different subjects that have to fail in a row before the lambda holds.
    var failStreakMax = 20
    /// Joins at once that are not complete, before upstreams of joins hold.
    var joinsMax = 100_000
    /// Joins that ended in a failure and are kept, for the case that it is redriven.
    var failedJoinsMax = 100_000
    /// Bytes of the outputs that they hold.
    var failedJoinBytesMax = 64 << 20
}
