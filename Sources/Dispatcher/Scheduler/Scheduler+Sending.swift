import Journal
import Routing
import WorkerProtocol

// From lanes to workers.

extension Scheduler {
    /// Gives work to every worker that has room.
    mutating func pumpAll() {
        for pool in pools.indices where pools[pool].isLive { pump(pool: Int32(pool)) }
    }

    /// Events that this worker may be sent now.
    func credit(_ worker: Int32) -> Int {
        let slot = workers[Int(worker)]
        guard slot.isLive, !slot.isRetiring, !slot.isCondemned, !slot.isQuarantine, !slot.isWithdrawing, !slot.isStuck,
            slot.bytesInFlight < Self.inboxBytesMax
        else { return 0 }
        let pool = pools[Int(slot.pool)]
        guard !pool.isPaused, !isStalled else { return 0 }
        var most = Int(min(max(Self.queueAheadMicros / max(pool.handlerMicros, 0.1), 2), Double(Self.slotCount)))
        if pool.hasPending { most = pool.lambda.concurrency }
        if pool.isHolding { most = pool.isProbing ? 0 : 1 }
        return min(most, Self.slotCount) - slot.inFlight
    }

    /// Gives work to the workers of a pool: suspects first, then lanes that wait, then the next events of its streams.
    mutating func pump(pool: Int32) {
        let index = Int(pool)
        guard pools[index].isLive, !pools[index].isPaused, !isStalled else { return }
        pumpQuarantine(pool)
        if pools[index].isHolding {
            guard !pools[index].isProbing, now >= pools[index].probeDueMicros else { return }
        }
        while true {
            guard let worker = workerWithCredit(pool) else { break }
            if let lane = popReady(pool) {
                send(lane: lane, worker: worker)
            } else if !takeForPool(pool) {
                break
            }
            if pools[index].isHolding && pools[index].isProbing { break }
        }
    }

    /// Takes one event from one of the pool's routes, in turn. False: none has any.
    private mutating func takeForPool(_ pool: Int32) -> Bool {
        let index = Int(pool)
        let count = pools[index].routes.count
        for _ in 0..<count {
            if pools[index].routeTurn >= count { pools[index].routeTurn = 0 }
            let route = pools[index].routes[pools[index].routeTurn]
            if canTake(route), takeNext(route) == .taken {
                // A turn is a run of events rather than one: their batch is in the processor's cache.
                if routes[Int(route)].cursor & 63 == 0 { pools[index].routeTurn += 1 }
                return true
            }
            pools[index].routeTurn += 1
        }
        return false
    }

    /// The worker with the least to do, if it has room.
    private mutating func workerWithCredit(_ pool: Int32) -> Int32? {
        let index = Int(pool)
        let count = pools[index].workers.count
        guard count > 0 else { return nil }
        var best: Int32?
        var bestInFlight = Int.max
        // Beyond a handful a full scan costs more than an uneven share: look at some, in turn, and at all if none has room.
        let sample = min(count, 8)
        for step in 0..<count {
            if step >= sample && best != nil { break }
            let worker = pools[index].workers[(pools[index].workerTurn + step) % count]
            let inFlight = workers[Int(worker)].inFlight
            if inFlight < bestInFlight && credit(worker) > 0 {
                best = worker
                bestInFlight = inFlight
                if inFlight == 0 { break }
            }
        }
        if count > sample { pools[index].workerTurn = (pools[index].workerTurn + sample) % count }
        return best
    }

    /// A lane has something to send, or might have: sends it, or puts it on the ready list where it belongs.
    mutating func offer(_ laneIndex: Int32) {
        let lane = lanes[Int(laneIndex)]
        guard lane.queued == .none, !lane.isBlocked, !lane.hasFailed, lane.firstWaiting >= 0 else { return }
        let pool = routes[Int(lane.route)].pool
        if items[Int(lane.head)].isSuspect {
            guard lane.sent == 0 else { return }
            enqueue(laneIndex, .quarantine, pool: pool, worker: -1)
            pumpQuarantine(pool)
            return
        }
        if lane.worker >= 0 && !faults.contains(.ignoreLaneWorker) {
            if canSendMore(lane), credit(lane.worker) > 0 {
                send(lane: laneIndex, worker: lane.worker)
            } else if canSendMore(lane) {
                enqueue(laneIndex, .worker, pool: pool, worker: lane.worker)
            }
        } else {
            enqueue(laneIndex, .pool, pool: pool, worker: -1)
        }
    }

