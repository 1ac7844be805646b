public import Journal
import Routing
import WorkerProtocol

/// Decides what runs where and when, and what is written. See Dispatcher.swift for its place and its invariants.
///
/// The caller sets the clock with `advance`, feeds inputs, then takes `actions` and, when it wants to write, `takeCommit`. Not safe for
/// several threads. Numbers of routes, pools, workers, lanes and items are places in tables and are used again.
public struct Scheduler {
    /// Events in one worker's inbox at most (CAPELET_SLOTS).
    static let slotCount = 1024
    /// Bytes in one worker's inbox at most; leaves room for what the worker has not released.
    static let inboxBytesMax = 512 << 10
    /// Work queued ahead in one worker, microseconds.
    static let queueAheadMicros = 4000.0
    /// Bytes that are loaded ahead for one route.
    static let loadBytesMax = 4 << 20
    /// Bytes of followers that wait in memory, for one route (SEMANTICS §4.1).
    static let waitingBytesMax = 1 << 20
    /// How long an event may run before a row keeps it, so that the watermark can pass.
    static let openMicrosMax: UInt64 = 10_000_000
    /// How long an event runs before what waits behind it in the same worker is given to others.
    static let stuckMicros: UInt64 = 20_000
    /// Bytes of deferred rows for one route before its cursor holds.
    static let deferredBytesMax = 1 << 30
    /// Events in one row of followers.
    static let rowEventsMax = 512
    /// Bytes of one load of rows.
    static let rowLoadBytes = 256 << 10
    /// Different subjects that have to fail in a row before the lambda holds.
    static let failStreakMax = 20

    /// What is to be done, in order. The caller empties it.
    public internal(set) var actions: [SchedulerAction] = []

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
    var routeByID: [RouteID: Int32] = [:]

    /// Joins (several upstreams) that are not complete, with the parts that have come.
    var joins: [JoinKey: [JoinPart]] = [:]
    /// Histories of lanes that have failed and still have items at a worker.
    var asideHistories: [Int32: FailureHistory] = [:]

    var commit = JournalCommit()
    var appendBuffers: [StreamID: RecordBuffer] = [:]
    var dirtyRows: [Int32] = []
    var hasEffects = false
    /// Rows of followers that the present commit inserts: index into `commit.deferred`.
    var spilling: [SpillKey: Int] = [:]

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
    var faults: Set<SchedulerFault> = []

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
        let lane = lanes[Int(entry.lane)]
        return Delivery(
            record: record(entry), token: entry.token, attempt: attempt(entry), lane: lane.workerLane,
            epoch: workers[Int(entry.worker)].epochs[Int(lane.workerLane)])
    }

    /// The domain and lambda that an item's route stands for.
    public func route(ofItem item: Int32) -> RouteID { routes[Int(lanes[Int(items[Int(item)].lane)].route)].id }

    func record(_ item: Item) -> RecordView { batches[Int(item.batch)].unsafelyUnwrapped.records.view(Int(item.index)) }

    /// Number of the next run of an item, from 1. Only the first event left of a row can have failed before.
    func attempt(_ item: Item) -> UInt32 {
        guard item.row >= 0, let row = rows[Int(item.row)], UInt32(item.index) == row.done else { return 1 }
        return row.history.attempts + 1
    }

    // MARK: places in the tables

    mutating func makeItem(_ item: Item) -> Int32 {
        pin(item.batch)
        if let place = freeItems.popLast() {
            items[Int(place)] = item
            return place
        }
        items.append(item)
        return Int32(items.count - 1)
    }

    mutating func freeItem(_ place: Int32) {
        unpin(items[Int(place)].batch)
        items[Int(place)].token = 0
        items[Int(place)].worker = -1
        freeItems.append(place)
    }

    mutating func makeBatch(_ batch: EventBatch) -> Int32 {
        if let place = freeBatches.popLast() {
            batches[Int(place)] = batch
            batchPins[Int(place)] = 0
            return place
        }
        batches.append(batch)
        batchPins.append(0)
        return Int32(batches.count - 1)
    }

    @inline(__always) mutating func pin(_ place: Int32) { batchPins[Int(place)] += 1 }

    @inline(__always) mutating func unpin(_ place: Int32) {
        batchPins[Int(place)] -= 1
        if batchPins[Int(place)] == 0 {
            batches[Int(place)] = nil
            freeBatches.append(place)
        }
    }

    mutating func makeRow(_ row: LoadedRow) -> Int32 {
        if let place = freeRows.popLast() {
            rows[Int(place)] = row
            return place
        }
        rows.append(row)
        return Int32(rows.count - 1)
    }

    mutating func freeRow(_ place: Int32) {
        rows[Int(place)] = nil
        freeRows.append(place)
    }

    mutating func makeLane(route: Int32, hash: UInt64) -> Int32 {
        laneSerial &+= 1
        let lane = Lane(hash: hash, route: route, serial: laneSerial)
        let place: Int32
        if let free = freeLanes.popLast() {
            lanes[Int(free)] = lane
            place = free
        } else {
            lanes.append(lane)
            place = Int32(lanes.count - 1)
        }
        routes[Int(route)].lanes.insert(hash, place)
        return place
    }

    mutating func freeLane(_ place: Int32) {
        let lane = lanes[Int(place)]
        routes[Int(lane.route)].lanes.remove(lane.hash)
        lanes[Int(place)].isLive = false
        freeLanes.append(place)
    }

    /// Puts an item at the end of its lane.
    mutating func append(_ place: Int32, to laneIndex: Int32) {
        let lane = Int(laneIndex)
        if lanes[lane].tail < 0 {
            lanes[lane].head = place
        } else {
            items[Int(lanes[lane].tail)].next = place
        }
        lanes[lane].tail = place
        lanes[lane].count += 1
        if lanes[lane].firstWaiting < 0 && !lanes[lane].isBlocked { lanes[lane].firstWaiting = place }
        let route = Int(lanes[lane].route)
        routes[route].waitingItems += 1
        routes[route].waitingBytes += Int(items[Int(place)].bytes)
    }

    mutating func takeRowID() -> Int64 {
        defer { nextRowID += 1 }
        return nextRowID
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

/// Deliberate faults: each breaks one rule, and the simulator has to find it (Tests/DispatcherTests/MutationTests).
enum SchedulerFault: String, CaseIterable, Sendable {
    /// Sends an event although one of its subject is at another worker.
    case ignoreLaneWorker
    /// Counts an event as done when it is sent.
    case doneWhenSent
    /// Does not write the row of an event that failed.
    case forgetDeferredRow
    /// Leaves a lane unblocked after a failure.
    case noBlockAfterFailure
    /// Takes a result of an earlier run for one of the present.
    case noFence
    /// Drops what was withdrawn.
    case forgetWithdrawn
    /// Drops the events that a dead worker had not begun.
    case forgetUnclaimed
    /// Commits emitted events of runs that failed.
    case emitOnFailure
    /// Loses emitted events.
    case forgetEmits
    /// Lets new events of a set-aside subject run before its rows.
    case overtakeRows
    /// Takes an interrupted event for done.
    case doneWhenInterrupted
    /// Does not hand on to the lambdas that come after.
    case forgetHandOn
    /// Hands on before the upstream has succeeded.
    case handOnFailures
    /// Puts rows of a loaded subject at the end of the wrong order.
    case reverseRows
    /// Never dead-letters: loops for ever.
    case neverExhaust
    /// Passes a dead letter without writing it.
    case forgetDeadLetter
    /// Sends a second event of a subject while the first is pending.
    case overlapPending
}
