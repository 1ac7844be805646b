internal import CLinux
internal import CWorkerProtocol
internal import Glibc
internal import Logging
internal import Routing
internal import WorkerProtocol

extension Supervisor {
    // MARK: starting

    /// Asks a keeper for one worker.
    func startWorker(_ target: PoolTarget, keeper: Keeper, nowMillis: Int64) throws(SystemCallError) {
        let spec = target.spec
        let channel = try HostChannel()
        defer { channel.closeWorkerEnds() }
        var output: [Int32] = [-1, -1]
        var error: [Int32] = [-1, -1]
        let worker = WorkerHandle(
            id: newID(), target: target, keeper: keeper, index: target.freeIndex, channel: channel, nowMillis: nowMillis)
        var code = capelet_linux_pipe(&output)
        if code != 0 { throw SystemCallError("start a worker of \(spec.lambda): pipe", code: code) }
        worker.outputPipe = output[0]
        defer { capelet_linux_close(output[1]) }
        code = capelet_linux_pipe(&error)
        if code != 0 { throw SystemCallError("start a worker of \(spec.lambda): pipe", code: code) }
        worker.errorPipe = error[0]
        defer { capelet_linux_close(error[1]) }

        var settings = SettingsBuffer()
        settings.add("lambda.entry", spec.route.entry)
        spec.route.function?.add(to: &settings)
        settings.add("lambda", spec.lambda)
        settings.add("state", spec.stateDirectory)
        settings.add("worker.index", String(worker.index))
        settings.add("config", spec.config.json)
        for entry in spec.config.values { settings.add("config.\(entry.key)", entry.value) }
        for domain in spec.domains { settings.add("domain.\(domain.number)", domain.name) }
        keeper.key.addLimits(to: &settings)
        for (name, value) in WorkerEnvironment.worker(spec).sorted(by: { $0.key < $1.key }) { settings.add("environment.\(name)", value) }
        let settingsFile = try settings.makeDescriptor()
        defer { capelet_linux_close(settingsFile) }

        // Until it is ready nobody polls its channel: it has to ring.
        _ = channel.prepareToSleep()
        try poller.add(channel.bell, tag: PollTag(.bell, worker.id).rawValue, events: [.readable, .edge])
        try poller.add(channel.socket, tag: PollTag(.workerSocket, worker.id).rawValue, events: .edge)
        try poller.add(worker.outputPipe, tag: PollTag(.workerOutput, worker.id).rawValue)
        try poller.add(worker.errorPipe, tag: PollTag(.workerError, worker.id).rawValue)
        let group = try groups?.take(keeper.key.groupLimits)
        code = keeper.send(
            Int(CAPELET_HOST_SPAWN), id: worker.id,
            descriptors: [
                settingsFile, channel.inboxDescriptor, channel.outboxDescriptor, channel.bell, channel.workerSocket, output[1], error[1],
            ] + (group?.descriptors ?? []))
        if code != 0, let group { groups?.release(group) }
        group?.closeEntry()
        if code != 0 { throw SystemCallError("ask a keeper for a worker of \(spec.lambda)", code: code) }

        worker.group = group
        spawns += 1
        worker.deadlineMillis = nowMillis + spec.route.limits.boot.wholeMillis
        worker.isProbe = target.policy.breaker == .probing
        wake(at: worker.deadlineMillis)
        handles[worker.id] = worker
        keeper.workers[worker.id] = worker
        target.workers.append(worker)
    }

    // MARK: its channel

    func bellRang(_ worker: WorkerHandle, nowMillis: Int64) {
        do {
            try worker.channel.answerBell(nowMillis: nowMillis)
            switch worker.state {
            case .starting: try readStart(of: worker, nowMillis: nowMillis)
            case .ready, .retiring: ringing.append(worker)
            case .dying, .dead: break
            }
        } catch {
            terminate(worker, .protocolViolation, detail: error.description, nowMillis: nowMillis)
        }
    }

