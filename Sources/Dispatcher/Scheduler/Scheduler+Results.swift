import CWorkerProtocol
public import Journal
import Routing
import WorkerProtocol

// What workers answer.

extension Scheduler {
    /// A worker is seen to have begun every event before number `claimed`. Numbers it was never given are the engine's to refuse.
    public mutating func claimed(worker: Int32, number claimed: UInt32) {
        let slot = Int(worker)
        guard workers[slot].isLive else { return }
        let timeout = pools[Int(workers[slot].pool)].lambda.limits.timeout.micros
        while workers[slot].claimedNumber != claimed {
            let place = Int(workers[slot].queue[Int(workers[slot].claimedNumber) & (Self.slotCount - 1)])
            workers[slot].claimedNumber &+= 1
            if items[place].state == .sent {
                items[place].state = .started
                // It began when the worker was free for it: after it was sent and after the answer before it.
                items[place].startedMicros = max(items[place].sentMicros, workers[slot].lastMicros)
                items[place].deadlineMicros = items[place].startedMicros &+ timeout
                workers[slot].open += 1
                routes[Int(lanes[Int(items[place].lane)].route)].counts.started += 1
            }
        }
    }

    /// When the run behind a token was seen to begin; nil when there is no such run. For the latency figures.
    public func started(token: UInt64, worker: Int32) -> (startedMicros: UInt64, acceptedMicros: Int64, route: RouteID)? {
        guard let place = find(token: token, worker: worker), items[place].state != .sent else { return nil }
        return (items[place].startedMicros, record(items[place]).header.pointee.accepted_micros, routes[Int(lanes[Int(items[place].lane)].route)].id)
    }

    private func find(token: UInt64, worker: Int32) -> Int? {
        let place = Int(token & 0xff_ffff)
        guard place < items.count, items[place].worker == worker else { return nil }
        if items[place].token != token && !(faults.contains(.noFence) && items[place].token != 0) { return nil }
        return place
    }

    /// A worker has answered. `effects` counts only with a success; `message` and `delayMillis` only with a failure.
    ///
    /// A late, repeated or unknown answer is ignored. An answer that cannot be true condemns the worker.
    public mutating func result(
        worker: Int32, token: UInt64, status: RunStatus, delayMillis: UInt64 = 0, message: String = "", effects: RunEffects? = nil
    ) {
        let slot = Int(worker)
        guard workers[slot].isLive, let place = find(token: token, worker: worker) else { return }
        let laneIndex = items[place].lane
        let lane = Int(laneIndex)
        let route = lanes[lane].route
        let pool = Int(workers[slot].pool)
        guard items[place].state == .started || items[place].state == .pending else {
            actions.append(.killForProtocol(worker: worker, reason: "answered an event that it had not taken"))
            return
        }
        let isHead = lanes[lane].head == Int32(place)
        if status == .skipped {
            guard items[place].state == .started, !isHead || lanes[lane].isBlocked else {
                actions.append(.killForProtocol(worker: worker, reason: "skipped an event with nothing before it"))
                return
            }
            leaveWorker(place, worker: slot)
            putBack(place)
            lanes[lane].isBlocked = true
            settle(laneIndex)
            return
        }
        guard isHead || faults.contains(.overlapPending) || faults.contains(.ignoreLaneWorker) || faults.contains(.noBlockAfterFailure) else {
            actions.append(.killForProtocol(worker: worker, reason: "answered an event before an earlier one of its subject"))
            return
        }
        if status == .pending {
            guard items[place].state == .started else { return }
            items[place].state = .pending
            workers[slot].lastMicros = now
            pools[pool].hasPending = true
            // What was sent behind it in its lane will come back skipped.
            if lanes[lane].sent > 1 && !faults.contains(.overlapPending) { lanes[lane].isBlocked = true }
            return
        }
        measure(slot: slot, place: place)
        let wasTimedOut = items[place].isTimedOut
        leaveWorker(place, worker: slot)
        var status = status
        var message = message
        if wasTimedOut && status != .success {
            // It gave up because it was cancelled. A success within the grace period is a success: the work is done.
            status = .retry
            message = timeoutMessage(route: route)
        } else if status == .success, let violation = effects?.violation {
            status = .fatal
            message = violation
        }
        switch status {
        case .success:
            succeed(place, effects: effects)
        case .retry:
            if faults.contains(.emitOnFailure), let effects { take(effects) }
            fail(place, cause: .failure, message: message, delayMicros: min(delayMillis, 86_400_000) * 1000)
        case .fatal:
            fail(place, cause: .fatal, message: message, delayMicros: 0)
        case .pending, .skipped:
            break
        }
        if workers[slot].isLive && workers[slot].isQuarantine { leaveQuarantine(worker) }
        if workers[slot].isLive && workers[slot].isCondemned && workers[slot].open == 0 { liftCondemnation(worker) }
    }

