import Journal
import Routing
import WorkerProtocol

// Workers come, go and take too long.

extension Scheduler {
    /// A worker of this lambda is ready. Returns its number.
    public mutating func workerReady(lambda: String) -> Int32? {
        guard let pool = poolByLambda[lambda] else { return nil }
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
        requestWithdrawal(worker)
        emptyReadyList(worker)
        reportIfRetired(worker)
        pump(pool: pool)
    }

    mutating func reportIfRetired(_ worker: Int32) {
        let slot = Int(worker)
        guard workers[slot].isLive, workers[slot].isRetiring, workers[slot].inFlight == 0, !workers[slot].isRetired, !workers[slot].isDoomed
        else { return }
        workers[slot].isRetired = true
        actions.append(.retired(worker: worker))
    }

    mutating func requestWithdrawal(_ worker: Int32) {
        let slot = Int(worker)
        guard workers[slot].isLive, !workers[slot].isWithdrawing, workers[slot].sentNumber != workers[slot].claimedNumber else { return }
        workers[slot].isWithdrawing = true
        actions.append(.withdraw(worker: worker))
    }

    /// Lanes that wait for a worker which gets nothing new: those that still have something there come back when it is answered.
    private mutating func emptyReadyList(_ worker: Int32) {
        while workers[Int(worker)].ready.head >= 0 { dequeue(workers[Int(worker)].ready.head) }
    }

