import CWorkerProtocol
import Journal
import Logging
import Supervisor
import Telemetry
import WorkerProtocol

// Workers: what the supervisor says of them, and what they answer.

extension Engine {
    /// Frames of one worker that are read in one turn.
    static let framesPerTurn = 2048
    /// Events that one run may emit (SEMANTICS §5.3).
    static let emitsMax = 1000
    /// Bytes that one run may emit.
    static let emitBytesMax = 16 << 20
    /// Bytes of output and emitted events that the open runs of one worker may hold in the host.
    static let effectBytesMax = 128 << 20
    /// Emits between an event from outside and the last that comes of it.
    static let hopsMax = 32

    func take(_ event: SupervisorEvent, nowMillis: Int64) {
        switch event {
        case .workerReady(let handle):
            guard !isStopping, let number = scheduler.workerReady(lambda: handle.lambda) else {
                // Not a lambda that gets events: it must not be started again either.
                if !isStopping { supervisor.removePool(lambda: handle.lambda, nowMillis: nowMillis) }
                supervisor.retire(handle, deadlineMillis: nowMillis + 1000, nowMillis: nowMillis)
                return
            }
            let worker = EngineWorker(handle: handle, number: number)
            handle.slot = Int(number)
            while workers.count <= Int(number) { workers.append(nil) }
            workers[Int(number)] = worker
            markBusy(handle)
        case .workerDied(let handle, let verdict):
            died(handle, verdict, nowMillis: nowMillis)
        case .workerSurplus(let handle):
            if let reason = handle.recycling {
                for meter in routeMetrics.values where meter.lambda == handle.lambda {
                    meter.metrics.recycled(reason: reason.kind.rawValue)
                }
            }
            retire(handle)
        case .poolPromoted(let lambda, let revision):
            for worker in workers {
                if let worker, worker.handle.lambda == lambda, worker.handle.spec.revision < revision { retire(worker.handle) }
            }
            onNotice(.promoted(lambda: lambda, revision: revision))
        case .poolRefused(let lambda, let revision, let reason):
            logger.error("\(lambda): the new generation was given up: \(reason)")
            onNotice(.refused(lambda: lambda, revision: revision, reason: reason))
        case .poolBroken(let lambda, let reason, _):
            logger.error("\(lambda): its workers keep dying, it gets no events for now: \(reason)")
            onNotice(.broken(lambda: lambda, reason: reason))
        case .poolMended(let lambda):
            logger.notice("\(lambda): well again")
            onNotice(.mended(lambda: lambda))
        case .loadFailed(let plugin, let generation, let reason):
            logger.error("plugin \(plugin), generation \(generation): \(reason)")
        case .log(let line):
            let handle = supervisor.worker(line.workerID)
            onLog(
                LogEntry(
                    lambda: line.lambda, worker: handle?.index ?? 0, pid: handle?.pid ?? 0,
                    level: line.stream == .output ? "stdout" : "stderr",
                    text: line.text))
        }
    }

    func retire(_ handle: WorkerHandle) {
        guard handle.slot >= 0, let worker = workers[handle.slot] else { return }
        scheduler.retire(worker: worker.number)
        guard !worker.isRetiring else { return }
        worker.isRetiring = true
        // What it has begun may end until then (SEMANTICS §6.2); what it has not is withdrawn in this turn, and it takes nothing more.
        let nowMillis = Poller.nowMillis
        supervisor.retire(worker.handle, deadlineMillis: nowMillis + drainMillis, nowMillis: nowMillis)
    }

    func markBusy(_ handle: WorkerHandle) {
        guard handle.slot >= 0, let worker = workers[handle.slot], !worker.isBusy else { return }
        worker.isBusy = true
        busy.append(worker)
    }

