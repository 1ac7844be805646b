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
        let pool = Int(routes[route].pool)
        let retry = pools[pool].lambda.retry
        items[place].state = .failed

        var history = FailureHistory()
        if items[place].row >= 0, let row = rows[Int(items[place].row)] { history = row.history }
        if history.sinceMillis == 0 { history.sinceMillis = wallMillis }
        history.lastMillis = wallMillis
        history.error = String(message.prefix(2048))
        // After a crash it runs alone: the next one is then certainly its own, whatever its worker said of this one. It is no longer suspect when it
        // came to an end of its own.
        switch cause {
        case .crash: history.isSuspect = !faults.contains(.retryInCompany)
        case .external: history.isSuspect = items[place].isSuspect
        case .failure, .fatal, .timeout: history.isSuspect = false
        }

        // A probe of a lambda that holds uses up no attempts; a crash is the event's own all the same.
        let isProbe = items[place].isProbe && pools[pool].isHolding
        let isOutage = cause == .failure || cause == .timeout
        switch cause {
        case .failure: if !isProbe { history.attempts += 1 }
        case .fatal: history.attempts += 1
        case .timeout:
            if !isProbe {
                history.attempts += 1
                history.crashes += 1
            }
        case .crash:
            history.attempts += 1
            history.crashes += 1
        case .external: history.externalKills += 1
        }
        if isOutage { noteFailure(pool: pool, hash: lanes[lane].hash, isProbe: isProbe) }

        if !(isProbe && isOutage), let reason = exhaustion(history, cause: cause, retry: retry) {
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
            // Nobody's fault and nothing to wait for: it runs again at once. The row makes the count durable. If it is suspect it stays so.
            keepHead(Int32(place), history: history)
            putBack(place)
            settle(laneIndex)
            return
        }
        routes[route].counts.retried += 1
        var delay = max(backoff(attempts: max(history.attempts, 1), retry: retry), delayMicros)
        if isProbe { delay = max(delay, pools[pool].probeDelayMicros) }
        asideFailure(laneIndex, history: history, dueMicros: now &+ delay)
    }

    /// Why an event is given up on; nil: it is not.
    private func exhaustion(_ history: FailureHistory, cause: FailureCause, retry: RetrySettings) -> String? {
        if faults.contains(.neverExhaust) { return nil }
        if cause == .fatal { return "fatal" }
        if history.attempts >= UInt32(clamping: max(retry.attempts, 1)) { return "attempts" }
        if history.crashes >= UInt32(clamping: max(retry.crashes, 1)) { return "crashes" }
        if history.externalKills >= Self.externalKillsMax { return "external-kills" }
        return nil
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

    /// Puts everything of a lane onto disk: its first item's failure, if it has failed, and what waits behind it. Nothing of it is at a worker.
    mutating func setAside(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        let route = Int(lanes[lane].route)
        dequeue(laneIndex)
        let failure = asideHistories.removeValue(forKey: laneIndex)
        let hasFailed = lanes[lane].hasFailed
        lanes[lane].hasFailed = false
        let dueMillis = wallMillis + Int64((lanes[lane].dueMicros - min(now, lanes[lane].dueMicros)) / 1000)
        let state: DeferredState = lanes[lane].isParked ? .parked : hasFailed ? .deferred : .behind
        var followers = RecordBuffer(capacity: 256)
        var place = lanes[lane].head
        let headRow = place >= 0 ? items[Int(place)].row : -1
        var isHead = true
        while place >= 0 {
            let item = items[Int(place)]
            let next = item.next
            if item.row >= 0 {
                if isHead, let failure {
                    rows[Int(item.row)]?.history = failure
                    rows[Int(item.row)]?.isDirty = true
                }
                if next < 0 || items[Int(next)].row != item.row {
                    lanes[lane].rowsUnloaded += 1
                    release(row: item.row, state: item.row == headRow ? state : .behind, dueMillis: dueMillis)
                }
            } else {
                if !(faults.contains(.forgetDeferredRow) && isHead) && !(faults.contains(.forgetRemoved) && !hasFailed) {
                    followers.append(copying: record(item).header)
                }
                finish(position: item.position, route: route)
                let isFull = followers.count >= limits.rowEventsMax || followers.size >= limits.rowBytesMax
                // A failed event has a row of its own: its history is not that of those behind it.
                if followers.count > 0, next < 0 || isFull || (isHead && hasFailed) {
                    insertRow(followers, lane: lane, state: isHead ? state : .behind, dueMillis: dueMillis, history: isHead ? failure : nil)
                    followers = RecordBuffer(capacity: 256)
                }
            }
            if item.state != .failed { uncountWaiting(place, route: route) }
            freeItem(place)
            isHead = false
            place = next
        }
        lanes[lane].head = -1
        lanes[lane].tail = -1
        lanes[lane].firstWaiting = -1
        lanes[lane].count = 0
        lanes[lane].loadedThrough = 0
        lanes[lane].isOnProbation = true
        if lanes[lane].rowsUnloaded > 0 {
            schedule(laneIndex)
        } else if !lanes[lane].isLoading {
            freeLane(laneIndex)
        }
    }

    private mutating func insertRow(_ records: RecordBuffer, lane: Int, state: DeferredState, dueMillis: Int64, history: FailureHistory?) {
        let route = Int(lanes[lane].route)
        commit.deferred.append(
            .insert(
                DeferredRow(
                    id: takeRowID(), route: routes[route].id, subjectHash: lanes[lane].hash, records: records, state: state,
                    dueMillis: dueMillis, history: history ?? FailureHistory())))
        lanes[lane].rowsUnloaded += 1
        routes[route].deferredBytes += records.size
        commitBytes += records.size
    }

    /// A row leaves memory while it is still on disk.
    private mutating func release(row place: Int32, state: DeferredState, dueMillis: Int64) {
        if let row = rows[Int(place)], row.isDirty || state != .behind {
            commit.deferred.append(.update(id: row.id, done: row.done, state: state, dueMillis: dueMillis, history: row.history))
        }
        freeRow(place)
    }

    /// Puts a lane into the heap of due lanes, unless its rows wait for an operator.
    mutating func schedule(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        let route = Int(lanes[lane].route)
        guard routes[route].isActive, !lanes[lane].isParked || faults.contains(.ignoreParked) else { return }
        pools[Int(routes[route].pool)].due.push(
            DueHeap.Entry(dueMicros: lanes[lane].dueMicros, lane: laneIndex, serial: lanes[lane].serial))
    }

    /// Gives up on a lane's first item, which has left its worker.
    private mutating func deadLetter(_ place: Int, reason: String, history: FailureHistory) {
        let route = lanes[Int(items[place].lane)].route
        let view = record(items[place])
        let copy = RecordBuffer(capacity: Int(items[place].bytes), count: 1)
        copy.append(copying: view.header)
        var history = history
        history.isSuspect = false
        routes[Int(route)].counts.dead += 1
        commitBytes += copy.size
        if !faults.contains(.forgetDeadLetter) {
            commit.dead.append(
                DeadLetter(
                    id: takeRowID(), route: routes[Int(route)].id, records: copy, atMillis: wallMillis, reason: reason, history: history))
        }
        skipDependents(route: route, view: view)
        finish(Int32(place))
    }

    // MARK: an outage behind a lambda (SEMANTICS §4.2)

    private mutating func noteFailure(pool: Int, hash: UInt64, isProbe: Bool) {
        if pools[pool].isHolding {
            guard isProbe else { return }
            let longest = max(pools[pool].lambda.retry.backoffMax.micros, 1000)
            pools[pool].probeDelayMicros = min(max(pools[pool].probeDelayMicros * 2, 1000), longest)
            pools[pool].probeDueMicros = now &+ pools[pool].probeDelayMicros / 2 &+ random.next(upTo: pools[pool].probeDelayMicros / 2)
            return
        }
        if !pools[pool].failedSubjects.contains(hash) { pools[pool].failedSubjects.append(hash) }
        guard pools[pool].failedSubjects.count >= limits.failStreakMax else { return }
        pools[pool].failedSubjects.removeAll()
        pools[pool].isHolding = true
        pools[pool].isProbing = false
        pools[pool].probeDelayMicros = max(pools[pool].lambda.retry.backoffMin.micros, 1000)
        pools[pool].probeDueMicros = now &+ random.next(upTo: pools[pool].probeDelayMicros)
        for worker in pools[pool].workers { requestWithdrawal(worker) }
    }

    mutating func endHold(_ pool: Int32) {
        pools[Int(pool)].isHolding = false
        pools[Int(pool)].isProbing = false
        pools[Int(pool)].failedSubjects.removeAll()
    }
}
