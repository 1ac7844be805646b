import Journal
import Routing
import WorkerProtocol

// What becomes of events that did not succeed.

/// Why a run failed, as far as counting goes.
enum FailureCause {
    /// The lambda said so.
    case failure
    /// The lambda said: for good.
    case fatal
    /// It took too long.
    case timeout
    /// Its worker died of it.
    case crash
    /// Its worker was killed from outside.
    case external
}

extension Scheduler {
    /// Kills from outside on one event before it counts as exhausted (SEMANTICS §3.4).
    static let externalKillsMax: UInt32 = 5

    /// The run of a lane's first item has failed. The item has left its worker.
    mutating func fail(_ place: Int, cause: FailureCause, message: String, delayMicros: UInt64) {
        let laneIndex = items[place].lane
        let lane = Int(laneIndex)
        let route = Int(lanes[lane].route)
        let poolIndex = routes[route].pool
        let pool = Int(poolIndex)
        let retry = pools[pool].lambda.retry
        items[place].state = .failed
        items[place].isSuspect = false

        var history = FailureHistory()
        if items[place].row >= 0, let row = rows[Int(items[place].row)] { history = row.history }
        if history.sinceMillis == 0 { history.sinceMillis = wallMillis }
        history.lastMillis = wallMillis
        history.error = String(message.prefix(2048))

        let isProbe = pools[pool].isHolding && cause == .failure
        if pools[pool].isHolding { pools[pool].isProbing = false }
        switch cause {
        case .failure: if !isProbe { history.attempts += 1 }
        case .fatal: history.attempts += 1
        case .timeout:
            history.attempts += 1
            history.crashes += 1
        case .crash:
            history.attempts += 1
            history.crashes += 1
        case .external: history.externalKills += 1
        }

        var reason: String?
        if cause == .fatal {
            reason = "fatal"
        } else if history.attempts >= UInt32(clamping: retry.attempts) {
            reason = "attempts"
        } else if history.crashes >= UInt32(clamping: max(retry.crashes, 1)) {
            reason = "crashes"
        } else if history.externalKills >= Self.externalKillsMax {
            reason = "external-kills"
        }
        if faults.contains(.neverExhaust) { reason = nil }

        if let reason {
            if pools[pool].lambda.exhausted == .park {
                routes[route].counts.parked += 1
                lanes[lane].isParked = true
                asideFailure(laneIndex, history: history, dueMicros: now)
            } else {
                deadLetter(place, reason: reason, history: history)
                if lanes[lane].sent > 0 && !faults.contains(.noBlockAfterFailure) { lanes[lane].isBlocked = true }
                settle(laneIndex)
            }
            return
        }
        if cause == .external {
            // Nobody's fault and nothing to wait for: it runs again at once. The row makes the count durable.
            keepInRow(Int32(place), history: history)
            items[place].state = .waiting
            routes[route].waitingItems += 1
            routes[route].waitingBytes += Int(items[place].bytes)
            settle(laneIndex)
            return
        }
        routes[route].counts.retried += 1
        if cause == .failure { noteFailure(pool: poolIndex, hash: lanes[lane].hash) }
        var delay = max(backoff(attempts: history.attempts, retry: retry), delayMicros)
        if isProbe { delay = max(delay, pools[pool].probeDelayMicros) }
        asideFailure(laneIndex, history: history, dueMicros: now &+ delay)
    }

    /// Remembers when a lane's first item runs again and sets the lane aside as soon as nothing of it is at a worker.
    private mutating func asideFailure(_ laneIndex: Int32, history: FailureHistory, dueMicros: UInt64) {
        let lane = Int(laneIndex)
        asideHistories[laneIndex] = history
        lanes[lane].hasFailed = true
        lanes[lane].dueMicros = dueMicros
        if !faults.contains(.noBlockAfterFailure) || lanes[lane].sent == 0 { lanes[lane].isBlocked = true }
        settle(laneIndex)
    }