    /// Reads frames until the worker is ready; what follows is the engine's. A bounded number of them: a plugin can log without end while it starts.
    private func readStart(of worker: WorkerHandle, nowMillis: Int64) throws(ChannelViolation) {
        let channel = worker.channel
        var turns = 0
        repeat {
            guard turns < 4 else {
                worker.startIsUnread = true
                return wake(at: nowMillis + 1)
            }
            turns += 1
            try channel.beginTurn(maximumFrames: 64)
            while let frame = try channel.nextFrame() {
                switch frame.kind {
                case .ready:
                    channel.endTurn()
                    return becameReady(worker, nowMillis: nowMillis)
                case .startFailed:
                    worker.intentDetail = "it could not start (\(frame.code)): \(LogLines.printable(Array(frame.body)))"
                    worker.hasRefusedToStart = true
                    // It exits by itself; if it does not, it is killed.
                    worker.deadlineMillis = min(worker.deadlineMillis, nowMillis + 2000)
                    isDirty = true
                case .log:
                    log(worker, Array(frame.body.prefix(LogLines.lineBytesMax)), isCut: false, .output, nowMillis: nowMillis)
                case .result, .output, .emit, .extend: break
                }
            }
            channel.endTurn()
        } while channel.prepareToSleep()
    }

    private func becameReady(_ worker: WorkerHandle, nowMillis: Int64) {
        isDirty = true
        worker.state = .ready
        worker.wasReady = true
        worker.readyMillis = nowMillis
        worker.deadlineMillis = .max
        let target = worker.target
        target.policy.becameReady(nowMillis: nowMillis)
        target.startFailures = 0
        // The bell may have rung for frames behind this one, and tells only once.
        ringing.append(worker)
        guard target.isLive, let pool = pools[worker.lambda] else {
            terminate(worker, .reload, nowMillis: nowMillis)
            return
        }
        if !target.wasEverReady {
            target.wasEverReady = true
            pool.fault = nil
            if pool.candidate === target {
                pool.candidate = nil
                pool.current.isLive = false
                for old in pool.current.workers where old.state == .starting { terminate(old, .reload, nowMillis: nowMillis) }
                pool.current = target
            }
            logger.info("lambda \(pool.lambda): \(target.spec.generation.label) serves")
            tell(.poolPromoted(lambda: pool.lambda, revision: target.spec.revision))
        }
        tell(.workerReady(worker))
        letGo(in: target)
    }

    // MARK: what it writes

