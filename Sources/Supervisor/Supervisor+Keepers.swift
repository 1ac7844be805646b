internal import CLinux
internal import CWorkerProtocol
internal import Glibc
internal import Logging
internal import Routing
internal import WorkerProtocol

extension Supervisor {
    // MARK: messages

    /// Reads what a keeper has to say; bounded, since the poller tells again.
    func readMessages(of keeper: Keeper, nowMillis: Int64) {
        for _ in 0..<64 {
            var descriptors = [Int32](repeating: -1, count: 4)
            var descriptorCount: Int32 = 0
            let size = capelet_linux_receive_message(
                keeper.socket, scratch.baseAddress!, Int(CAPELET_KEEPER_MESSAGE_MAX), &descriptors, 4, &descriptorCount, Int32(MSG_DONTWAIT)
            )
            if size == -Int(EAGAIN) { return }
            if size <= 0 {
                // The end of its process follows, and is what counts.
                poller.remove(keeper.socket)
                if size < 0 { kill(keeper, reason: "its socket failed: \(SystemCallError.text(Int32(-size)))") }
                return
            }
            var owned = Array(descriptors[..<Int(descriptorCount)])
            take(UnsafeRawBufferPointer(rebasing: scratch[..<size]), &owned, of: keeper, nowMillis: nowMillis)
            for descriptor in owned { capelet_linux_close(descriptor) }
        }
    }

    /// - Parameter descriptors: those that are left in it are closed.
    private func take(_ bytes: UnsafeRawBufferPointer, _ descriptors: inout [Int32], of keeper: Keeper, nowMillis: Int64) {
        isDirty = true
        let report: KeeperReport
        do throws(KeeperReport.Malformed) { report = try KeeperReport(bytes) } catch { return kill(keeper, reason: error.reason) }
        let (message, body, death) = (report.message, report.body, report.death)
        switch Int(message.type) {
        case Int(CAPELET_KEEPER_LOADED):
            guard keeper.state == .loading else { return }
            keeper.state = .ready
            keeper.threads = Int(clamping: message.value)
            keeper.deadlineMillis = .max
            keeperFailures = 0
            for target in targets(of: keeper.key) { target.loadFailures = 0 }
            if keeper.threads > 1 {
                logger.notice("\(keeper.generation.label) starts threads while loading: its workers load it one by one, which is slower")
            }
        case Int(CAPELET_KEEPER_LOAD_FAILED):
            guard keeper.state == .loading else { return }
            end(keeper, reason: "its plugin could not be loaded", nowMillis: nowMillis)
            loadFailed(
                key: keeper.key, generation: keeper.generation, reason: LogLines.printable(Array(body)) + lastWords(keeper),
                nowMillis: nowMillis)
        case Int(CAPELET_KEEPER_STARTED):
            guard let worker = keeper.workers[message.id], worker.pid == 0 else { return }
            worker.pid = Int32(clamping: message.value)
            if !descriptors.isEmpty { worker.pidfd = descriptors.removeFirst() }
            // The keeper's number for it, in a namespace of its own, is not ours.
            if keeper.key.sandbox.namespaces.contains("pid"), worker.pidfd >= 0 { worker.pid = capelet_linux_pidfd_pid(worker.pidfd) }
            // Its time to start counts from here: before it there was a queue.
            if worker.state == .starting { worker.deadlineMillis = nowMillis + worker.spec.route.limits.boot.wholeMillis }
            if worker.state == .dying, worker.pidfd >= 0 { _ = capelet_linux_pidfd_signal(worker.pidfd, SignalName.kill) }
        case Int(CAPELET_KEEPER_SPAWN_FAILED):
            guard let worker = keeper.workers[message.id], worker.pid == 0 else { return }
            spawnFailed(worker, code: Int32(clamping: message.value), nowMillis: nowMillis)
        case Int(CAPELET_KEEPER_DIED):
            guard let worker = keeper.workers[message.id] else { return }
            died(worker, death: death, nowMillis: nowMillis)
        case Int(CAPELET_KEEPER_TEMPLATE_DIED):
            guard keeper.state == .ready || keeper.state == .loading else { return }
            let how = Self.words(forStatus: death.wait_status)
            if keeper.state == .loading {
                end(keeper, reason: "its template died", nowMillis: nowMillis)
                loadFailed(
                    key: keeper.key, generation: keeper.generation, reason: "the process \(how) while loading it" + lastWords(keeper),
                    nowMillis: nowMillis)
            } else {
                keeper.state = .templateDead
                logger.warning("the template of \(keeper.generation.label) \(how); its workers go on, a new one is made")
                countKeeperFailure(nowMillis: nowMillis)
            }
        default:
            kill(keeper, reason: "it sent a message of the unknown type \(message.type)")
        }
    }