    /// Called once after the answers of one worker in one turn: gives it and its pool new work.
    public mutating func answered(worker: Int32) {
        guard workers[Int(worker)].isLive else { return }
        pumpWorker(worker)
        pump(pool: workers[Int(worker)].pool)
        if workers[Int(worker)].isRetiring && workers[Int(worker)].inFlight == 0 { reportRetired(worker) }
    }

    /// The worker asks for more time for a run. Granted up to the lambda's `timeout-max` from its beginning.
    public mutating func extended(worker: Int32, token: UInt64, millis: UInt64) {
        guard workers[Int(worker)].isLive, let place = find(token: token, worker: worker), !items[place].isTimedOut,
            items[place].state == .started || items[place].state == .pending
        else { return }
        let limits = pools[Int(workers[Int(worker)].pool)].lambda.limits
        let wanted = now &+ min(millis, 86_400_000) * 1000
        items[place].deadlineMicros = min(max(items[place].deadlineMicros, wanted), items[place].startedMicros &+ limits.timeoutMax.micros)
    }

    private mutating func measure(slot: Int, place: Int) {
        let pool = Int(workers[slot].pool)
        if items[place].state == .started {
            let took = now > workers[slot].lastMicros ? now - workers[slot].lastMicros : 0
            // Several answers in one turn share one time; the first gets it, the others count as instant. The mean comes out right.
            pools[pool].handlerMicros += (Double(took) - pools[pool].handlerMicros) / 32
        }
        workers[slot].lastMicros = now
    }

    func timeoutMessage(route: Int32) -> String {
        let limit = pools[Int(routes[Int(route)].pool)].lambda.limits.timeout
        return "timed out after \(limit); see `timeout:` of lambda '\(routes[Int(route)].lambda)'"
    }

    /// An item is no longer at its worker.
    mutating func leaveWorker(_ place: Int, worker slot: Int) {
        if items[place].state == .started || items[place].state == .pending { workers[slot].open -= 1 }
        workers[slot].isStuck = false
        workers[slot].inFlight -= 1
        workers[slot].bytesInFlight -= Int(items[place].bytes)
        items[place].worker = -1
        items[place].token = 0
        lanes[Int(items[place].lane)].sent -= 1
    }

    /// An item that has left its worker unfinished waits in its lane again.
    mutating func putBack(_ place: Int) {
        items[place].state = .waiting
        let route = Int(lanes[Int(items[place].lane)].route)
        routes[route].waitingItems += 1
        routes[route].waitingBytes += Int(items[place].bytes)
    }

    /// Brings a lane into a consistent state after something of it has been answered or taken back.
    mutating func settle(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        guard lanes[lane].isLive else { return }
        if lanes[lane].sent > 0 {
            // A pending run at the head keeps the lane; what was behind it has come back.
            if lanes[lane].isBlocked, lanes[lane].sent == 1, items[Int(lanes[lane].head)].state == .pending {
                lanes[lane].isBlocked = false
                lanes[lane].firstWaiting = items[Int(lanes[lane].head)].next
            }
            offer(laneIndex)
            return
        }
        lanes[lane].isBlocked = false
        unbind(laneIndex)
        if lanes[lane].hasFailed {
            setAside(laneIndex)
            return
        }
        lanes[lane].firstWaiting = lanes[lane].head
        if lanes[lane].head < 0 {
            if lanes[lane].rowsUnloaded > 0 {
                if !lanes[lane].isParked && now >= lanes[lane].dueMicros { requestRows(laneIndex) }
            } else if lanes[lane].queued == .none && !lanes[lane].isLoading {
                freeLane(laneIndex)
            }
            return
        }
        offer(laneIndex)
    }

