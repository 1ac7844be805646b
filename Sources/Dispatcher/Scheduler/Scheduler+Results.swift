import CWorkerProtocol
public import Journal
import Routing
import WorkerProtocol

// What workers answer.

extension Scheduler {
    /// A worker is seen to have begun every event before number `claimed`. A number that it was never given condemns it.
    public mutating func claimed(worker: Int32, number claimed: UInt32) {
        let slot = Int(worker)
        guard workers[slot].isLive, workers[slot].claimedNumber != claimed else { return }
        guard claimed &- workers[slot].claimedNumber <= workers[slot].sentNumber &- workers[slot].claimedNumber else {
            condemn(worker, reason: "claims events that it was not sent")
            return
        }
        let timeout = pools[Int(workers[slot].pool)].timeoutMicros
        while workers[slot].claimedNumber != claimed {
            let place = workers[slot].queue[Int(workers[slot].claimedNumber) & (Self.slotCount - 1)]
            let index = Int(place)
            workers[slot].claimedNumber &+= 1
            items[index].state = .started
            // It began when the worker was free for it: after it was sent and after the answer before it.
            items[index].startedMicros = max(items[index].sentMicros, workers[slot].lastMicros)
            items[index].deadlineMicros = items[index].startedMicros &+ timeout
            items[index].openAt = Int32(workers[slot].open.count)
            workers[slot].open.append(place)
            routes[Int(lanes[Int(items[index].lane)].route)].counts.started += 1
        }
    }

    /// A worker has said what cannot be true. Nothing that it says from now on counts, and it has to go.
    mutating func condemn(_ worker: Int32, reason: String) {
        let slot = Int(worker)
        guard workers[slot].isLive, !workers[slot].isLiar else { return }
        workers[slot].isLiar = true
        workers[slot].isDoomed = true
        actions.append(.killForProtocol(worker: worker, reason: reason))
    }

    /// When the run behind a token was seen to begin; nil when there is no such run. For the latency figures.
    public func started(token: UInt64, worker: Int32) -> (startedMicros: UInt64, acceptedMicros: Int64, route: RouteID)? {
        guard let place = find(token: token, worker: worker), items[place].state != .sent else { return nil }
        return (
            items[place].startedMicros, record(items[place]).header.pointee.accepted_micros,
            routes[Int(lanes[Int(items[place].lane)].route)].id
        )
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
        guard workers[slot].isLive, !workers[slot].isLiar, let place = find(token: token, worker: worker) else { return }
        let laneIndex = items[place].lane
        let lane = Int(laneIndex)
        guard items[place].state == .started || items[place].state == .pending || faults.contains(.trustLiars) else {
            condemn(worker, reason: "answered an event that it had not taken")
            return
        }
        let isHead = lanes[lane].head == Int32(place)
        if status == .skipped {
            guard items[place].state == .started, !isHead || lanes[lane].isBlocked else {
                condemn(worker, reason: "skipped an event with nothing before it")
                return
            }
            answerInTurn(place, worker: slot)
            leaveWorker(place, worker: slot)
            putBack(place)
            lanes[lane].isBlocked = true
            settle(laneIndex)
            return
        }
        guard isHead || breaksOrder else {
            condemn(worker, reason: "answered an event before an earlier one of its subject")
            return
        }
        if status == .pending {
            guard items[place].state == .started else { return }
            answerInTurn(place, worker: slot)
            items[place].state = .pending
            pools[Int(workers[slot].pool)].hasPending = true
            // What was sent behind it in its lane will come back skipped.
            if lanes[lane].sent > 1 && !faults.contains(.overlapPending) { lanes[lane].isBlocked = true }
            settle(laneIndex)
            return
        }
        if items[place].state == .started {
            measure(slot: slot)
            answerInTurn(place, worker: slot)
        }
        let wasTimedOut = items[place].isTimedOut
        leaveWorker(place, worker: slot)
        var status = status
        if status == .success, effects?.violation != nil { status = .fatal }
        switch status {
        case .success:
            succeed(place, effects: effects)
        case .retry where wasTimedOut, .fatal where wasTimedOut && effects?.violation == nil:
            // It gave up because it was cancelled, and nobody had to die. A success within the grace period is a success: the work is done.
            fail(place, cause: .failure, message: timeoutMessage(route: lanes[lane].route), delayMicros: 0)
        case .retry:
            if faults.contains(.emitOnFailure), let effects { take(effects) }
            fail(place, cause: .failure, message: message, delayMicros: min(delayMillis, 86_400_000) * 1000)
        case .fatal:
            fail(place, cause: .fatal, message: effects?.violation ?? message, delayMicros: 0)
        case .pending, .skipped:
            break
        }
    }

    private var breaksOrder: Bool {
        faults.contains(.overlapPending) || faults.contains(.ignoreLaneWorker) || faults.contains(.noBlockAfterFailure)
            || faults.contains(.trustLiars)
    }

    /// Whether a cancelled run is still open.
    private func hasTimedOut(_ slot: Int) -> Bool { workers[slot].open.contains { items[Int($0)].isTimedOut } }

    /// The handler of an event has returned: the next one began no earlier.
    @inline(__always) private mutating func answerInTurn(_ place: Int, worker slot: Int) {
        workers[slot].isStuck = false
        workers[slot].lastMicros = now
        if items[place].token > workers[slot].lastToken { workers[slot].lastToken = items[place].token }
    }