    private func targets(of key: KeeperKey) -> [PoolTarget] {
        pools.values.flatMap { [$0.candidate, $0.current] }.compactMap { $0 }.filter { KeeperKey($0.spec) == key }
    }

    /// No process came of it: not a death, but a shortage.
    private func spawnFailed(_ worker: WorkerHandle, code: Int32, nowMillis: Int64) {
        let isTemplateGone = worker.keeper.state == .templateDead || worker.keeper.state == .ending
        if isTemplateGone || worker.state == .dying {
            worker.intent = worker.intent ?? .recycle
        } else {
            resourceFault(SystemCallError("start a worker of \(worker.lambda)", code: code), nowMillis: nowMillis)
            worker.intent = .recycle
            worker.intentDetail = "it could not be started: \(SystemCallError.text(code))"
        }
        died(worker, death: nil, nowMillis: nowMillis)
    }

    private func lastWords(_ keeper: Keeper) -> String {
        readOutput(of: keeper, isError: true, nowMillis: Poller.nowMillis)
        guard let last = keeper.errorTail.text.split(separator: "\n").last else { return "" }
        return "; last said: \(last)"
    }

    static func words(forStatus status: Int32) -> String {
        capelet_linux_status_exited(status)
            ? "exited with code \(capelet_linux_status_exit_code(status))"
            : "died by \(SignalName.text(capelet_linux_status_signal(status)))"
    }

    // MARK: what it writes

    func readOutput(of keeper: Keeper, isError: Bool, nowMillis: Int64) {
        let pipe = isError ? keeper.errorPipe : keeper.outputPipe
        guard pipe >= 0 else { return }
        let count = read(pipe, scratch.baseAddress!, scratch.count)
        if count > 0 {
            let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
            if isError {
                keeper.errorTail.add(bytes)
                keeper.errorLines.add(bytes) { log(keeper, $0, isCut: $1, .error, nowMillis: nowMillis) }
            } else {
                keeper.outputLines.add(bytes) { log(keeper, $0, isCut: $1, .output, nowMillis: nowMillis) }
            }
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            poller.remove(pipe)
            capelet_linux_close(pipe)
            if isError { keeper.errorPipe = -1 } else { keeper.outputPipe = -1 }
        }
    }

    private func log(_ keeper: Keeper, _ line: [UInt8], isCut: Bool, _ stream: WorkerLog.Stream, nowMillis: Int64) {
        guard keeper.logGate.admit(bytes: line.count + 1, nowMillis: nowMillis) == .admitted else { return }
        tell(
            .log(
                WorkerLog(
                    lambda: "", plugin: keeper.generation.plugin, workerID: 0, stream: stream, text: LogLines.text(line, isCut: isCut))))
    }

    // MARK: ends

    func checkKeepers(nowMillis: Int64) {
        for keeper in Array(keepers.values) {
            switch keeper.state {
            case .loading:
                if nowMillis >= keeper.deadlineMillis {
                    end(keeper, reason: "its plugin did not load in time", nowMillis: nowMillis)
                    loadFailed(
                        key: keeper.key, generation: keeper.generation,
                        reason: "it was not loaded within the lambda's boot time" + lastWords(keeper),
                        nowMillis: nowMillis)
                } else if isShuttingDown || targets(of: keeper.key).isEmpty {
                    end(keeper, reason: "it is not wanted any more", nowMillis: nowMillis)
                } else {
                    wake(at: keeper.deadlineMillis)
                }
            case .ready:
                if keeper.workers.isEmpty, isShuttingDown || targets(of: keeper.key).allSatisfy({ $0.failure != nil }) {
                    end(keeper, reason: "it is not wanted any more", nowMillis: nowMillis)
                }
            case .templateDead:
                if keeper.workers.isEmpty { end(keeper, reason: "its template is dead", nowMillis: nowMillis) }
            case .ending:
                if nowMillis >= keeper.deadlineMillis {
                    keeper.deadlineMillis = .max
                    _ = capelet_linux_pidfd_signal(keeper.pidfd, SignalName.kill)
                } else {
                    wake(at: keeper.deadlineMillis)
                }
            }
            if isShuttingDown, keeper.state != .ending {
                if nowMillis >= shutdownMillis {
                    end(keeper, reason: "the host ends", nowMillis: nowMillis)
                } else {
                    wake(at: shutdownMillis)
                }
            }
        }
    }

