import Glibc
import CWorkerProtocol
import Journal
import Logging
import Supervisor
import WorkerProtocol

// Carrying out what the scheduler decides.

extension Engine {
    func carryOut() {
        let nowMillis = Poller.nowMillis
        var index = 0
        // The scheduler may decide more while this goes on; it is carried out in the same turn, in order.
        while index < scheduler.actions.count {
            carryOut(scheduler.actions[index], nowMillis: nowMillis)
            index += 1
        }
        scheduler.clearActions()
        publish()
    }

    private func carryOut(_ action: SchedulerAction, nowMillis: Int64) {
        switch action {
        case .send(let number, let item):
            guard let worker = workers[Int(number)] else { return }
            if worker.backlog.isEmpty, stage(item, to: worker) { return }
            worker.backlog.append(item)
        case .load(let route, let position):
            load(route: route, position: position)
        case .loadRows(let route, let lane, let serial, let hash, let after):
            guard let id = scheduler.routeID(route) else { return }
            rowLoads.append((id, lane, serial, hash, after, commitsTaken + 1))
        case .withdraw(let number):
            withdraw(number)
        case .cancel(let number, let token):
            workers[Int(number)]?.handle.channel.cancel(token: token)
        case .killForTimeout(let number):
            guard let worker = workers[Int(number)], !worker.isEnding else { return }
            worker.isEnding = true
            supervisor.terminate(worker.handle, .timeout, nowMillis: nowMillis)
        case .killForProtocol(let number, let reason):
            if let worker = workers[Int(number)] { violate(worker, reason) }
        case .retired(let number):
            if let worker = workers[Int(number)] { retire(worker.handle) }
        }
    }

    /// Copies one event into a worker's inbox; false: not now.
    private func stage(_ item: Int32, to worker: EngineWorker) -> Bool {
        let delivery = scheduler.delivery(item)
        do throws(ChannelViolation) {
            if let number = delivery.record.externalNumber {
                guard let payload = worker.payloads[number] else {
                    readPayload(number, for: worker)
                    return false
                }
                let staged = payload.withUnsafeBytes { bytes in
                    Result { () throws(ChannelViolation) in
                        try worker.handle.channel.stage(
                            delivery.record.header, external: bytes, token: delivery.token, attempt: delivery.attempt, lane: delivery.lane,
                            epoch: delivery.epoch)
                    }
                }
                guard try staged.get() else { return false }
                worker.payloads[number] = nil
                touch(worker)
                return true
            }
            guard
                try worker.handle.channel.stage(
                    delivery.record.header, token: delivery.token, attempt: delivery.attempt, lane: delivery.lane, epoch: delivery.epoch)
            else { return false }
            touch(worker)
            return true
        } catch {
            violate(worker, error.description)
            return false
        }
    }

    private func touch(_ worker: EngineWorker) {
        if !worker.isTouched {
            worker.isTouched = true
            touched.append(worker)
        }
        if !worker.isBusy {
            worker.isBusy = true
            busy.append(worker)
        }
    }

    func stageBacklog(_ worker: EngineWorker) {
        var count = 0
        while count < worker.backlog.count, stage(worker.backlog[count], to: worker) { count += 1 }
        worker.backlog.removeFirst(count)
        if worker.handle.channel.isWorn { retire(worker.handle) }
        publish()
    }

    private func publish() {
        for worker in touched {
            worker.isTouched = false
            do throws(ChannelViolation) { try worker.handle.channel.publish() } catch { violate(worker, error.description) }
        }
        touched.removeAll(keepingCapacity: true)
    }

    private func readPayload(_ number: UInt64, for worker: EngineWorker) {
        guard worker.reading.insert(number).inserted else { return }
        let slot = Int(worker.number)
        let id = worker.handle.id
        let journal = journal
        let mailbox = mailbox
        reader.add {
            let payload = try? journal.externalPayload(number)
            mailbox.put { engine in
                guard slot < engine.workers.count, let worker = engine.workers[slot], worker.handle.id == id else { return }
                worker.reading.remove(number)
                if payload == nil { engine.logger.critical("the file of payload \(number) cannot be read; its event is delivered empty") }
                worker.payloads[number] = payload ?? []
                engine.stageBacklog(worker)
            }
        }
    }