    private func died(_ handle: WorkerHandle, _ verdict: Verdict, nowMillis: Int64) {
        guard handle.slot >= 0, let worker = workers[handle.slot], worker.handle === handle else {
            if handle.wasReady { supervisor.bury(handle, pinnedOnEvent: false, nowMillis: nowMillis) }
            if !verdict.isIntended {
                countDeath(of: handle, verdict)
                onNotice(.died(verdict, event: nil))
            }
            return
        }
        // What it said before it died stands.
        for _ in 0..<64 { if !read(worker, isDead: true) { break } }
        // What it has begun counts as begun, also when its frames cannot be read on. When its word on that cannot be true, it may have begun
        // everything that it was given: each of those then runs alone.
        scheduler.claimed(worker: worker.number, number: (try? handle.channel.observe()) ?? handle.channel.nextNumber)
        let suspect = scheduler.likelyCause(of: worker.number)
        let cause: DeathCause
        switch verdict.kind {
        case .timeout: cause = .timeout
        case .external: cause = .external
        case .reload, .shutdown: cause = .host
        default: cause = .fault
        }
        var event: OpenEvent?
        if let suspect {
            let header = suspect.record.header.pointee
            event = OpenEvent(
                domain: header.domain, offset: header.offset, subject: suspect.record.subjectText,
                ranMillis: Int64(scheduler.now &- min(suspect.startedMicros, scheduler.now)) / 1000, openCount: suspect.open)
        }
        let isPinned = scheduler.workerDied(worker: worker.number, cause: cause, message: verdict.text)
        workers[handle.slot] = nil
        handle.slot = -1
        busy.removeAll { $0 === worker }
        touched.removeAll { $0 === worker }
        supervisor.bury(handle, pinnedOnEvent: isPinned, nowMillis: nowMillis)
        // An end that the host meant is no news, unless it cut an event off: it did not drain in time.
        if !verdict.isIntended || (verdict.kind == .reload && event?.openCount ?? 0 > 0) {
            countDeath(of: handle, verdict)
            onNotice(.died(verdict, event: event))
        }
    }

    private func countDeath(of handle: WorkerHandle, _ verdict: Verdict) {
        for meter in routeMetrics.values where meter.lambda == handle.lambda { meter.metrics.crashed(verdict: verdict.kind.rawValue) }
    }

    /// Reads what every busy worker has answered, each a bounded amount.
    func readWorkers() {
        var index = 0
        while index < busy.count {
            let worker = busy[index]
            if worker.pace.pausedUntilMicros > scheduler.now {
                // It rings in vain meanwhile: `host_waiting` stays 0, and bells that nobody asked for are counted.
                index += 1
                continue
            }
            _ = read(worker, isDead: false)
            if workers[Int(worker.number)] === worker, scheduler.isIdle(worker: worker.number), worker.backlog.isEmpty,
                !worker.handle.channel.prepareToSleep()
            {
                // It rings when it has something to say.
                worker.isBusy = false
                busy.remove(at: index)
            } else {
                worker.handle.channel.awake()
                index += 1
            }
        }
    }

    /// Reads one worker's frames; returns whether there were any.
    private func read(_ worker: EngineWorker, isDead: Bool) -> Bool {
        let channel = worker.handle.channel
        do throws(ChannelViolation) {
            let hasFrames = try channel.beginTurn(maximumFrames: Self.framesPerTurn)
            // After the frames' end was looked at: whatever is answered up to there has been claimed by now.
            if isDead {
                // What it said before it died stands, also when its last claim makes no sense.
                if let claimed = try? channel.observe() { scheduler.claimed(worker: worker.number, number: claimed) }
            } else {
                scheduler.claimed(worker: worker.number, number: try channel.observe())
            }
            guard hasFrames else {
                if !worker.backlog.isEmpty && !isDead { stageBacklog(worker) }
                return false
            }
            worker.turn = ReadingPace.Turn()
            while isDead || !worker.turn.isFull, let frame = try channel.nextFrame() {
                worker.turn.frames += 1
                try take(frame, from: worker)
            }
            _ = channel.endTurn()
            if isDead { return true }
            worker.pace.ended(worker.turn, nowMicros: scheduler.now)
            scheduler.answered(worker: worker.number)
            if !worker.backlog.isEmpty { stageBacklog(worker) }
            return true
        } catch {
            if !isDead { violate(worker, error.description) }
            return false
        }
    }

