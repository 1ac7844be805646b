import Journal
import Routing
import WorkerProtocol

// From lanes to workers.

extension Scheduler {
    /// Gives work to every worker that has room.
    mutating func pumpAll() {
        for pool in pools.indices { pump(pool: Int32(pool)) }
    }

    /// Events that this worker may be sent now.
    @inline(__always) func credit(_ worker: Int32) -> Int {
        let slot = Int(worker)
        guard workers[slot].isLive, !workers[slot].isRetiring, !workers[slot].isQuarantine, !workers[slot].isCondemned,
            !workers[slot].isDoomed, !workers[slot].isWithdrawing, !workers[slot].isStuck,
            workers[slot].bytesInFlight < limits.inboxBytesMax, !isStalled
        else { return 0 }
        let pool = Int(workers[slot].pool)
        guard !pools[pool].isPaused else { return 0 }
        var most = pools[pool].queueAhead
        if pools[pool].isHolding {
            most = mayProbe(pool) ? 1 : 0
        } else if pools[pool].hasPending {
            most = min(max(pools[pool].lambda.concurrency, 1), Self.slotCount)
        }
        return most - workers[slot].inFlight
    }

    /// Whether a lambda that holds may be tried with one event now.
    func mayProbe(_ pool: Int) -> Bool { !pools[pool].isProbing && now >= pools[pool].probeDueMicros }

    /// Gives work to the workers of a pool: suspects first, then lanes that wait, then the next events of its streams.
    mutating func pump(pool: Int32) {
        let index = Int(pool)
        guard !pools[index].isPaused, !isStalled else { return }
        pumpQuarantine(pool)
        runDue(pool: pool)
        while let worker = workerWithCredit(pool) {
            // Several in a row for one worker, but not all of its room: the others are to get their share.
            var turn = max(1, credit(worker) / 4)
            while turn > 0, credit(worker) > 0 {
                let before = workers[Int(worker)].inFlight
                if let lane = popReady(index) {
                    send(lane: lane, worker: worker)
                } else if pools[index].isHolding && pools[index].rowLoads > 0 {
                    return  // The probe is being loaded.
                } else if !takeForPool(index, worker) {
                    return
                }
                turn -= max(1, workers[Int(worker)].inFlight - before)
            }
        }
    }

    /// Takes one event from one of the pool's routes, in turn. False: none has any.
    private mutating func takeForPool(_ pool: Int, _ worker: Int32) -> Bool {
        let count = pools[pool].routes.count
        for _ in 0..<count {
            if pools[pool].routeTurn >= count { pools[pool].routeTurn = 0 }
            let route = pools[pool].routes[pools[pool].routeTurn]
            if canTake(route), takeNext(route, for: worker) == .taken {
                // A turn is a run of events rather than one: their batch is in the processor's cache.
                if count > 1, routes[Int(route)].cursor & 63 == 0 { pools[pool].routeTurn += 1 }
                return true
            }
            pools[pool].routeTurn += 1
        }
        return false
    }

    /// The worker with the least to do, if it has room.
    private mutating func workerWithCredit(_ pool: Int32) -> Int32? {
        let index = Int(pool)
        let count = pools[index].workers.count
        var best: Int32?
        var bestInFlight = Int.max
        // Beyond a handful a full scan costs more than an uneven share: look at some, in turn, and at all if none has room.
        let sample = min(count, 8)
        var at = pools[index].workerTurn
        for step in 0..<count {
            if step >= sample && best != nil { break }
            if at >= count { at = 0 }
            let worker = pools[index].workers[at]
            at += 1
            let inFlight = workers[Int(worker)].inFlight
            if inFlight < bestInFlight && credit(worker) > 0 {
                best = worker
                bestInFlight = inFlight
                if inFlight == 0 { break }
            }
        }
        pools[index].workerTurn = at >= count ? 0 : at
        return best
    }

    /// Whether the first waiting item of a lane may go to a worker: the lane's own, if it has one.
    @inline(__always) func isSendable(_ lane: Int) -> Bool {
        guard lanes[lane].firstWaiting >= 0, !lanes[lane].isBlocked, !lanes[lane].hasFailed else { return false }
        if lanes[lane].sent == 0 { return routes[Int(lanes[lane].route)].isActive }
        if faults.contains(.overlapPending) { return true }
        let route = Int(lanes[lane].route)
        return routes[route].isActive && !lanes[lane].isOnProbation && !pools[Int(routes[route].pool)].hasPending
            && items[Int(lanes[lane].head)].state != .pending && !items[Int(lanes[lane].firstWaiting)].isSuspect
    }

    /// Sends what a lane has waiting, or puts it on the ready list where it belongs, or off the one where it no longer does.
    mutating func offer(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        guard isSendable(lane) else {
            dequeue(laneIndex)
            return
        }
        let pool = routes[Int(lanes[lane].route)].pool
        if items[Int(lanes[lane].firstWaiting)].isSuspect {
            enqueue(laneIndex, .quarantine, owner: pool)
        } else if lanes[lane].worker >= 0 && !faults.contains(.ignoreLaneWorker) {
            if credit(lanes[lane].worker) > 0 {
                send(lane: laneIndex, worker: lanes[lane].worker)
            } else {
                enqueue(laneIndex, .worker, owner: lanes[lane].worker)
            }
        } else {
            enqueue(laneIndex, .pool, owner: pool)
        }
    }

