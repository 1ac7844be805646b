import CWorkerProtocol
import Journal
import Routing
import WorkerProtocol

@testable import Dispatcher

// Carrying out what the scheduler wants, and the workers.
extension Simulation {
    /// In order, as the engine does: what the scheduler decides while this goes on comes after what it has decided before.
    func act() throws {
        guard !isActing else { return }
        isActing = true
        defer { isActing = false }
        while true {
            var index = 0
            while index < scheduler.actions.count {
                try act(scheduler.actions[index])
                index += 1
            }
            scheduler.clearActions()
            // A kill is carried out at once, but known only later: after all that was decided before.
            if !condemned.isEmpty {
                let next = condemned.removeFirst()
                try killWorker(next.worker, cause: next.cause)
            }
            if scheduler.actions.isEmpty && condemned.isEmpty { return }
        }
    }

    private func act(_ action: SchedulerAction) throws {
        switch action {
        case .send(let worker, let item):
            guard scheduler.items[Int(item)].worker == worker else {
                throw Violation(description: "told to send worker \(worker) an item that is at \(scheduler.items[Int(item)].worker)")
            }
            let delivery = scheduler.delivery(item)
            let header = delivery.record.header.pointee
            guard workers[worker] != nil else { throw Violation(description: "sent to worker \(worker), which is dead") }
            workers[worker]!.inbox.append(
                SimulatedRun(
                    token: delivery.token, lane: delivery.lane, epoch: delivery.epoch, attempt: delivery.attempt,
                    event: delivery.record.payloadSection.loadUnaligned(as: UInt64.self), subject: delivery.record.subjectText,
                    domain: header.domain, offset: header.offset, isMarked: header.flags != 0))
        case .load(let route, let position):
            if script.isCalm || chance(60) { try load(route, position) } else { pendingLoads.append((route, position)) }
        case .loadRows:
            pendingRowLoads.append((action, commitsTaken + 1))
        case .withdraw(let worker):
            guard workers[worker] != nil else { return }
            let count = workers[worker]!.withdraw()
            note("\(workers[worker]!.lambda)\(worker) gives back \(count)")
            scheduler.claimed(worker: worker, number: workers[worker]!.claimedNumber)
            scheduler.withdrawn(worker: worker, count: count)
        case .cancel(let worker, let token):
            try cancel(worker, token)
        case .killForTimeout(let worker):
            condemned.append((worker, .timeout))
        case .killForProtocol(let worker, let reason):
            guard let liar = workers[worker] else { return }
            if !liar.hasLied { throw Violation(description: "worker \(worker) of \(liar.lambda) is called a liar: \(reason)") }
            note("\(liar.lambda)\(worker) is found lying: \(reason)")
            condemned.append((worker, .fault))
        case .retired(let worker):
            guard let gone = workers[worker] else { return }
            if !gone.open.isEmpty { throw Violation(description: "a worker with open runs was retired") }
            workers[worker] = nil
            scheduler.workerDied(worker: worker, cause: .host, message: "retired")
        }
    }

    func load(_ route: Int32, _ position: UInt64) throws {
        guard let stream = scheduler.stream(ofRoute: route) else { return }
        if !script.isCalm && chance(3) {
            scheduler.loadFailed(route: route)
        } else if chance(50), let cached = journal.cached(stream, at: position) {
            scheduler.loaded(route: route, position: position, batches: [cached])
        } else {
            scheduler.loaded(route: route, position: position, batches: try journal.read(stream, from: position, maximumBytes: 4096))
        }
    }

    /// A hung or pending handler notices that it is cancelled in one case of three, within the grace period.
    private func cancel(_ number: Int32, _ token: UInt64) throws {
        guard let worker = workers[number], chance(33) else { return }
        if let run = worker.hung, run.token == token {
            workers[number]!.hung = nil
            workers[number]!.block(run)
            try answer(number, run, .retry)
        } else if let index = worker.pending.firstIndex(where: { $0.token == token }) {
            let run = workers[number]!.pending.remove(at: index)
            try answer(number, run, .retry)
        }
    }