    /// Called once after the answers of one worker in one turn: gives it and its pool new work.
    public mutating func answered(worker: Int32) {
        guard workers[Int(worker)].isLive else { return }
        pumpWorker(worker)
        pump(pool: workers[Int(worker)].pool)
        reportIfRetired(worker)
    }

    /// The worker asks for more time for a run. Granted up to the lambda's `timeout-max` from its beginning.
    public mutating func extended(worker: Int32, token: UInt64, millis: UInt64) {
        guard workers[Int(worker)].isLive, let place = find(token: token, worker: worker), !items[place].isTimedOut,
            items[place].state == .started || items[place].state == .pending
        else { return }
        let limits = pools[Int(workers[Int(worker)].pool)].lambda.limits
        guard limits.timeout != nil else { return }
        let wanted = now &+ min(millis, 86_400_000) * 1000
        items[place].deadlineMicros = min(max(items[place].deadlineMicros, wanted), items[place].startedMicros &+ limits.timeoutMax.micros)
    }

    @inline(__always) private mutating func measure(slot: Int) {
        let pool = Int(workers[slot].pool)
        let took = now > workers[slot].lastMicros ? now - workers[slot].lastMicros : 0
        // Several answers in one turn share one time; the first gets it, the others count as instant. The mean comes out right.
        let mean = pools[pool].handlerMicros + (Double(took) - pools[pool].handlerMicros) / 32
        pools[pool].handlerMicros = mean
        pools[pool].queueAhead = Int(min(max(limits.queueAheadMicros / max(mean, 0.1), 2), Double(Self.slotCount)))
    }

    func timeoutMessage(route: Int32) -> String {
        let limit = pools[Int(routes[Int(route)].pool)].lambda.limits.timeout ?? .zero
        return "timed out after \(limit); see `timeout:` of lambda '\(routes[Int(route)].lambda)'"
    }

    /// An item is no longer at its worker.
    @inline(__always) mutating func leaveWorker(_ place: Int, worker slot: Int) {
        let at = Int(items[place].openAt)
        if at >= 0 {
            let last = workers[slot].open.removeLast()
            if Int(last) != place {
                workers[slot].open[at] = last
                items[Int(last)].openAt = Int32(at)
            }
            items[place].openAt = -1
        }
        let lane = Int(items[place].lane)
        workers[slot].inFlight -= 1
        workers[slot].leaves &+= 1
        workers[slot].bytesInFlight -= Int(items[place].bytes)
        routes[Int(lanes[lane].route)].inFlight -= 1
        items[place].worker = -1
        items[place].token = 0
        lanes[lane].sent -= 1
        if items[place].isTimedOut && !workers[slot].isDoomed && !hasTimedOut(slot) {
            // It has come to its end in time after all: the worker may go on.
            workers[slot].isCondemned = false
        }
        if items[place].isProbe { pools[Int(workers[slot].pool)].isProbing = false }
    }

    /// An item that has left its worker unfinished waits in its lane again.
    mutating func putBack(_ place: Int) {
        items[place].state = .waiting
        countWaiting(Int32(place), route: Int(lanes[Int(items[place].lane)].route))
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
        if lanes[lane].hasFailed || !routes[Int(lanes[lane].route)].isActive {
            setAside(laneIndex)
            return
        }
        lanes[lane].firstWaiting = lanes[lane].head
        if lanes[lane].head >= 0 {
            offer(laneIndex)
            return
        }
        if lanes[lane].rowsUnloaded == 0 && !lanes[lane].isLoading {
            freeLane(laneIndex)
            return
        }
        dequeue(laneIndex)
        guard lanes[lane].rowsUnloaded > 0, !lanes[lane].isParked || faults.contains(.ignoreParked), !lanes[lane].isLoading else { return }
        if now >= lanes[lane].dueMicros, mayLoadRows(Int(lanes[lane].route)) {
            requestRows(laneIndex)
        } else {
            schedule(laneIndex)
        }
    }

    // MARK: success

    private mutating func succeed(_ place: Int, effects: RunEffects?) {
        let laneIndex = items[place].lane
        let route = Int(lanes[Int(laneIndex)].route)
        let pool = Int(routes[route].pool)
        if !pools[pool].failedSubjects.isEmpty { pools[pool].failedSubjects.removeAll(keepingCapacity: true) }
        if pools[pool].isHolding && !faults.contains(.holdForever) { endHold(Int32(pool)) }
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
    @inline(__always) mutating func finish(_ place: Int32) {
        let laneIndex = items[Int(place)].lane
        let lane = Int(laneIndex)
        if items[Int(place)].position != .max { finish(position: items[Int(place)].position, route: Int(lanes[lane].route)) }
        if items[Int(place)].row >= 0 { finishRowEvent(items[Int(place)].row, bytes: Int(items[Int(place)].bytes)) }
        if lanes[lane].head == place { popHead(lane) } else { unlink(place) }
        freeItem(place)
    }

    /// Puts emitted events into the present commit.
    mutating func take(_ effects: RunEffects) {
        guard !faults.contains(.forgetEmits) else { return }
        for emit in effects.emits {
            hasEffects = true
            let buffer = appends(to: emit.stream)
            buffer.append(copying: emit.records, 0..<emit.records.count)
            commitBytes += emit.records.size
        }
    }

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
            commitBytes += Int(view.header.pointee.size) + output.count
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