    func readOutput(of worker: WorkerHandle, isError: Bool, nowMillis: Int64) {
        let pipe = isError ? worker.errorPipe : worker.outputPipe
        guard pipe >= 0 else { return }
        // One buffer per turn: a flood costs its own worker time, not the others'. A small one where each line is looked at: there could be one a byte.
        let isShut = worker.logGate.isShut(nowMillis: nowMillis)
        let count = read(pipe, scratch.baseAddress!, isShut ? scratch.count : Self.outputBytesPerTurn)
        if count > 0 {
            take(UnsafeRawBufferPointer(rebasing: scratch[..<count]), of: worker, isError: isError, nowMillis: nowMillis)
            if isShut { pauseOutput(of: worker, isError: isError, nowMillis: nowMillis) }
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            closeOutput(of: worker, isError: isError, nowMillis: nowMillis)
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer, of worker: WorkerHandle, isError: Bool, nowMillis: Int64) {
        if isError { worker.errorTail.add(bytes) }
        if worker.logGate.isShut(nowMillis: nowMillis) {
            worker.logGate.drop(bytes: bytes.count)
            if isError { worker.errorLines.skip() } else { worker.outputLines.skip() }
        } else if isError {
            worker.errorLines.add(bytes) { log(worker, $0, isCut: $1, .error, nowMillis: nowMillis) }
        } else {
            worker.outputLines.add(bytes) { log(worker, $0, isCut: $1, .output, nowMillis: nowMillis) }
        }
    }

    private func closeOutput(of worker: WorkerHandle, isError: Bool, nowMillis: Int64) {
        let pipe = isError ? worker.errorPipe : worker.outputPipe
        guard pipe >= 0 else { return }
        poller.remove(pipe)
        capelet_linux_close(pipe)
        if isError {
            worker.errorPipe = -1
            worker.errorLines.end { log(worker, $0, isCut: $1, .error, nowMillis: nowMillis) }
        } else {
            worker.outputPipe = -1
            worker.outputLines.end { log(worker, $0, isCut: $1, .output, nowMillis: nowMillis) }
        }
    }

    private func log(_ worker: WorkerHandle, _ line: [UInt8], isCut: Bool, _ stream: WorkerLog.Stream, nowMillis: Int64) {
        let text: String
        switch worker.logGate.admit(bytes: line.count + 1, nowMillis: nowMillis) {
        case .admitted: text = LogLines.text(line, isCut: isCut)
        case .cut: text = "[more than \(worker.spec.route.limits.logBytesPerSecond) bytes of log in one second: the rest is cut]"
        case .dropped: return
        }
        tell(.log(WorkerLog(lambda: worker.lambda, plugin: worker.spec.generation.plugin, workerID: worker.id, stream: stream, text: text)))
    }

    // MARK: deadlines

    func checkWorkers(nowMillis: Int64) {
        for worker in handles.values {
            switch worker.state {
            case .starting:
                if worker.startIsUnread {
                    worker.startIsUnread = false
                    do throws(ChannelViolation) { try readStart(of: worker, nowMillis: nowMillis) } catch {
                        terminate(worker, .protocolViolation, detail: error.description, nowMillis: nowMillis)
                    }
                }
                if worker.state == .starting, nowMillis >= worker.deadlineMillis {
                    let said = worker.intentDetail
                    let boot = worker.spec.route.limits.boot
                    terminate(worker, .boot, detail: said.isEmpty ? "nothing within \(boot)" : said, nowMillis: nowMillis)
                } else {
                    wake(at: worker.deadlineMillis)
                }
            case .retiring:
                if nowMillis >= worker.deadlineMillis {
                    terminate(worker, worker.intent ?? .reload, detail: "it did not finish in time", nowMillis: nowMillis)
                } else {
                    wake(at: worker.deadlineMillis)
                }
            case .dying:
                if nowMillis >= worker.deathDeadlineMillis {
                    worker.deathDeadlineMillis = .max
                    logger.error(
                        "worker \(worker.pid) of \(worker.lambda) was killed, and its keeper \(worker.keeper.pid) does not report its death"
                    )
                    kill(worker.keeper, reason: "it did not report a death")
                } else {
                    wake(at: worker.deathDeadlineMillis)
                }
            case .ready, .dead: break
            }
            if worker.outputResumeMillis < .max { resumeOutput(of: worker, nowMillis: nowMillis) }
            if let closed = worker.socketClosedMillis, worker.state != .dying, worker.state != .dead {
                if nowMillis - closed < Self.closedSocketMillis {
                    wake(at: closed + Self.closedSocketMillis)
                } else if worker.state != .retiring, worker.pidfd < 0 || capelet_linux_is_readable(worker.pidfd) == 0 {
                    terminate(worker, .protocolViolation, detail: "it closed its socket", nowMillis: nowMillis)
                }
            }
        }
    }

    // MARK: death

    /// A worker and its descendants are gone.
    ///
    /// - Parameter death: the kernel's word; nil: nobody could ask it.
    func died(_ worker: WorkerHandle, death: capelet_keeper_death?, detail: String = "", nowMillis: Int64) {
        guard worker.state != .dead else { return }
        isDirty = true
        // What was still in the pipes, as far as a pipe can hold; a descendant that lives on cannot hold this up.
        for isError in [false, true] {
            let pipe = isError ? worker.errorPipe : worker.outputPipe
            var turns = 0
            while pipe >= 0, turns < 16 {
                let count = read(pipe, scratch.baseAddress!, scratch.count)
                guard count > 0 else { break }
                take(UnsafeRawBufferPointer(rebasing: scratch[..<count]), of: worker, isError: isError, nowMillis: nowMillis)
                turns += 1
            }
            closeOutput(of: worker, isError: isError, nowMillis: nowMillis)
        }
        if worker.state == .starting { readLastWords(of: worker) }
        poller.remove(worker.channel.bell)
        poller.remove(worker.channel.socket)
        if worker.pidfd >= 0 { poller.remove(worker.pidfd) }
        worker.closeDescriptors()
        worker.keeper.workers[worker.id] = nil
        worker.state = .dead

        let limits = worker.spec.route.limits
        var facts = Verdict.Facts(memoryLimitBytes: limits.memoryBytes)
        facts.waitStatus = death?.wait_status
        facts.userMicros = death?.user_micros ?? 0
        facts.systemMicros = death?.system_micros ?? 0
        facts.peakKiB = death?.peak_kib ?? 0
        facts.intent = worker.intent
        facts.detail = worker.intentDetail.isEmpty ? detail : worker.intentDetail
        facts.wasReady = worker.wasReady
        facts.cpuLimitSeconds = worker.keeper.key.cpuSeconds
        if let group = worker.group {
            facts.memoryKills = group.memoryKills
            facts.groupPeakBytes = group.memoryPeak
            groups?.release(group)
            worker.group = nil
        }
        let verdict = Verdict(of: worker, facts: facts, nowMillis: nowMillis)
        worker.deathKind = verdict.kind
        worker.deathText = verdict.text
        worker.waitStatus = death?.wait_status
        deaths.add(verdict)
        // Whoever takes the event says it to the operator, with the event that ran.
        logger.debug("\(verdict.text)")
        tell(.workerDied(worker, verdict))
        if !worker.wasReady {
            handles[worker.id] = nil
            settle(worker, pinnedOnEvent: false, nowMillis: nowMillis)
        }
    }

    /// A worker that could not start says why just before it exits.
    private func readLastWords(of worker: WorkerHandle) {
        // All that the ring holds: nobody writes to it any more.
        guard (try? worker.channel.beginTurn(maximumFrames: .max)) == true else { return }
        while let frame = try? worker.channel.nextFrame() {
            if frame.kind == .startFailed {
                worker.intentDetail = "it could not start (\(frame.code)): \(LogLines.printable(Array(frame.body)))"
                worker.hasRefusedToStart = true
            }
        }
        worker.channel.endTurn()
    }

    /// A worker whose keeper had died is dead too.
    func orphanDied(_ worker: WorkerHandle, nowMillis: Int64) {
        guard worker.pidfd >= 0, capelet_linux_is_readable(worker.pidfd) != 0 else { return }
        died(
            worker, death: nil, detail: "its keeper \(worker.keeper.pid) died\(worker.keeper.endReason.map { ": \($0)" } ?? "")",
            nowMillis: nowMillis)
    }
}

extension Verdict {
    /// The verdict on a worker's death, with its text.
    init(of worker: WorkerHandle, facts: Facts, nowMillis: Int64) {
        let (kind, words) = Verdict.classify(facts)
        self.kind = kind
        lambda = worker.lambda
        generation = worker.spec.generation.label
        plugin = worker.spec.generation.plugin
        generationNumber = worker.spec.generation.number
        workerID = worker.id
        pid = worker.pid
        exitCode = facts.waitStatus.flatMap { capelet_linux_status_exited($0) ? capelet_linux_status_exit_code($0) : nil }
        signal = facts.waitStatus.flatMap { capelet_linux_status_signalled($0) ? capelet_linux_status_signal($0) : nil }
        cpuMicros = facts.userMicros + facts.systemMicros
        peakKiB = max(facts.peakKiB, facts.groupPeakBytes >> 10)
        memoryLimitBytes = facts.memoryLimitBytes
        ranMillis = nowMillis - worker.startedMillis
        var clock = timespec()
        clock_gettime(CLOCK_REALTIME, &clock)
        atMillis = Int64(clock.tv_sec) * 1000 + Int64(clock.tv_nsec) / 1_000_000
        lastErrorOutput = worker.errorTail.text
        var text = "worker \(worker.pid) of lambda \(worker.lambda) (\(worker.spec.generation.label)) \(words)"
        text += " after \(ranMillis < 10_000 ? "\(ranMillis) ms" : "\(ranMillis / 1000) s")"
        if peakKiB > 0 { text += ", peak memory \(peakKiB / 1024) of \(facts.memoryLimitBytes >> 20) MiB" }
        if kind != .reload, kind != .shutdown, let last = lastErrorOutput.split(separator: "\n").last { text += "; last said: \(last)" }
        self.text = text
    }
}