    /// Takes the first item off its lane.
    mutating func popHead(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        let place = lanes[lane].head
        lanes[lane].head = items[Int(place)].next
        if lanes[lane].firstWaiting == place { lanes[lane].firstWaiting = items[Int(place)].next }
        if lanes[lane].head < 0 { lanes[lane].tail = -1 }
        lanes[lane].count -= 1
    }

    // MARK: success

    private mutating func succeed(_ place: Int, effects: RunEffects?) {
        let laneIndex = items[place].lane
        let route = Int(lanes[Int(laneIndex)].route)
        let pool = Int(routes[route].pool)
        pools[pool].failStreak = 0
        if pools[pool].isHolding { endHold(Int32(pool)) }
        routes[route].counts.succeeded += 1
        if let effects { take(effects) }
        if !routes[route].dependents.isEmpty && !faults.contains(.forgetHandOn) {
            handOn(place, output: effects?.output ?? [], route: Int32(route))
        }
        lanes[Int(laneIndex)].isOnProbation = false
        finish(Int32(place))
        settle(laneIndex)
    }

    /// An item has reached its end: its position or row is done with and its memory is free.
    mutating func finish(_ place: Int32) {
        let item = items[Int(place)]
        let laneIndex = item.lane
        let route = Int(lanes[Int(laneIndex)].route)
        if item.position != .max {
            routes[route].done.insert(item.position)
            routes[route].isDirty = true
        }
        if item.row >= 0 { finishRowEvent(item.row) }
        if lanes[Int(laneIndex)].head == place {
            popHead(laneIndex)
        } else {
            unlink(place)
        }
        freeItem(place)
    }

    /// Takes an item out of the middle of its lane. Only deliberate faults need it.
    private mutating func unlink(_ place: Int32) {
        let lane = Int(items[Int(place)].lane)
        var at = lanes[lane].head
        while at >= 0 && items[Int(at)].next != place { at = items[Int(at)].next }
        guard at >= 0 else { return }
        items[Int(at)].next = items[Int(place)].next
        if lanes[lane].tail == place { lanes[lane].tail = at }
        if lanes[lane].firstWaiting == place { lanes[lane].firstWaiting = items[Int(place)].next }
        lanes[lane].count -= 1
    }

    /// Puts emitted events into the present commit.
    mutating func take(_ effects: RunEffects) {
        guard !faults.contains(.forgetEmits) else { return }
        for emit in effects.emits {
            hasEffects = true
            let buffer = appends(to: emit.stream)
            for index in 0..<emit.records.count { buffer.append(copying: emit.records.record(index)) }
        }
    }

    /// The records that the present commit appends to a stream.
    func existingAppends(to stream: StreamID) -> RecordBuffer? { appendBuffers[stream] }

    mutating func appends(to stream: StreamID) -> RecordBuffer {
        if let buffer = appendBuffers[stream] { return buffer }
        let buffer = RecordBuffer(capacity: 16 << 10, count: 64)
        appendBuffers[stream] = buffer
        return buffer
    }

    /// Gives an event to the lambdas that come after the one that has succeeded.
    private mutating func handOn(_ place: Int, output: [UInt8], route: Int32) {
        let view = record(items[place])
        for dependentIndex in routes[Int(route)].dependents.indices {
            let dependent = routes[Int(route)].dependents[dependentIndex]
            hasEffects = true
            if dependent.upstreams.count == 1 {
                var inputs = EncodedPairs()
                output.withUnsafeBytes { output in
                    var name = routes[Int(route)].lambda
                    name.withUTF8 { inputs.append(name: UnsafeRawBufferPointer($0), value: output) }
                }
                appends(to: dependent.stream).append(copying: view, inputs: inputs)
                continue
            }
            let part = JoinPart(
                key: JoinKey(stream: dependent.stream, offset: view.header.pointee.offset), lambda: routes[Int(route)].lambda,
                succeeded: true, output: output)
            join(part, dependent: dependent, view: view)
        }
    }
}