    private func withdraw(_ number: Int32) {
        guard let worker = workers[Int(number)] else { return }
        var count = worker.backlog.count
        worker.backlog.removeAll(keepingCapacity: true)
        worker.payloads.removeAll()
        if worker.isTouched { publish() }
        do throws(ChannelViolation) { count += try worker.handle.channel.withdraw() } catch {
            violate(worker, error.description)
            // Nothing is known for certain until it is dead; `withdrawn` comes with its death.
            if count == 0 { return }
        }
        scheduler.claimed(worker: number, number: worker.handle.channel.claimed)
        scheduler.withdrawn(worker: number, count: count)
        if worker.handle.channel.isWorn { retire(worker.handle) }
    }

    // MARK: loading

    private func load(route: Int32, position: UInt64) {
        guard let stream = scheduler.stream(ofRoute: route), let id = scheduler.routeID(route) else { return }
        if let batch = journal.cached(stream, at: position) {
            scheduler.loaded(route: route, position: position, batches: [batch])
            return
        }
        let journal = journal
        let mailbox = mailbox
        let logger = logger
        reader.add {
            do throws(JournalError) {
                let batches = try journal.read(stream, from: position, maximumBytes: 2 << 20)
                mailbox.put { engine in
                    if engine.scheduler.routeID(route) == id { engine.scheduler.loaded(route: route, position: position, batches: batches) }
                }
            } catch {
                logger.error("reading the journal at position \(position): \(error)")
                mailbox.put { engine in
                    if engine.scheduler.routeID(route) == id { engine.scheduler.loadFailed(route: route) }
                }
            }
        }
    }

    /// Hands loads of rows to the reader once the commits that they depend on are written.
    func startRowLoads() {
        guard !rowLoads.isEmpty else { return }
        let hasNothingToWrite = commitInFlight == nil && !scheduler.hasCommit
        let ready = rowLoads.filter { hasNothingToWrite || $0.commit <= commitsWritten }
        guard !ready.isEmpty else { return }
        rowLoads.removeAll { hasNothingToWrite || $0.commit <= commitsWritten }
        let journal = journal
        let mailbox = mailbox
        let logger = logger
        for load in ready {
            reader.add {
                do throws(JournalError) {
                    let rows = try journal.deferredRows(
                        load.route, subjectHash: load.hash, after: load.after, maximumBytes: Scheduler.rowLoadBytes)
                    mailbox.put { $0.scheduler.rowsLoaded(lane: load.lane, serial: load.serial, rows: rows) }
                } catch {
                    logger.error("reading deferred events: \(error)")
                    mailbox.put { $0.scheduler.rowsFailed(lane: load.lane, serial: load.serial) }
                }
            }
        }
    }

    // MARK: writing

    func writeCommit(now: UInt64) {
        startRowLoads()
        guard commitInFlight == nil, scheduler.hasCommit else { return }
        guard scheduler.hasUrgentCommit || !rowLoads.isEmpty || now >= lastCommitMicros + settings.commitMicros else { return }
        lastCommitMicros = now
        commitsTaken += 1
        submit(scheduler.takeCommit())
    }

    private func submit(_ commit: JournalCommit) {
        commitInFlight = commit
        let mailbox = mailbox
        journal.commit(commit) { result in mailbox.put { $0.commitEnded(result) } }
    }

    private func commitEnded(_ result: Result<Void, JournalError>) {
        switch result {
        case .success:
            commitInFlight = nil
            commitsWritten += 1
            if commitFailures > 0 {
                logger.notice("the journal can be written again")
                commitFailures = 0
                if !isStopping { scheduler.setStalled(false) }
            }
            startRowLoads()
        case .failure(let error):
            commitFailures += 1
            if commitFailures == 1 {
                logger.critical("progress cannot be written; nothing new is begun until it can: \(error)")
                scheduler.setStalled(true)
            }
            guard let commit = commitInFlight else { return }
            // The journal paces itself, but a failure at once must not become a busy loop.
            let mailbox = mailbox
            reader.add {
                usleep(100_000)
                mailbox.put { $0.submit(commit) }
            }
        }
    }
}