    /// Puts everything of a lane onto disk: its first item's failure, and what waits behind it. Nothing of it is at a worker.
    mutating func setAside(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        let routeIndex = lanes[lane].route
        let route = Int(routeIndex)
        lanes[lane].hasFailed = false
        let history = asideHistories.removeValue(forKey: laneIndex) ?? FailureHistory()
        let dueMillis = wallMillis + Int64((lanes[lane].dueMicros - min(now, lanes[lane].dueMicros)) / 1000)
        let state: DeferredState = lanes[lane].isParked ? .parked : .deferred

        var place = lanes[lane].head
        var isHead = true
        var lastRow: Int32 = -1
        var followers = RecordBuffer(capacity: 256)
        while place >= 0 {
            let item = items[Int(place)]
            let next = item.next
            if item.row >= 0 {
                if item.row != lastRow {
                    lastRow = item.row
                    lanes[lane].rowsUnloaded += 1
                }
                if isHead, var row = rows[Int(item.row)] {
                    row.history = history
                    commit.deferred.append(.update(id: row.id, done: row.done, state: state, dueMillis: dueMillis, history: history))
                    row.isDirty = false
                    rows[Int(item.row)] = row
                }
            } else if isHead {
                let view = record(item)
                let copy = RecordBuffer(capacity: Int(item.bytes), count: 1)
                copy.append(copying: view.header)
                if !faults.contains(.forgetDeferredRow) {
                    commit.deferred.append(
                        .insert(
                            DeferredRow(
                                id: takeRowID(lane: laneIndex), route: routes[route].id, subjectHash: lanes[lane].hash, records: copy, state: state,
                                dueMillis: dueMillis, history: history)))
                    lanes[lane].rowsUnloaded += 1
                    routes[route].deferredBytes += Int(item.bytes)
                }
                routes[route].done.insert(item.position)
                routes[route].isDirty = true
            } else {
                followers.append(copying: record(item).header)
                routes[route].done.insert(item.position)
                routes[route].isDirty = true
                if next < 0 || followers.count >= Self.rowEventsMax || followers.size >= Self.rowLoadBytes {
                    insertFollowers(followers, lane: laneIndex)
                    followers = RecordBuffer(capacity: 256)
                }
            }
            if item.state != .failed {
                routes[route].waitingItems -= 1
                routes[route].waitingBytes -= Int(item.bytes)
            }
            freeItem(place)
            isHead = false
            place = next
            if item.row >= 0, place < 0 || items[Int(place)].row != item.row { releaseRow(item.row) }
        }
        lanes[lane].head = -1
        lanes[lane].tail = -1
        lanes[lane].firstWaiting = -1
        lanes[lane].count = 0
        lanes[lane].loadedThrough = 0
        lanes[lane].isOnProbation = true
        routes[route].laneAsideCount += 1
        if lanes[lane].rowsUnloaded == 0 {
            // Only with a deliberate fault.
            if lanes[lane].queued == .none { freeLane(laneIndex) }
            return
        }
        schedule(laneIndex)
    }

    private mutating func insertFollowers(_ records: RecordBuffer, lane laneIndex: Int32) {
        let lane = Int(laneIndex)
        let route = Int(lanes[lane].route)
        commit.deferred.append(
            .insert(
                DeferredRow(
                    id: takeRowID(lane: laneIndex), route: routes[route].id, subjectHash: lanes[lane].hash, records: records, state: .behind,
                    dueMillis: wallMillis, history: FailureHistory())))
        lanes[lane].rowsUnloaded += 1
        routes[route].deferredBytes += records.size
    }

    /// A row whose items have all left memory while it is still on disk.
    private mutating func releaseRow(_ place: Int32) {
        if let row = rows[Int(place)], row.isDirty {
            commit.deferred.append(
                .update(id: row.id, done: row.done, state: .behind, dueMillis: wallMillis, history: row.history))
        }
        dirtyRows.removeAll { $0 == place }
        freeRow(place)
    }