    func violate(_ worker: EngineWorker, _ detail: String) {
        guard !worker.isEnding else { return }
        worker.isEnding = true
        supervisor.terminate(worker.handle, .protocolViolation, detail: detail, nowMillis: Poller.nowMillis)
    }

    private func take(_ frame: WorkerFrame, from worker: EngineWorker) throws(ChannelViolation) {
        switch frame.kind {
        case .result:
            guard frame.code <= 4, let status = RunStatus(rawValue: UInt8(frame.code)) else {
                throw ChannelViolation("a result with status \(frame.code)")
            }
            if let run = scheduler.started(token: frame.token, worker: worker.number) {
                worker.turn.progress += 1
                if status != .skipped && status != .pending { measure(run, success: status == .success) }
            } else {
                try noise(from: worker)
            }
            if status == .success {
                worker.handle.hasSucceeded = true
                let effects = worker.effects.isEmpty ? nil : worker.effects.removeValue(forKey: frame.token)
                scheduler.result(worker: worker.number, token: frame.token, status: .success, effects: effects)
            } else {
                if status != .pending { worker.effects[frame.token] = nil }
                scheduler.result(
                    worker: worker.number, token: frame.token, status: status, delayMillis: frame.value,
                    message: frame.body.isEmpty ? "" : frame.text)
            }
            if !worker.emitted.isEmpty && status != .pending { worker.emitted[frame.token] = nil }
        case .output:
            guard scheduler.isOpen(token: frame.token, worker: worker.number) else { return try noise(from: worker) }
            worker.effects[frame.token, default: RunEffects()].output = Array(frame.body)
            try count(frame.body.count, of: worker)
        case .emit:
            try emit(frame, from: worker)
        case .extend:
            guard scheduler.isOpen(token: frame.token, worker: worker.number) else { return try noise(from: worker) }
            scheduler.extended(worker: worker.number, token: frame.token, millis: frame.value)
        case .log:
            log(frame, from: worker)
        case .ready, .startFailed:
            throw ChannelViolation("a second word about its start")
        }
    }

    /// What the open runs of one worker have put out is held in the host's memory: all together it has a limit.
    private func count(_ bytes: Int, of worker: EngineWorker) throws(ChannelViolation) {
        worker.effectBytes = worker.effects.isEmpty ? 0 : worker.effectBytes + bytes
        guard worker.effectBytes > Self.effectBytesMax else { return }
        // The sum only grows while runs are open: take the exact one before judging.
        worker.effectBytes = worker.effects.values.reduce(0) { $0 + $1.output.count + $1.emits.reduce(0) { $0 + $1.records.size } }
        guard worker.effectBytes > Self.effectBytesMax else { return }
        throw ChannelViolation(
            "its open runs have put out \(worker.effectBytes) bytes; \(Self.effectBytesMax) are allowed: lower `concurrency:`")
    }

    /// A frame about no open run. One may be late; many are an attempt to keep the host busy.
    private func noise(from worker: EngineWorker) throws(ChannelViolation) {
        guard worker.pace.noise(nowMicros: scheduler.now) else { return }
        throw ChannelViolation("more than \(ReadingPace.noiseMax) messages in a second about runs that it does not have")
    }

    private func log(_ frame: WorkerFrame, from worker: EngineWorker) {
        switch worker.handle.logGate.admit(bytes: frame.body.count, nowMillis: Poller.nowMillis) {
        case .admitted: worker.turn.lines += 1
        case .dropped: return
        case .cut:
            onLog(entry(worker, level: "warning", text: "more than `log-rate` allows; the rest of this second is cut"))
            return
        }
        let levels = ["trace", "debug", "info", "notice", "warning", "error"]
        onLog(entry(worker, level: levels[min(Int(frame.code), 5)], text: frame.text))
    }