    /// - Parameter accused: tokens of the runs that were found to use up too much CPU time.
    func killWorker(_ number: Int32, cause: DeathCause, accused: Set<UInt64>? = nil) throws {
        guard let worker = workers.removeValue(forKey: number) else { return }
        note("\(worker.lambda)\(number) dies: \(cause)\(worker.isHiding ? ", hiding why" : "")")
        if !worker.isHiding { scheduler.claimed(worker: number, number: worker.claimedNumber) }
        let held = worker.open + worker.inbox
        if held.count == 1, cause == .fault {
            try ledger.killed(lambda: worker.lambda, run: held[0], isHidden: false)
            // Nothing else was there: it is to blame even if it had not begun.
            if worker.open.isEmpty { ledger.charge(lambda: worker.lambda, run: held[0]) }
        }
        let shown = worker.isHiding ? worker.open.filter { $0.token != worker.hung?.token } : []
        // The one that it admits is charged, once: from then on it runs alone.
        if shown.count == 1 { ledger.charge(lambda: worker.lambda, run: shown[0]) }
        if let accused {
            let open = worker.open.filter { accused.contains($0.token) }
            if open.count == 1 {
                ledger.charge(lambda: worker.lambda, run: open[0])
                try ledger.killed(lambda: worker.lambda, run: open[0], isHidden: false)
            }
        }
        for run in worker.open {
            ledger.end(lambda: worker.lambda, run: run, success: nil)
            // Which of several was to blame nobody knows; the one that crashed or hung was, and of a liar the only one.
            let isHung = worker.hung?.token == run.token
            if isHung && (cause == .fault || cause == .timeout) || cause == .timeout || worker.hasLied && worker.open.count == 1 {
                ledger.charge(lambda: worker.lambda, run: run)
            }
            if isHung && worker.isDyingOfIt || cause == .timeout {
                try ledger.killed(lambda: worker.lambda, run: run, isHidden: worker.isHiding)
            }
        }
        scheduler.workerDied(worker: number, cause: cause, message: "\(cause)")
        noteDead()
        startWorker(worker.lambda)
        try act()
    }

    /// Lets one worker do something: begin and end one event, begin one that does not end, end a pending one.
    func stepWorker(_ number: Int32) throws {
        guard var worker = workers[number] else { return }
        if !script.isCalm && random.next(upTo: 999) < script.lying {
            try lie(number)
            return
        }
        if chance(3), let token = worker.answered.randomElement(using: &random) {
            // An old thing again: ignored.
            scheduler.result(worker: number, token: token, status: .success)
            noteDead()
        }
        if !worker.pending.isEmpty && chance(50) {
            let index = Int(random.next(upTo: UInt64(worker.pending.count - 1)))
            let run = worker.pending.remove(at: index)
            workers[number] = worker
            let plan = script.run(lambda: worker.lambda, event: run.event, attempt: runsOf(run, worker.lambda))
            try answer(number, run, script.isCalm || plan == .pendingSuccess ? .success : .retry)
            return
        }
        if let run = worker.hung {
            if chance(5) { scheduler.extended(worker: number, token: run.token, millis: 10_000) }
            return
        }
        if worker.batch.isEmpty {
            if let next = worker.inbox.first, !worker.isBlocked(next), script.lie != .none, willCrash(next, worker.lambda) {
                worker.isHiding = script.lie == .nothing
                worker.claim(worker.isHiding ? 1 : worker.inbox.count)
            } else {
                worker.claim(chance(script.batching) ? Int(random.next(upTo: 4)) + 1 : 1)
            }
            if !worker.isHiding { scheduler.claimed(worker: number, number: worker.claimedNumber) }
        }
        guard !worker.batch.isEmpty else { return }
        let run = worker.batch.removeFirst()
        if worker.isBlocked(run) {
            workers[number] = worker
            scheduler.result(worker: number, token: run.token, status: .skipped)
            scheduler.answered(worker: number)
            try act()
            return
        }
        note("\(worker.lambda)\(number) begins \(run.subject) offset \(run.offset) attempt \(run.attempt)")
        let attempts = lambdaRoute(worker.lambda).retry.attempts
        try ledger.begin(
            lambda: worker.lambda, run: run, attemptsMax: worker.lambda == "p" ? attempts + unparks["p", default: 0] : attempts)
        var plan = script.run(lambda: worker.lambda, event: run.event, attempt: runsOf(run, worker.lambda))
        worker.isDyingOfIt = plan == .crash || plan == .hang
        if plan == .success, script.dyingEarly > 0, (worker.batch + worker.inbox).contains(where: { willCrash($0, worker.lambda) }),
            chance(script.dyingEarly)
        {
            plan = .crash
        }
        if plan != .success { worker.block(run) }
        switch plan {
        case .success, .retry, .fatal:
            workers[number] = worker
            try answer(number, run, plan == .success ? .success : plan == .retry ? .retry : .fatal)
        case .pendingSuccess, .pendingRetry:
            worker.pending.append(run)
            workers[number] = worker
            scheduler.result(worker: number, token: run.token, status: .pending)
            scheduler.answered(worker: number)
            try act()
        case .crash:
            worker.hung = run
            workers[number] = worker
            try killWorker(number, cause: .fault)
        case .hang:
            worker.hung = run
            worker.hungMicros = nowMicros
            workers[number] = worker
        }
    }