    /// The engine took back the last `count` events that were sent to this worker: it has not begun and will not begin them.
    public mutating func withdrawn(worker: Int32, count: Int) {
        let slot = Int(worker)
        guard workers[slot].isLive else { return }
        workers[slot].isWithdrawing = false
        var touched: [Int32] = []
        for _ in 0..<min(count, Int(workers[slot].sentNumber &- workers[slot].claimedNumber)) {
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
        for lane in touched { settle(lane) }
        pumpWorker(worker)
        pump(pool: workers[slot].pool)
        reportIfRetired(worker)
    }

    /// A worker and all its descendants are dead. Its answers have been fed in, and the last `claimed` number.
    ///
    /// What it had begun is suspect; what it had not goes back. `message` says how it died.
    ///
    /// - Returns: whether the death is put down to events: then it says nothing about the lambda as such.
    @discardableResult
    public mutating func workerDied(worker: Int32, cause: DeathCause, message: String) -> Bool {
        let slot = Int(worker)
        guard workers[slot].isLive else { return false }
        let pool = workers[slot].pool
        pools[Int(pool)].workers.removeAll { $0 == worker }
        abandonQuarantine(worker)
        emptyReadyList(worker)

        // In the order in which they were sent, so that lanes are put together again in theirs: first what it has begun.
        let begun = workers[slot].open.sorted { items[Int($0)].token < items[Int($1)].token }
        var held = begun
        while workers[slot].claimedNumber != workers[slot].sentNumber {
            held.append(workers[slot].queue[Int(workers[slot].claimedNumber) & (Self.slotCount - 1)])
            workers[slot].claimedNumber &+= 1
        }
        workers[slot].isLive = false

        let failed = blame(cause, begun: begun, held: held, isOverCPU: workers[slot].isOverCPU)
        var touched: [Int32] = []
        for (index, place) in held.enumerated() {
            let hasBegun = index < begun.count
            let lane = Int(items[Int(place)].lane)
            leaveWorker(Int(place), worker: slot)
            if faults.contains(.forgetUnclaimed) && !hasBegun {
                items[Int(place)].state = .failed
                continue
            }
            putBack(Int(place))
            if faults.contains(.doneWhenInterrupted) && hasBegun && lanes[lane].head == place {
                uncountWaiting(place, route: Int(lanes[lane].route))
                finish(place)
            }
            if touched.last != Int32(lane) { touched.append(Int32(lane)) }
        }
        // Lane numbers at a dead worker are not given back.
        for lane in touched where lanes[Int(lane)].sent == 0 && lanes[Int(lane)].worker == worker { lanes[Int(lane)].worker = -1 }
        for place in held where items[Int(place)].state == .waiting && items[Int(place)].isSuspect { keepSuspicion(place) }
        for place in failed {
            let lane = Int(items[Int(place)].lane)
            // Only the first of a lane can have failed: what came behind it in a batch was interrupted.
            guard items[Int(place)].state == .waiting, lanes[lane].head == place else { continue }
            lanes[lane].isBlocked = false
            lanes[lane].firstWaiting = place
            uncountWaiting(place, route: Int(lanes[lane].route))
            switch cause {
            case .fault: fail(Int(place), cause: .crash, message: message, delayMicros: 0)
            case .timeout: fail(Int(place), cause: .timeout, message: timeoutMessage(route: lanes[lane].route), delayMicros: 0)
            case .external: fail(Int(place), cause: .external, message: message, delayMicros: 0)
            case .host: break
            }
        }
        // A lane may have come to its end and its place been taken again: then settling it once more does nothing.
        for lane in touched { settle(lane) }
        pump(pool: pool)
        return !failed.isEmpty || (!begun.isEmpty && cause != .host)
    }

    private mutating func abandonQuarantine(_ worker: Int32) {
        guard workers[Int(worker)].isQuarantine else { return }
        workers[Int(worker)].isQuarantine = false
        workers[Int(worker)].hasSuspect = false
        let pool = Int(workers[Int(worker)].pool)
        if pools[pool].quarantineWorker == worker { pools[pool].quarantineWorker = -1 }
    }

    /// Looks after everything that depends on the clock. Call at least every 50 ms, and when `nextWakeMicros` has come.
    public mutating func tick() {
        for index in workers.indices where workers[index].isLive && !workers[index].open.isEmpty { checkDeadlines(Int32(index)) }
        for index in routes.indices where routes[index].isActive { loadAhead(Int32(index)) }
        pumpAll()
    }

    private mutating func checkDeadlines(_ worker: Int32) {
        let slot = Int(worker)
        if workers[slot].isDoomed { return }
        if workers[slot].isCondemned && now >= workers[slot].killMicros {
            workers[slot].isDoomed = true
            actions.append(.killForTimeout(worker: worker))
            return
        }
        let pool = Int(workers[slot].pool)
        let grace = pools[pool].lambda.limits.grace.micros
        let timeout = pools[pool].timeoutMicros
        for place in workers[slot].open { checkDeadline(Int(place), worker: worker, timeout: timeout, grace: grace) }
    }

    private mutating func checkDeadline(_ place: Int, worker: Int32, timeout: UInt64, grace: UInt64) {
        let slot = Int(worker)
        let isRunning = items[place].state == .started
        if isRunning, items[place].token > workers[slot].lastToken, workers[slot].lastMicros > items[place].startedMicros {
            // It was taken together with one that has been answered since: it began after that.
            items[place].startedMicros = workers[slot].lastMicros
            items[place].deadlineMicros = max(items[place].deadlineMicros, workers[slot].lastMicros &+ timeout)
        }
        if now >= items[place].deadlineMicros && !items[place].isTimedOut {
            items[place].isTimedOut = true
            actions.append(.cancel(worker: worker, token: items[place].token))
            if !workers[slot].isCondemned {
                workers[slot].isCondemned = true
                workers[slot].killMicros = now &+ grace
                requestWithdrawal(worker)
            }
        }
        let started = items[place].startedMicros
        guard now > started else { return }
        if isRunning, now &- started > limits.stuckMicros, !workers[slot].isStuck, pools[Int(workers[slot].pool)].workers.count > 1 {
            // Others need not wait behind this one.
            workers[slot].isStuck = true
            requestWithdrawal(worker)
        }
        let lane = Int(items[place].lane)
        if now &- started > limits.openMicrosMax, items[place].row < 0, lanes[lane].head == Int32(place) {
            // It and those behind it go onto disk, so that the watermark can pass.
            spillWaiting(Int32(lane))
            keep(Int32(lane))
        }
    }

    /// When `tick` should be called next at the latest, if nothing else happens. Monotonic microseconds.
    public var nextWakeMicros: UInt64 {
        var next = now &+ 50_000
        for index in pools.indices where !pools[index].isPaused && !pools[index].workers.isEmpty && !isStalled {
            guard var due = pools[index].due.first?.dueMicros else { continue }
            if pools[index].isHolding { due = max(due, pools[index].probeDueMicros) }
            next = min(next, max(due, now &+ 1000))
        }
        return next
    }
}