    /// The next lane that waits and has no worker.
    private mutating func popReady(_ pool: Int) -> Int32? {
        while pools[pool].ready.head >= 0 {
            let lane = pools[pool].ready.head
            dequeue(lane)
            if isSendable(Int(lane)) { return lane }
        }
        return nil
    }

    /// Sends what waits in a worker's own ready list, as far as it has room.
    mutating func pumpWorker(_ worker: Int32) {
        while workers[Int(worker)].ready.head >= 0, credit(worker) > 0 {
            let lane = workers[Int(worker)].ready.head
            dequeue(lane)
            if isSendable(Int(lane)) { send(lane: lane, worker: worker) }
        }
    }

    /// Sends what a lane has waiting to one worker, as far as there is room; the rest goes on the worker's ready list.
    mutating func send(lane: Int32, worker: Int32) {
        dequeue(lane)
        guard credit(worker) > 0, isSendable(Int(lane)) else {
            if isSendable(Int(lane)) { enqueue(lane, .pool, owner: workers[Int(worker)].pool) }
            return
        }
        if lanes[Int(lane)].worker >= 0 && lanes[Int(lane)].worker != worker { unbind(lane) }  // Only with a deliberate fault.
        bind(lane, to: worker)
        repeat { sendFirstWaiting(lane) } while credit(worker) > 0 && isSendable(Int(lane))
        if isSendable(Int(lane)) { enqueue(lane, .worker, owner: worker) }
    }

    @inline(__always) private mutating func sendFirstWaiting(_ lane: Int32) {
        let place = lanes[Int(lane)].firstWaiting
        let index = Int(place)
        let worker = lanes[Int(lane)].worker
        let slot = Int(worker)
        let route = Int(lanes[Int(lane)].route)
        let pool = Int(workers[slot].pool)
        tokenSerial += 1
        items[index].token = tokenSerial << 24 | UInt64(index)
        items[index].worker = worker
        items[index].state = .sent
        items[index].sentMicros = now
        items[index].isTimedOut = false
        items[index].isOverCPU = false
        items[index].isProbe = pools[pool].isHolding
        if pools[pool].isHolding { pools[pool].isProbing = true }
        lanes[Int(lane)].firstWaiting = items[index].next
        lanes[Int(lane)].sent += 1
        uncountWaiting(place, route: route)
        routes[route].inFlight += 1
        if workers[slot].inFlight == 0 { workers[slot].lastMicros = now }
        workers[slot].queue[Int(workers[slot].sentNumber) & (Self.slotCount - 1)] = place
        workers[slot].sentNumber &+= 1
        workers[slot].inFlight += 1
        workers[slot].bytesInFlight += Int(items[index].bytes)
        if faults.contains(.doneWhenSent) && items[index].position != .max { finish(position: items[index].position, route: route) }
        actions.append(.send(worker: worker, item: place))
    }

    @inline(__always) private mutating func bind(_ lane: Int32, to worker: Int32) {
        guard lanes[Int(lane)].worker < 0 else { return }
        lanes[Int(lane)].worker = worker
        // Never empty: a lane at a worker has at least one item there, and there are as many numbers as items.
        let number = workers[Int(worker)].freeLanes.removeLast()
        lanes[Int(lane)].workerLane = number
        workers[Int(worker)].epochs[Int(number)] &+= 1
    }

    @inline(__always) mutating func unbind(_ lane: Int32) {
        let worker = lanes[Int(lane)].worker
        guard worker >= 0 else { return }
        workers[Int(worker)].freeLanes.append(lanes[Int(lane)].workerLane)
        lanes[Int(lane)].worker = -1
    }

    // MARK: suspects (SEMANTICS §3.5)

    /// Runs one suspect alone in a worker that has nothing else to do; keeps one worker free of new work until then, and lets it go after the last one.
    mutating func pumpQuarantine(_ pool: Int32) {
        let index = Int(pool)
        var worker = pools[index].quarantineWorker
        if worker < 0 {
            guard pools[index].quarantine.head >= 0, !pools[index].isPaused, !isStalled else { return }
            var least = Int.max
            for candidate in pools[index].workers where !workers[Int(candidate)].isCondemned && !workers[Int(candidate)].isDoomed {
                let load = workers[Int(candidate)].inFlight + (workers[Int(candidate)].isStuck ? Self.slotCount : 0)
                if load < least {
                    least = load
                    worker = candidate
                }
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
        workers[Int(worker)].hasSuspect = false
        guard !workers[Int(worker)].isWithdrawing, !workers[Int(worker)].isCondemned, !workers[Int(worker)].isDoomed,
            !pools[index].isPaused, !isStalled
        else { return }
        if pools[index].isHolding && pools[index].quarantine.head >= 0 && !mayProbe(index) { return }
        while pools[index].quarantine.head >= 0 {
            let lane = pools[index].quarantine.head
            dequeue(lane)
            guard isSendable(Int(lane)), lanes[Int(lane)].sent == 0 else { continue }
            bind(lane, to: worker)
            workers[Int(worker)].hasSuspect = true
            sendFirstWaiting(lane)
            return
        }
        workers[Int(worker)].isQuarantine = false
        pools[index].quarantineWorker = -1
    }
}