    /// Whether another item of this lane may go to the worker that has the earlier ones.
    private func canSendMore(_ lane: Lane) -> Bool {
        if lane.sent == 0 { return true }
        if lane.isOnProbation { return false }
        return !pools[Int(routes[Int(lane.route)].pool)].hasPending || faults.contains(.overlapPending)
    }

    private mutating func enqueue(_ lane: Int32, _ queue: LaneQueue, pool: Int32, worker: Int32) {
        lanes[Int(lane)].queued = queue
        lanes[Int(lane)].nextReady = -1
        let pool = Int(pool)
        switch queue {
        case .none: break
        case .pool:
            if pools[pool].readyTail >= 0 { lanes[Int(pools[pool].readyTail)].nextReady = lane } else { pools[pool].readyHead = lane }
            pools[pool].readyTail = lane
        case .worker:
            let tail = workers[Int(worker)].readyTail
            if tail >= 0 { lanes[Int(tail)].nextReady = lane } else { workers[Int(worker)].readyHead = lane }
            workers[Int(worker)].readyTail = lane
        case .quarantine:
            if pools[pool].quarantineTail >= 0 {
                lanes[Int(pools[pool].quarantineTail)].nextReady = lane
            } else {
                pools[pool].quarantineHead = lane
            }
            pools[pool].quarantineTail = lane
        }
    }

    /// The next lane that waits and has no worker.
    private mutating func popReady(_ pool: Int32) -> Int32? {
        let index = Int(pool)
        while pools[index].readyHead >= 0 {
            let lane = pools[index].readyHead
            pools[index].readyHead = lanes[Int(lane)].nextReady
            if pools[index].readyHead < 0 { pools[index].readyTail = -1 }
            lanes[Int(lane)].queued = .none
            if !isSendable(lane) {
                settle(lane)
                continue
            }
            if lanes[Int(lane)].sent > 0 && !faults.contains(.ignoreLaneWorker) {
                offer(lane)
                continue
            }
            return lane
        }
        return nil
    }

    private func isSendable(_ lane: Int32) -> Bool {
        let entry = lanes[Int(lane)]
        return !entry.isBlocked && !entry.hasFailed && entry.firstWaiting >= 0
    }

    /// Sends what waits in a worker's own ready list, as far as it has room.
    mutating func pumpWorker(_ worker: Int32) {
        while workers[Int(worker)].readyHead >= 0, credit(worker) > 0 {
            let lane = workers[Int(worker)].readyHead
            workers[Int(worker)].readyHead = lanes[Int(lane)].nextReady
            if workers[Int(worker)].readyHead < 0 { workers[Int(worker)].readyTail = -1 }
            lanes[Int(lane)].queued = .none
            // A lane that has lost its worker meanwhile is on no other list: this worker takes it again.
            if isSendable(lane) && (lanes[Int(lane)].worker == worker || lanes[Int(lane)].worker < 0) {
                if canSendMore(lanes[Int(lane)]) { send(lane: lane, worker: worker) }
            } else {
                settle(lane)
            }
        }
    }

    /// Takes every lane off a worker's ready list.
    mutating func emptyReadyList(_ worker: Int32) -> [Int32] {
        var result: [Int32] = []
        var lane = workers[Int(worker)].readyHead
        while lane >= 0 {
            result.append(lane)
            lanes[Int(lane)].queued = .none
            lane = lanes[Int(lane)].nextReady
        }
        workers[Int(worker)].readyHead = -1
        workers[Int(worker)].readyTail = -1
        return result
    }

    /// Runs one suspect alone in a worker that has nothing else to do; keeps one worker free of new work until then.
    mutating func pumpQuarantine(_ pool: Int32) {
        let index = Int(pool)
        guard pools[index].quarantineHead >= 0, !pools[index].isPaused, !isStalled else { return }
        var worker = pools[index].quarantineWorker
        if worker < 0 {
            worker = -1
            for candidate in pools[index].workers
            where !workers[Int(candidate)].isRetiring && !workers[Int(candidate)].isCondemned {
                if worker < 0 || workers[Int(candidate)].inFlight < workers[Int(worker)].inFlight { worker = candidate }
            }
            guard worker >= 0 else { return }
            pools[index].quarantineWorker = worker
            workers[Int(worker)].isQuarantine = true
        }
        guard workers[Int(worker)].inFlight == 0 else {
            // What it was given before goes to others; the suspect itself stays.
            if !workers[Int(worker)].hasSuspect { requestWithdrawal(worker) }
            return
        }
        guard !workers[Int(worker)].isWithdrawing else { return }
        workers[Int(worker)].hasSuspect = false
        while pools[index].quarantineHead >= 0 {
            let lane = pools[index].quarantineHead
            pools[index].quarantineHead = lanes[Int(lane)].nextReady
            if pools[index].quarantineHead < 0 { pools[index].quarantineTail = -1 }
            lanes[Int(lane)].queued = .none
            guard isSendable(lane), lanes[Int(lane)].sent == 0 else {
                settle(lane)
                continue
            }
            bind(lane, to: worker)
            workers[Int(worker)].hasSuspect = true
            sendFirstWaiting(lane)
            return
        }
    }