    /// Puts a lane into the heap of due lanes, unless its rows wait for an operator.
    mutating func schedule(_ laneIndex: Int32) {
        let lane = lanes[Int(laneIndex)]
        guard !lane.isParked else { return }
        let pool = Int(routes[Int(lane.route)].pool)
        pools[pool].due.push(DueHeap.Entry(dueMicros: lane.dueMicros, lane: laneIndex, serial: lane.serial))
    }

    /// Gives up on a lane's first item.
    mutating func deadLetter(_ place: Int, reason: String, history: FailureHistory) {
        let item = items[place]
        let route = lanes[Int(item.lane)].route
        let view = record(item)
        let copy = RecordBuffer(capacity: Int(item.bytes), count: 1)
        copy.append(copying: view.header)
        routes[Int(route)].counts.dead += 1
        if !faults.contains(.forgetDeadLetter) {
            commit.dead.append(
                DeadLetter(
                    id: takeRowID(), route: routes[Int(route)].id, records: copy, atMillis: wallMillis, reason: reason, history: history))
        }
        skipDependents(route: route, view: view)
        finish(Int32(place))
    }

    /// Makes sure that a row keeps a lane's first item while it goes on in memory, with this history.
    mutating func keepInRow(_ place: Int32, history: FailureHistory) {
        let index = Int(place)
        let laneIndex = items[index].lane
        let route = lanes[Int(laneIndex)].route
        if items[index].row >= 0 {
            rows[Int(items[index].row)]?.history = history
            markDirty(items[index].row)
            return
        }
        let copy = RecordBuffer(capacity: Int(items[index].bytes), count: 1)
        copy.append(copying: record(items[index]).header)
        let id = takeRowID(lane: laneIndex)
        commit.deferred.append(
            .insert(
                DeferredRow(
                    id: id, route: routes[Int(route)].id, subjectHash: lanes[Int(laneIndex)].hash, records: copy, state: .open,
                    dueMillis: wallMillis, history: history)))
        routes[Int(route)].deferredBytes += Int(items[index].bytes)
        routes[Int(route)].done.insert(items[index].position)
        routes[Int(route)].isDirty = true
        // The item's record now lies in a batch of its own, so that it does not pin that of the window.
        let batch = makeBatch(EventBatch(stream: routes[Int(route)].stream, base: 0, records: copy))
        pin(batch)
        unpin(items[index].batch)
        items[index].batch = batch
        items[index].index = 0
        items[index].position = .max
        items[index].row = makeRow(
            LoadedRow(id: id, count: 1, done: 0, bytes: copy.size, history: history, route: route, isOpen: true))
        lanes[Int(laneIndex)].loadedThrough = max(lanes[Int(laneIndex)].loadedThrough, id)
    }

    // MARK: an outage behind a lambda (SEMANTICS §4.2)

    private mutating func noteFailure(pool: Int32, hash: UInt64) {
        let index = Int(pool)
        if pools[index].isHolding {
            let retry = pools[index].lambda.retry
            pools[index].probeDelayMicros = min(max(pools[index].probeDelayMicros * 2, 1000), max(retry.backoffMax.micros, 1000))
            pools[index].probeDueMicros = now &+ pools[index].probeDelayMicros / 2 &+ random.next(upTo: pools[index].probeDelayMicros / 2)
            return
        }
        if pools[index].failedLast != hash { pools[index].failStreak += 1 }
        pools[index].failedLast = hash
        guard pools[index].failStreak >= Self.failStreakMax else { return }
        pools[index].isHolding = true
        pools[index].isProbing = false
        pools[index].probeDelayMicros = max(pools[index].lambda.retry.backoffMin.micros, 1000)
        pools[index].probeDueMicros = now &+ random.next(upTo: pools[index].probeDelayMicros)
        for worker in pools[index].workers { requestWithdrawal(worker) }
    }

    mutating func endHold(_ pool: Int32) {
        pools[Int(pool)].isHolding = false
        pools[Int(pool)].isProbing = false
        pools[Int(pool)].failStreak = 0
    }
}
