public import Journal
import Routing
import WorkerProtocol

/// Decides what runs where and when, and what is written. See Dispatcher.swift for its place and its invariants.
///
/// The caller sets the clock with `advance`, feeds inputs, then takes `actions` and, when it wants to write, `takeCommit`. Not safe for
/// several threads. Numbers of routes, pools, workers, lanes and items are places in tables and are used again.
///
/// Equal inputs give equal outputs: nothing here goes through a dictionary or set in its order.
public struct Scheduler {
    /// Events in one worker's inbox at most (CAPELET_SLOTS).
    static let slotCount = 1024
    /// Bytes of one load of rows.
    static let rowLoadBytes = 256 << 10

    /// What is to be done, in order. The caller empties it.
    public internal(set) var actions: [SchedulerAction] = []

    var limits = SchedulerLimits()
    var routes: [RouteSlot] = []
    var pools: [PoolSlot] = []
    var workers: [WorkerSlot] = []
    var lanes: [Lane] = []
    var freeLanes: [Int32] = []
    var items: [Item] = []
    var freeItems: [Int32] = []
    var rows: [LoadedRow?] = []
    var freeRows: [Int32] = []
    var batches: [EventBatch?] = []
    var batchPins: [Int32] = []
    var freeBatches: [Int32] = []

    var poolByLambda: [String: Int32] = [:]
    /// Routes by their number in the journal, those that are not active any more included.
    var routeByID: [RouteID: Int32] = [:]

    /// Joins (several upstreams) that are not complete, with the parts that have come.
    var joins: [JoinKey: [JoinPart]] = [:]
    /// Joins that are complete and failed, in case that what failed is redriven.
    var failedJoins = FailedJoins()
    /// Joins whose dependent is not in the routing file, or was not yet when they were loaded.
    var strayJoins: [JoinKey: [JoinPart]] = [:]
    /// Histories of lanes that have failed and still have items at a worker.
    var asideHistories: [Int32: FailureHistory] = [:]

    var commit = JournalCommit()
    var appendBuffers: [StreamID: RecordBuffer] = [:]
    /// The parts of joins that the present commit adds.
    var joinParts: [JoinKey: [JoinPart]] = [:]
    var dirtyRows: [Int32] = []
    var dirtyRoutes: [Int32] = []
    var hasEffects = false
    /// Bytes of failures and followers in the present commit.
    var commitBytes = 0
    /// Rows of followers that the present commit inserts: index into `commit.deferred`.
    var spilling: [SpillKey: Int] = [:]
    /// Dead letters that were redriven or dropped: the journal may still show them for a moment.
    var goneLetters: Set<Int64> = []

    /// Monotonic microseconds.
    var now: UInt64 = 0
    /// Milliseconds since 1970.
    var wallMillis: Int64 = 0
    var random: SplitMix
    var laneSerial: UInt32 = 0
    var tokenSerial: UInt64 = 1
    var nextRowID: Int64
    /// Nothing new is taken or sent: the journal cannot be written, or the host stops.
    var isStalled = false

    /// Deliberate faults, for the test that the simulator finds them. Empty in service.
    var faults: SchedulerFaults = []

    /// A scheduler without routes and workers.
    ///
    /// - Parameters:
    ///   - seed: for jitter.
    ///   - nextRowID: above every row id that was ever used.
    public init(seed: UInt64, nextRowID: Int64) {
        random = SplitMix(state: seed)
        self.nextRowID = nextRowID
    }

    /// Sets the clock. Never backwards.
    public mutating func advance(nowMicros: UInt64, wallMillis: Int64) {
        if nowMicros > now { now = nowMicros }
        self.wallMillis = wallMillis
    }

    /// Takes what is to be done, leaving room for more.
    public mutating func drainActions(_ body: (SchedulerAction) -> Void) {
        var index = 0
        while index < actions.count {
            body(actions[index])
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
    }

    /// Stops or goes on taking and sending events.
    public mutating func setStalled(_ stalled: Bool) {
        isStalled = stalled
        if !stalled { pumpAll() }
    }

    /// The run that an item stands for.
    public func delivery(_ item: Int32) -> Delivery {
        let entry = items[Int(item)]
        let lane = Int(entry.lane)
        return Delivery(
            record: record(entry), token: entry.token, attempt: attempt(entry), lane: lanes[lane].workerLane,
            epoch: workers[Int(entry.worker)].epochs[Int(lanes[lane].workerLane)])
    }

    /// The domain and lambda that an item's route stands for.
    public func route(ofItem item: Int32) -> RouteID { routes[Int(lanes[Int(items[Int(item)].lane)].route)].id }

    @inline(__always) func record(_ item: Item) -> RecordView { batches[Int(item.batch)].unsafelyUnwrapped.records.view(Int(item.index)) }

    /// Number of the next run of an item, from 1. Only the first event left of a row can have failed before.
    func attempt(_ item: Item) -> UInt32 {
        guard item.row >= 0, let row = rows[Int(item.row)], UInt32(item.index) == row.done else { return 1 }
        return row.history.attempts + 1
    }

    /// A time between 0 and the exponential backoff of this attempt (full jitter), microseconds.
    mutating func backoff(attempts: UInt32, retry: RetrySettings) -> UInt64 {
        let smallest = max(retry.backoffMin.micros, 1)
        let largest = max(retry.backoffMax.micros, smallest)
        let shift = min(attempts > 0 ? attempts - 1 : 0, 40)
        let ceiling = smallest > largest >> UInt64(shift) ? largest : smallest << UInt64(shift)
        // Never under a tenth of the first step: full jitter as such allows 0, which hammers what has just failed.
        return max(random.next(upTo: ceiling), smallest / 10)
    }
}

extension Duration {
    /// The whole microseconds; 0 for negative durations.
    var micros: UInt64 {
        let parts = components
        guard parts.seconds >= 0 else { return 0 }
        return UInt64(parts.seconds) * 1_000_000 + UInt64(max(parts.attoseconds, 0) / 1_000_000_000_000)
    }
}

/// A small generator with a known sequence for each seed (SplitMix64, Steele et al. 2014).
struct SplitMix: Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A number from 0 to `limit`.
    mutating func next(upTo limit: UInt64) -> UInt64 { limit == .max ? next() : next() % (limit + 1) }
}
