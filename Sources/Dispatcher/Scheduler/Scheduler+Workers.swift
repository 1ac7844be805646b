import Journal
import Routing
import WorkerProtocol

// Workers come, go and take too long.

extension Scheduler {
    /// A worker of this lambda is ready. Returns its number.
    public mutating func workerReady(lambda: String) -> Int32? {
        guard let pool = poolByLambda[lambda], pools[Int(pool)].isLive else { return nil }
        let slot = WorkerSlot(
            pool: pool, queue: Array(repeating: -1, count: Self.slotCount), freeLanes: (0..<UInt32(Self.slotCount)).reversed(),
            epochs: Array(repeating: 0, count: Self.slotCount), lastMicros: now)
        let place: Int32
        if let free = workers.firstIndex(where: { !$0.isLive }) {
            workers[free] = slot
            place = Int32(free)
        } else {
            workers.append(slot)
            place = Int32(workers.count - 1)
        }
        pools[Int(pool)].workers.append(place)
        pump(pool: pool)
        return place
    }

    /// Nothing new goes to this worker; what it has not begun is taken back; `retired` follows when it has nothing left.
    public mutating func retire(worker: Int32) {
        let slot = Int(worker)
        guard workers[slot].isLive, !workers[slot].isRetiring else { return }
        workers[slot].isRetiring = true
        let pool = workers[slot].pool
        pools[Int(pool)].workers.removeAll { $0 == worker }
        abandonQuarantine(worker)
        if workers[slot].inFlight == 0 {
            reportRetired(worker)
        } else {
            requestWithdrawal(worker)
        }
        for lane in emptyReadyList(worker) { settle(lane) }
        pump(pool: pool)
    }

    mutating func reportRetired(_ worker: Int32) { actions.append(.retired(worker: worker)) }

    mutating func requestWithdrawal(_ worker: Int32) {
        let slot = workers[Int(worker)]
        guard !slot.isWithdrawing, slot.sentNumber != slot.claimedNumber else { return }
        workers[Int(worker)].isWithdrawing = true
        actions.append(.withdraw(worker: worker))
    }

    /// The engine took back the last `count` events that were sent to this worker: it has not begun and will not begin them.
    public mutating func withdrawn(worker: Int32, count: Int) {
        let slot = Int(worker)
        guard workers[slot].isLive else { return }
        workers[slot].isWithdrawing = false
        var touched: [Int32] = []
        for _ in 0..<count {
            workers[slot].sentNumber &-= 1
            let place = Int(workers[slot].queue[Int(workers[slot].sentNumber) & (Self.slotCount - 1)])
            let lane = items[place].lane
            leaveWorker(place, worker: slot)
            if faults.contains(.forgetWithdrawn) {
                items[place].state = .failed
                continue
            }
            putBack(place)
            if !lanes[Int(lane)].isBlocked { lanes[Int(lane)].firstWaiting = Int32(place) }
            if touched.last != lane { touched.append(lane) }
        }
        pools[Int(workers[slot].pool)].isProbing = false
        for lane in touched { settle(lane) }
        if workers[slot].isQuarantine { pumpQuarantine(workers[slot].pool) }
        pump(pool: workers[slot].pool)
        if workers[slot].isRetiring && workers[slot].inFlight == 0 { reportRetired(worker) }
    }

    /// A worker and all its descendants are dead. Its answers have been fed in, and the last `claimed` number.
    ///
    /// What it had begun is suspect; what it had not goes back. `message` says how it died.
    public mutating func workerDied(worker: Int32, cause: DeathCause, message: String) {
        let slot = Int(worker)
        guard workers[slot].isLive else { return }
        let poolIndex = workers[slot].pool
        pools[Int(poolIndex)].workers.removeAll { $0 == worker }
        pools[Int(poolIndex)].isProbing = false
        abandonQuarantine(worker)

        // In the order in which they were sent, so that lanes are put together again in theirs. Pending items may be far behind the claimed number.
        var held: [Int32] = []
        for place in items.indices where items[place].worker == worker && items[place].token != 0 { held.append(Int32(place)) }
        held.sort { items[Int($0)].token >> 24 < items[Int($1)].token >> 24 }

        let begun = held.filter { items[Int($0)].state == .started || items[Int($0)].state == .pending }
        // A run that was known to take too long explains a timeout; otherwise each that had begun may be to blame.
        let blamed = cause == .timeout ? begun.filter { items[Int($0)].isTimedOut } : begun
        let isBlameClear = blamed.count == 1
        var touched: [Int32] = []
        var failed: [Int32] = []
        for place in held {
            let index = Int(place)
            let lane = items[index].lane
            let wasBlamed = blamed.contains(place)
            let hadBegun = items[index].state == .started || items[index].state == .pending
            leaveWorker(index, worker: slot)
            if faults.contains(.doneWhenInterrupted) && hadBegun {
                routes[Int(lanes[Int(lane)].route)].done.insert(items[index].position)
            }
            if faults.contains(.forgetUnclaimed) && !hadBegun {
                items[index].state = .failed
                continue
            }
            putBack(index)
            if touched.last != lane { touched.append(lane) }
            guard wasBlamed, cause != .host else { continue }
            if isBlameClear || cause == .external || cause == .timeout {
                failed.append(place)
            } else {
                items[index].isSuspect = true
            }
        }
        // A lane may sit on the dead worker's ready list.
        let listed = emptyReadyList(worker)
        workers[slot].isLive = false
        for place in failed {
            let index = Int(place)
            let laneIndex = items[index].lane
            let route = Int(lanes[Int(laneIndex)].route)
            // Nothing of the lane is at a worker any more; `fail` takes its first item.
            lanes[Int(laneIndex)].isBlocked = false
            unbindDead(laneIndex)
            guard lanes[Int(laneIndex)].head == place else { continue }
            routes[route].waitingItems -= 1
            routes[route].waitingBytes -= Int(items[index].bytes)
            switch cause {
            case .fault: fail(index, cause: .crash, message: message, delayMicros: 0)
            case .timeout: fail(index, cause: .timeout, message: timeoutMessage(route: lanes[Int(laneIndex)].route), delayMicros: 0)
            case .external: fail(index, cause: .external, message: message, delayMicros: 0)
            case .host: break
            }
        }
        for lane in touched where lanes[Int(lane)].isLive {
            unbindDead(lane)
            settle(lane)
        }
        for lane in listed where lanes[Int(lane)].isLive {
            unbindDead(lane)
            settle(lane)
        }
        pump(pool: poolIndex)
    }