    /// Ends a quarantine when its suspect was answered and no other waits.
    mutating func leaveQuarantine(_ worker: Int32) {
        let pool = workers[Int(worker)].pool
        guard workers[Int(worker)].inFlight == 0 else { return }
        if pools[Int(pool)].quarantineHead >= 0 {
            pumpQuarantine(pool)
            if workers[Int(worker)].inFlight > 0 { return }
        }
        workers[Int(worker)].isQuarantine = false
        workers[Int(worker)].hasSuspect = false
        pools[Int(pool)].quarantineWorker = -1
    }

    private mutating func bind(_ lane: Int32, to worker: Int32) {
        guard lanes[Int(lane)].worker < 0 else { return }
        lanes[Int(lane)].worker = worker
        // Never empty: a lane at a worker has at least one item there, and there are as many numbers as items.
        let number = workers[Int(worker)].freeLanes.removeLast()
        lanes[Int(lane)].workerLane = number
        workers[Int(worker)].epochs[Int(number)] &+= 1
    }

    mutating func unbind(_ lane: Int32) {
        let worker = lanes[Int(lane)].worker
        guard worker >= 0 else { return }
        workers[Int(worker)].freeLanes.append(lanes[Int(lane)].workerLane)
        lanes[Int(lane)].worker = -1
    }

    /// Sends what a lane has waiting to one worker, as far as there is room; the rest goes on the worker's ready list.
    mutating func send(lane: Int32, worker: Int32) {
        let pool = Int(workers[Int(worker)].pool)
        if lanes[Int(lane)].worker >= 0 && lanes[Int(lane)].worker != worker && faults.contains(.ignoreLaneWorker) { unbind(lane) }
        bind(lane, to: worker)
        var room = credit(worker)
        while room > 0, lanes[Int(lane)].firstWaiting >= 0, canSendMore(lanes[Int(lane)]) {
            if lanes[Int(lane)].sent > 0, items[Int(lanes[Int(lane)].firstWaiting)].isSuspect { break }
            sendFirstWaiting(lane)
            room -= 1
            if pools[pool].isHolding {
                pools[pool].isProbing = true
                break
            }
            if workers[Int(worker)].bytesInFlight >= Self.inboxBytesMax { break }
        }
        if lanes[Int(lane)].firstWaiting >= 0 && lanes[Int(lane)].queued == .none && canSendMore(lanes[Int(lane)]) {
            enqueue(lane, .worker, pool: Int32(pool), worker: worker)
        }
    }

    private mutating func sendFirstWaiting(_ lane: Int32) {
        let place = lanes[Int(lane)].firstWaiting
        let index = Int(place)
        let worker = lanes[Int(lane)].worker
        let slot = Int(worker)
        let route = Int(lanes[Int(lane)].route)
        tokenSerial += 1
        items[index].token = tokenSerial << 24 | UInt64(index)
        items[index].worker = worker
        items[index].state = .sent
        items[index].sentMicros = now
        items[index].isTimedOut = false
        lanes[Int(lane)].firstWaiting = items[index].next
        lanes[Int(lane)].sent += 1
        routes[route].waitingItems -= 1
        routes[route].waitingBytes -= Int(items[index].bytes)
        if workers[slot].inFlight == 0 { workers[slot].lastMicros = now }
        workers[slot].queue[Int(workers[slot].sentNumber) & (Self.slotCount - 1)] = place
        workers[slot].sentNumber &+= 1
        workers[slot].inFlight += 1
        workers[slot].bytesInFlight += Int(items[index].bytes)
        if faults.contains(.doneWhenSent) && items[index].position != .max {
            routes[route].done.insert(items[index].position)
            routes[route].isDirty = true
        }
        actions.append(.send(worker: worker, item: place))
    }
}