    /// Tells a keeper to kill what it has and to exit.
    private func end(_ keeper: Keeper, reason: String, nowMillis: Int64) {
        guard keeper.state != .ending else { return }
        keeper.state = .ending
        keeper.endReason = reason
        keeper.deadlineMillis = nowMillis + Self.keeperPatienceMillis
        wake(at: keeper.deadlineMillis)
        if keeper.send(Int(CAPELET_HOST_END)) != 0 { kill(keeper, reason: reason) }
    }

    /// Kills a keeper that cannot be talked to; the kernel then kills what is below it.
    func kill(_ keeper: Keeper, reason: String) {
        isDirty = true
        if keeper.endReason == nil {
            keeper.endReason = reason
            logger.error("the keeper \(keeper.pid) of \(keeper.generation.label) is killed: \(reason)")
        }
        keeper.state = .ending
        keeper.deadlineMillis = .max
        _ = capelet_linux_pidfd_signal(keeper.pidfd, SignalName.kill)
    }

    /// A keeper that was never polled.
    func discard(_ keeper: Keeper) {
        keepers[keeper.id] = nil
        defer { release(&keeper.group) }
        for descriptor in [keeper.socket, keeper.pidfd, keeper.outputPipe, keeper.errorPipe] { poller.remove(descriptor) }
        _ = capelet_linux_pidfd_signal(keeper.pidfd, SignalName.kill)
        var status: Int32 = 0
        while waitpid(keeper.pid, &status, 0) < 0, errno == EINTR {}
    }

    /// A keeper's process has ended.
    func reap(_ keeper: Keeper, nowMillis: Int64) {
        var status: Int32 = 0
        var user: UInt64 = 0
        var system: UInt64 = 0
        var peak: UInt64 = 0
        let result = capelet_linux_pidfd_reap(keeper.pidfd, &status, &user, &system, &peak)
        guard result != 0 else { return }
        isDirty = true
        // What it said last comes first: deaths that it has reported are not guessed at.
        readMessages(of: keeper, nowMillis: nowMillis)
        let wasExpected = keeper.state == .ending
        let how = result < 0 ? "is gone" : Self.words(forStatus: status)
        for isError in [false, true] { readOutput(of: keeper, isError: isError, nowMillis: nowMillis) }
        for descriptor in [keeper.socket, keeper.pidfd, keeper.outputPipe, keeper.errorPipe] where descriptor >= 0 {
            poller.remove(descriptor)
        }
        keepers[keeper.id] = nil
        release(&keeper.group)
        if !wasExpected {
            keeper.endReason = how
            logger.error("the keeper \(keeper.pid) of \(keeper.generation.label) \(how)")
            countKeeperFailure(nowMillis: nowMillis)
            if keeper.state == .loading {
                loadFailed(
                    key: keeper.key, generation: keeper.generation, reason: "the process above it \(how)" + lastWords(keeper),
                    nowMillis: nowMillis)
            }
        }
        keeper.state = .ending
        for worker in Array(keeper.workers.values) {
            // The kernel kills them with their keeper; until they are known to be dead their events must not go to others.
            guard worker.pidfd >= 0 else {
                died(worker, death: nil, detail: "its keeper \(keeper.pid) \(how)", nowMillis: nowMillis)
                continue
            }
            _ = capelet_linux_pidfd_signal(worker.pidfd, SignalName.kill)
            do {
                try poller.add(worker.pidfd, tag: PollTag(.workerProcess, worker.id).rawValue)
            } catch {
                died(worker, death: nil, detail: "its keeper \(keeper.pid) \(how)", nowMillis: nowMillis)
            }
        }
    }

    private func release(_ group: inout ControlGroup?) {
        if let group { groups?.release(group) }
        group = nil
    }

    private func countKeeperFailure(nowMillis: Int64) {
        lastKeeperDeathMillis = nowMillis
        if keeperFailures > 0 { keeperNotBeforeMillis = nowMillis + min(100 << Int64(min(keeperFailures - 1, 10)), 10_000) }
        keeperFailures += 1
    }
}