    private func entry(_ worker: EngineWorker, level: String, text: String) -> LogEntry {
        LogEntry(lambda: worker.handle.lambda, worker: worker.handle.index, pid: worker.handle.pid, level: level, text: text)
    }

    /// Takes an emitted event into the effects of its run, checked against the limits.
    private func emit(_ frame: WorkerFrame, from worker: EngineWorker) throws(ChannelViolation) {
        let emit = try WorkerEmit(checking: frame.body)
        try count(frame.body.count, of: worker)
        guard let source = scheduler.runRecord(token: frame.token, worker: worker.number) else { return try noise(from: worker) }
        var emitted = worker.emitted[frame.token] ?? (0, 0)
        emitted.count += 1
        emitted.bytes += frame.body.count
        worker.emitted[frame.token] = emitted
        // `capelet-worker` refuses beyond its limits and ends the run as fatal: only a plugin that writes to the ring by itself comes here.
        guard emitted.count <= Self.emitsMax else { throw ChannelViolation("a run that emitted more than \(Self.emitsMax) events") }
        guard emitted.bytes <= Self.emitBytesMax else { throw ChannelViolation("a run that emitted more than \(Self.emitBytesMax) bytes") }
        worker.turn.progress += 1
        var effects = worker.effects[frame.token] ?? RunEffects()
        defer { worker.effects[frame.token] = effects }
        let name = String(decoding: emit.domain, as: UTF8.self)
        guard let target = domainStreams[name] else {
            effects.violation = "emitted to domain '\(name)', which is not in the routing file"
            return
        }
        let count = effects.emits.reduce(0) { $0 + $1.records.count }
        if emit.payload.count > target.payloadBytesMax {
            effects.violation =
                "emitted a payload of \(emit.payload.count) bytes to domain '\(name)', where `payload:` is \(target.payloadBytesMax)"
            return
        }
        if Int(source.header.pointee.hops) + 1 > Self.hopsMax {
            effects.violation = "emitted an event that is \(Self.hopsMax + 1) emits away from one from outside: is there a circle?"
            return
        }
        let records: RecordBuffer
        if let known = effects.emits.first(where: { $0.stream == target.stream }) {
            records = known.records
        } else {
            records = RecordBuffer(capacity: frame.body.count + 128, count: 1)
            effects.emits.append(StreamAppend(stream: target.stream, records: records))
        }
        let now = Self.wallMicros
        let header = source.header.pointee
        var ownID = emit.id.isEmpty ? "\(header.domain)/\(header.offset)/\(worker.handle.lambda)/\(count)" : ""
        var headers = EncodedPairs(copying: emit.headers, count: emit.headerCount)
        if let trace = source.header(named: Self.traceparent), RecordView.find(Self.traceparent, in: emit.headers) == nil {
            headers.append(name: Self.traceparent, value: trace)
        }
        ownID.withUTF8 { ownID in
            records.append(
                domain: target.stream.rawValue, subjectHash: journal.subjectHash(emit.subject), subject: emit.subject, type: emit.type,
                id: emit.id.isEmpty ? UnsafeRawBufferPointer(ownID) : emit.id, headers: headers, payload: emit.payload, timeMicros: now,
                acceptedMicros: now, hops: header.hops + 1)
        }
    }

    nonisolated(unsafe) private static let traceparent: UnsafeRawBufferPointer = {
        let text = "traceparent"
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        copy.copyBytes(from: text.utf8)
        return UnsafeRawBufferPointer(copy)
    }()

    private func measure(_ run: (startedMicros: UInt64, acceptedMicros: Int64, route: RouteID), success: Bool) {
        guard let meter = routeMetrics[run.route] else { return }
        let now = UInt64(Poller.nowNanos) / 1000
        let wall = Self.wallMicros
        let done = max(wall - run.acceptedMicros, 0)
        let ran = now > run.startedMicros ? now - run.startedMicros : 0
        meter.metrics.startLatency.record(micros: UInt64(max(done - Int64(ran), 0)))
        if success { meter.metrics.doneLatency.record(micros: UInt64(done)) }
    }
}