    /// Takes a lane's number at a dead worker away without giving it back.
    private mutating func unbindDead(_ lane: Int32) {
        if lanes[Int(lane)].sent == 0, lanes[Int(lane)].worker >= 0, !workers[Int(lanes[Int(lane)].worker)].isLive { lanes[Int(lane)].worker = -1 }
    }

    private mutating func abandonQuarantine(_ worker: Int32) {
        let pool = Int(workers[Int(worker)].pool)
        guard workers[Int(worker)].isQuarantine else { return }
        workers[Int(worker)].isQuarantine = false
        if pools[pool].quarantineWorker == worker { pools[pool].quarantineWorker = -1 }
    }

    /// A worker whose run had timed out has answered everything in time after all: it may go on.
    mutating func liftCondemnation(_ worker: Int32) {
        workers[Int(worker)].isCondemned = false
    }

    /// Looks after everything that depends on the clock. Call at least every 50 ms, and when `nextWakeMicros` has come.
    public mutating func tick() {
        for index in workers.indices where workers[index].isLive && workers[index].inFlight > 0 { checkDeadlines(Int32(index)) }
        for index in pools.indices where pools[index].isLive { runDue(pool: Int32(index)) }
        for index in routes.indices where routes[index].isActive { loadAhead(Int32(index)) }
        pumpAll()
    }

    private mutating func checkDeadlines(_ worker: Int32) {
        let slot = Int(worker)
        guard workers[slot].open > 0 else { return }
        if workers[slot].isCondemned && now >= workers[slot].killMicros {
            workers[slot].killMicros = .max
            actions.append(.killForTimeout(worker: worker))
            return
        }
        let pool = Int(workers[slot].pool)
        let grace = pools[pool].lambda.limits.grace.micros
        if workers[slot].open <= 4 && !pools[pool].hasPending {
            // Those begun and not answered are the last ones before the claimed number.
            var number = workers[slot].claimedNumber
            var left = workers[slot].open
            var looked = 0
            while left > 0 && looked < Self.slotCount {
                number &-= 1
                looked += 1
                let place = workers[slot].queue[Int(number) & (Self.slotCount - 1)]
                if place >= 0, items[Int(place)].worker == worker, items[Int(place)].state == .started {
                    left -= 1
                    checkDeadline(place, worker: worker, grace: grace)
                }
            }
        } else {
            for place in items.indices
            where items[place].worker == worker && (items[place].state == .started || items[place].state == .pending) {
                checkDeadline(Int32(place), worker: worker, grace: grace)
            }
        }
    }

    private mutating func checkDeadline(_ place: Int32, worker: Int32, grace: UInt64) {
        let index = Int(place)
        let slot = Int(worker)
        let item = items[index]
        if now >= item.deadlineMicros && !item.isTimedOut {
            items[index].isTimedOut = true
            actions.append(.cancel(worker: worker, token: item.token))
            if !workers[slot].isCondemned {
                workers[slot].isCondemned = true
                workers[slot].killMicros = now &+ grace
                requestWithdrawal(worker)
                for lane in emptyReadyList(worker) { settle(lane) }
            }
            return
        }
        if now &- item.startedMicros > Self.stuckMicros && item.startedMicros < now && item.state == .started {
            // Others need not wait behind this one.
            let pool = Int(workers[slot].pool)
            if pools[pool].workers.count > 1 && !workers[slot].isStuck {
                workers[slot].isStuck = true
                requestWithdrawal(worker)
            }
        }
        if item.startedMicros < now, now &- item.startedMicros > Self.openMicrosMax, item.row < 0, lanes[Int(item.lane)].head == place {
            var history = FailureHistory()
            history.sinceMillis = 0
            keepInRow(place, history: history)
        }
    }

    /// When `tick` should be called next at the latest, if nothing else happens. Monotonic microseconds.
    public var nextWakeMicros: UInt64 {
        var next = now &+ 50_000
        for pool in pools where pool.isLive {
            if let due = pool.due.first { next = min(next, max(due.dueMicros, now &+ 1000)) }
        }
        return next
    }
}