    /// A worker says what cannot be true, or what means nothing.
    private func lie(_ number: Int32) throws {
        guard var worker = workers[number] else { return }
        let kind = random.next(upTo: 4)
        note("\(worker.lambda)\(number) lies: \(kind)")
        switch kind {
        case 0:
            // A run that never was: ignored.
            scheduler.result(worker: number, token: random.next(), status: .success)
        case 1:
            guard let run = worker.inbox.randomElement(using: &random) else { return }
            worker.hasLied = true
            workers[number] = worker
            scheduler.result(worker: number, token: run.token, status: .success)
            try demandDeath(number)
        case 2:
            // Skips without a reason; behind another event of its subject that is as good as a reason.
            guard worker.batch.isEmpty, worker.hung == nil, !worker.inbox.isEmpty else { return }
            worker.claim(1)
            worker.hasLied = true
            let run = worker.batch.removeFirst()
            worker.block(run)
            worker.hung = run
            worker.hungMicros = nowMicros
            workers[number] = worker
            scheduler.claimed(worker: number, number: worker.claimedNumber)
            scheduler.result(worker: number, token: run.token, status: .skipped)
            if !scheduler.workers[Int(number)].isLiar { workers[number]!.hung = nil }
        case 3:
            guard !worker.inbox.isEmpty else { return }
            worker.claim(2)
            guard let run = worker.batch.last, let first = worker.batch.first(where: { $0.lane == run.lane }), first.token != run.token,
                worker.hung == nil, !worker.isBlocked(run)
            else { return }
            worker.hasLied = true
            workers[number] = worker
            scheduler.claimed(worker: number, number: worker.claimedNumber)
            scheduler.result(worker: number, token: run.token, status: .success)
            try demandDeath(number)
        default:
            worker.hasLied = true
            workers[number] = worker
            scheduler.claimed(
                worker: number, number: worker.claimedNumber &+ UInt32(worker.inbox.count) &+ 1 &+ UInt32(random.next(upTo: 5000)))
            try demandDeath(number)
        }
        try act()
    }

    private func demandDeath(_ number: Int32) throws {
        try act()
        if workers[number]?.hasLied == true { throw Violation(description: "worker \(number) lies and lives") }
    }

    /// Whether the next run of this event will crash.
    private func willCrash(_ run: SimulatedRun, _ lambda: String) -> Bool {
        let runs = ledger.runs(Ledger.EventKey(lambda: lambda, domain: run.domain, offset: run.offset))
        return script.run(lambda: lambda, event: run.event, attempt: runs + 1) == .crash
    }

    /// The host finds that a worker's open runs use up too much CPU time. It may go on for a moment.
    func accuse(_ number: Int32) throws {
        guard let worker = workers[number], !worker.open.isEmpty else { return }
        note("\(worker.lambda)\(number) uses up its CPU time")
        scheduler.overCPU(worker: number)
        let accused = Set(worker.open.map(\.token))
        for _ in 0..<random.next(upTo: 3) where workers[number]?.life == worker.life { try stepWorker(number) }
        guard workers[number]?.life == worker.life else { return }
        try killWorker(number, cause: .fault, accused: accused)
    }

    private func runsOf(_ run: SimulatedRun, _ lambda: String) -> Int {
        max(ledger.runs(Ledger.EventKey(lambda: lambda, domain: run.domain, offset: run.offset)), 1)
    }

    private func answer(_ number: Int32, _ run: SimulatedRun, _ status: RunStatus) throws {
        guard let worker = workers[number] else { return }
        var effects: RunEffects?
        if worker.lambda == "a" && script.emits(event: run.event) > 0 {
            var made = RunEffects()
            let records = RecordBuffer()
            for index in 0..<script.emits(event: run.event) {
                encode(
                    records, domain: streams["e"]!, subject: run.subject, event: run.event &* 1000 &+ UInt64(index),
                    id: "emit-\(run.event)-\(index)")
            }
            made.emits = [StreamAppend(stream: streams["e"]!, records: records)]
            made.output = [UInt8(truncatingIfNeeded: run.event)]
            effects = made
        }
        note("\(worker.lambda)\(number) answers \(run.subject) offset \(run.offset): \(status)")
        ledger.end(lambda: worker.lambda, run: run, success: status == .success)
        scheduler.result(worker: number, token: run.token, status: status, message: "scripted", effects: effects)
        let pool = scheduler.pools[Int(scheduler.poolByLambda[worker.lambda]!)]
        if status == .success && pool.isHolding && scheduler.workers[Int(number)].isLive {
            throw Violation(description: "\(worker.lambda) holds although an event has succeeded")
        }
        workers[number]?.answered.append(run.token)
        if worker.answered.count > 8 { workers[number]?.answered.removeFirst() }
        noteDead()
        scheduler.answered(worker: number)
        try act()
    }

    func noteDead() {
        for letter in scheduler.commit.dead {
            let view = letter.records.view(0)
            let lambda = scheduler.routes[Int(scheduler.routeByID[letter.route]!)].lambda
            ledger.ended(lambda: lambda, domain: view.header.pointee.domain, subject: view.subjectText, offset: view.header.pointee.offset)
        }
    }

    /// No run may hang longer than its lambda allows.
    func checkHung() throws {
        for worker in workers.values where worker.hung != nil && nowMicros > worker.hungMicros + 75_000_000 {
            throw Violation(description: "worker \(worker.number) of \(worker.lambda) hangs and is not killed")
        }
    }
}
