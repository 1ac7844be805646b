import CWorkerProtocol
import Foundation
import Journal
import Routing
import Synchronization
import WorkerProtocol

@testable import Dispatcher

/// One deterministic run of the real scheduler over the in-memory journal with simulated workers, a clock of its own and a seed.
///
/// Domain `d` has lambdas a, b (after a), c and j (after a and c); `a` emits into domain `e`, which has x and p (parks).
final class Simulation {
    typealias Violation = Ledger.Violation

    let seed: UInt64
    var random: SplitMix
    var script: Script
    var journal: MemoryJournal
    var scheduler: Scheduler
    var workers: [Int32: SimulatedWorker] = [:]
    var ledger = Ledger()
    var nowMicros: UInt64 = 1_000_000
    var steps = 0
    var condemned: [Int32] = []
    let faults: Set<SchedulerFault>

    /// Accepted events by domain stream: offset → event number. Emitted ones too.
    var accepted: [UInt32: [UInt64: UInt64]] = [:]
    let commitsDone = Answers()
    var nextEvent: UInt64 = 1
    var commitInFlight = false
    var commitWaiting: JournalCommit?
    var pendingRowLoads: [(action: SchedulerAction, commit: Int)] = []
    var commitsTaken = 0
    var commitsWritten = 0
    var version: UInt64 = 1
    var successResults: [String: UInt64] = [:]
    /// How often each event was handed on, in written commits: input stream and offset.
    var handedOn: [JoinKey: Int] = [:]
    var emitted: [String: Int] = [:]
    let subjects: Int
    let emitsAreChecked: Bool
    var trace: [String] = []

    let lambdas = ["a", "b", "c", "j", "x", "p"]

    init(seed: UInt64, faults: Set<SchedulerFault> = []) throws {
        self.seed = seed
        self.faults = faults
        random = SplitMix(state: seed)
        script = Script(seed: seed)
        subjects = [1, 3, 10, 60][Int(seed % 4)]
        emitsAreChecked = true
        let clock = Clock()
        self.clock = clock
        journal = MemoryJournal(manual: true, seed: seed, now: { clock.millis.withLock { $0 } })
        scheduler = Scheduler(seed: seed, nextRowID: 1)
        try boot()
    }

    /// How commits ended, told by the journal from within a step.
    final class Answers: Sendable {
        let list = Mutex<[Bool]>([])
    }

    final class Clock: Sendable {
        let millis = Mutex<Int64>(1_700_000_000_000)
    }
    let clock: Clock

    func chance(_ percent: UInt64) -> Bool { random.next(upTo: 99) < percent }

    // MARK: the host

    func lambdaRoute(_ name: String) -> LambdaRoute {
        var route = LambdaRoute(name: name)
        var random = SplitMix(state: seed ^ UInt64(name.utf8.first!))
        route.workers = Int(random.next(upTo: 2)) + 1
        route.concurrency = Int(random.next(upTo: 20)) + 1
        route.retry.attempts = Int(random.next(upTo: 4)) + 2
        route.retry.backoffMin = .milliseconds(100)
        route.retry.backoffMax = .seconds(5)
        route.retry.crashes = 2
        route.limits.timeout = .seconds(random.next(upTo: 1) == 0 ? 2 : 15)
        route.limits.timeoutMax = .seconds(60)
        route.limits.grace = .seconds(1)
        route.from = .beginning
        if name == "p" { route.exhausted = .park }
        if name == "b" { route.after = ["a"] }
        if name == "j" { route.after = ["a", "c"] }
        return route
    }

    /// Runs a blocking call of the manual journal.
    private func stepping<T>(_ body: () throws -> T) rethrows -> T { try body() }

    func boot() throws {
        let d = try journal.stream(.domain, named: "d")
        let e = try journal.stream(.domain, named: "e")
        let b = try journal.stream(.input, named: "d/b")
        let j = try journal.stream(.input, named: "d/j")
        scheduler = Scheduler(seed: random.next(), nextRowID: try journal.nextRowID())
        scheduler.faults = faults
        tell()
        var specs: [RouteSpec] = []
        let afterB = DependentSpec(lambda: "b", stream: b, upstreams: ["a"])
        let afterJ = DependentSpec(lambda: "j", stream: j, upstreams: ["a", "c"])
        for (lambda, domain, stream, domainStream, dependents) in [
            ("a", "d", d, d, [afterB, afterJ]), ("c", "d", d, d, [afterJ]), ("b", "d", b, d, []), ("j", "d", j, d, []),
            ("x", "e", e, e, []), ("p", "e", e, e, []),
        ] as [(String, String, StreamID, StreamID, [DependentSpec])] {
            let state = try journal.route(lambda: lambda, domain: domain, stream: stream, start: .beginning)
            specs.append(
                RouteSpec(
                    state: state, domainStream: domainStream, streamEnd: journal.end(of: stream), dependents: dependents,
                    heads: try journal.deferredHeads(state.id)))
        }
        journal.setLive(specs.map(\.state.id))
        scheduler.apply(pools: lambdas.map { PoolSpec(lambda: lambdaRoute($0), version: version) }, routes: specs)
        scheduler.joinsLoaded(try journal.allJoins())
        lambdaStreams = ["d": d, "e": e, "b": b, "j": j]
        for lambda in lambdas { for _ in 0..<lambdaRoute(lambda).workers { startWorker(lambda) } }
        try act()
    }

    var lambdaStreams: [String: StreamID] = [:]

    func tell() { scheduler.advance(nowMicros: nowMicros, wallMillis: 1_700_000_000_000 + Int64(nowMicros / 1000)) }

    func startWorker(_ lambda: String) {
        if let number = scheduler.workerReady(lambda: lambda) { workers[number] = SimulatedWorker(lambda: lambda, number: number) }
    }

    /// kill -9 of the host, between any two steps.
    func crashHost() throws {
        trace.append("host dies")
        ledger.hostDied()
        workers = [:]
        commitsDone.list.withLock { $0 = [] }
        commitInFlight = false
        commitWaiting = nil
        pendingRowLoads = []
        commitsTaken = 0
        commitsWritten = 0
        journal = journal.crash()
        try harvest()
        try boot()
    }

    /// What the journal holds: events that were written but not answered count as accepted too.
    func harvest() throws {
        for name in ["d", "e"] {
            let stream = try journal.stream(.domain, named: name)
            var position = journal.start(of: stream)
            while position < journal.end(of: stream) {
                for batch in try journal.read(stream, from: position, maximumBytes: 1 << 20) {
                    for index in 0..<batch.count { note(batch.records.view(index)) }
                    position = batch.end
                }
            }
        }
    }

    func note(_ view: RecordView) {
        accepted[view.header.pointee.domain, default: [:]][view.header.pointee.offset] = view.payloadSection.loadUnaligned(as: UInt64.self)
    }

    // MARK: carrying out what the scheduler wants

    func act() throws {
        while !scheduler.actions.isEmpty {
            let actions = scheduler.actions
            scheduler.actions = []
            for action in actions { try act(action) }
        }
        // A kill is carried out at once, but known only later: after all that was decided before.
        while let number = condemned.popLast() { try killWorker(number, cause: .timeout) }
    }

    private func act(_ action: SchedulerAction) throws {
        switch action {
        case .send(let worker, let item):
            let delivery = scheduler.delivery(item)
            let header = delivery.record.header.pointee
            guard workers[worker] != nil else { throw Violation(description: "sent to worker \(worker), which is dead") }
            workers[worker]!.inbox.append(
                SimulatedRun(
                    token: delivery.token, lane: delivery.lane, epoch: delivery.epoch, attempt: delivery.attempt,
                    event: delivery.record.payloadSection.loadUnaligned(as: UInt64.self), subject: delivery.record.subjectText,
                    domain: header.domain, offset: header.offset, isMarked: header.flags != 0))
        case .load(let route, let position):
            let stream = scheduler.routes[Int(route)].stream
            let batches: [EventBatch]
            if let cached = journal.cached(stream, at: position) {
                batches = [cached]
            } else {
                batches = try journal.read(stream, from: position, maximumBytes: 4096)
            }
            scheduler.loaded(route: route, position: position, batches: batches)
        case .loadRows:
            pendingRowLoads.append((action, commitsTaken + 1))
        case .withdraw(let worker):
            guard workers[worker] != nil else { return }
            let count = workers[worker]!.withdraw()
            scheduler.claimed(worker: worker, number: workers[worker]!.claimedNumber)
            scheduler.withdrawn(worker: worker, count: count)
        case .cancel(let worker, _):
            // A hung handler notices the cancellation in one case of three, within the grace period.
            if let run = workers[worker]?.hung, chance(33) {
                workers[worker]!.hung = nil
                workers[worker]!.block(run)
                ledger.end(lambda: workers[worker]!.lambda, run: run, success: false)
                scheduler.result(worker: worker, token: run.token, status: .retry, message: "cancelled")
                noteDead()
            }
        case .killForTimeout(let worker):
            condemned.append(worker)
        case .killForProtocol(let worker, let reason):
            throw Violation(description: "worker \(worker) of \(workers[worker]?.lambda ?? "?") is called a liar: \(reason)")
        case .retired(let worker):
            guard let gone = workers[worker] else { return }
            if !gone.pending.isEmpty || gone.hung != nil { throw Violation(description: "a worker with open runs was retired") }
            workers[worker] = nil
            scheduler.workerDied(worker: worker, cause: .host, message: "retired")
        }
    }

    func killWorker(_ number: Int32, cause: DeathCause) throws {
        guard let worker = workers.removeValue(forKey: number) else { return }
        trace.append("\(worker.lambda) worker \(number) dies: \(cause)")
        scheduler.claimed(worker: number, number: worker.claimedNumber)
        ledger.workerDied(lambda: worker.lambda, runs: worker.pending + (worker.hung.map { [$0] } ?? []))
        scheduler.workerDied(worker: number, cause: cause, message: "\(cause)")
        noteDead()
        startWorker(worker.lambda)
        try act()
    }

    /// Lets one worker begin and end one event (or begin it, or end a pending one).
    func stepWorker(_ number: Int32) throws {
        guard var worker = workers[number] else { return }
        if !worker.pending.isEmpty && chance(50) {
            let index = Int(random.next(upTo: UInt64(worker.pending.count - 1)))
            let run = worker.pending.remove(at: index)
            workers[number] = worker
            let isSuccess = script.isCalm || script.run(lambda: worker.lambda, event: run.event, attempt: runsOf(run, worker.lambda)) == .pendingSuccess
            try answer(number, run, isSuccess ? .success : .retry)
            return
        }
        guard let run = worker.claim() else { return }
        scheduler.claimed(worker: number, number: worker.claimedNumber)
        if worker.isBlocked(run) {
            worker.compact()
            workers[number] = worker
            scheduler.result(worker: number, token: run.token, status: .skipped)
            scheduler.answered(worker: number)
            try act()
            return
        }
        trace.append("\(worker.lambda)\(number) begins \(run.subject) offset \(run.offset) attempt \(run.attempt) at step \(steps)")
        try ledger.begin(lambda: worker.lambda, run: run)
        let plan = script.run(lambda: worker.lambda, event: run.event, attempt: runsOf(run, worker.lambda))
        worker.compact()
        switch plan {
        case .success:
            workers[number] = worker
            try answer(number, run, .success)
        case .retry, .fatal:
            worker.block(run)
            workers[number] = worker
            try answer(number, run, plan == .retry ? .retry : .fatal)
        case .pendingSuccess, .pendingRetry:
            worker.block(run)
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
            workers[number] = worker
        }
    }

    private func runsOf(_ run: SimulatedRun, _ lambda: String) -> Int {
        ledger.runs[Ledger.EventKey(lambda: lambda, domain: run.domain, offset: run.offset)] ?? 1
    }

    private func answer(_ number: Int32, _ run: SimulatedRun, _ status: RunStatus) throws {
        guard let worker = workers[number] else { return }
        var effects: RunEffects?
        if worker.lambda == "a" && script.emits(event: run.event) > 0 {
            var made = RunEffects()
            let records = RecordBuffer()
            for index in 0..<script.emits(event: run.event) {
                encode(records, domain: lambdaStreams["e"]!, subject: run.subject, event: run.event &* 1000 &+ UInt64(index), id: "emit-\(run.event)-\(index)")
            }
            made.emits = [StreamAppend(stream: lambdaStreams["e"]!, records: records)]
            made.output = [UInt8(truncatingIfNeeded: run.event)]
            effects = made
        }
        trace.append("\(worker.lambda)\(number) answers \(run.subject) offset \(run.offset): \(status) at step \(steps)")
        ledger.end(lambda: worker.lambda, run: run, success: status == .success)
        if status == .success { successResults[worker.lambda, default: 0] += 1 }
        scheduler.result(worker: number, token: run.token, status: status, message: "scripted", effects: effects)
        // Now and then it says it twice, or an old thing again.
        if chance(3) { scheduler.result(worker: number, token: run.token, status: .success) }
        noteDead()
        scheduler.answered(worker: number)
        try act()
    }

    private func noteDead() {
        for letter in scheduler.commit.dead {
            let view = letter.records.view(0)
            let lambda = scheduler.routes[Int(scheduler.routeByID[letter.route]!)].lambda
            ledger.dead(lambda: lambda, domain: view.header.pointee.domain, subject: view.subjectText, offset: view.header.pointee.offset)
        }
    }

    // MARK: producers and journal

    func encode(_ records: RecordBuffer, domain: StreamID, subject: String, event: UInt64, id: String) {
        var subject = subject
        var id = id
        subject.withUTF8 { subject in
            id.withUTF8 { id in
                withUnsafeBytes(of: event) { payload in
                    records.append(
                        domain: domain.rawValue, subjectHash: journal.subjectHash(UnsafeRawBufferPointer(subject)),
                        subject: UnsafeRawBufferPointer(subject), type: UnsafeRawBufferPointer(start: nil, count: 0), id: UnsafeRawBufferPointer(id),
                        payload: payload, timeMicros: 0, acceptedMicros: 0)
                }
            }
        }
    }

    func produce() {
        let count = Int(random.next(upTo: 12)) + 1
        let records = RecordBuffer()
        let stream = chance(80) ? lambdaStreams["d"]! : lambdaStreams["e"]!
        for _ in 0..<count {
            encode(records, domain: stream, subject: "s\(random.next(upTo: UInt64(subjects - 1)))", event: nextEvent, id: "")
            nextEvent += 1
        }
        journal.append(AppendRequest(stream: stream, records: records) { _ in })
    }

    func takeCommit() {
        guard !commitInFlight else { return }
        if commitWaiting == nil, scheduler.hasCommit {
            noteDead()
            commitWaiting = scheduler.takeCommit()
            commitsTaken += 1
        }
        guard let commit = commitWaiting else { return }
        commitInFlight = true
        let answers = commitsDone
        journal.commit(commit) { result in answers.list.withLock { $0.append((try? result.get()) != nil) } }
    }

    func stepJournal() throws {
        if chance(5) && !script.isCalm {
            journal.setFailure(JournalError(.full, "the disk is full"))
            journal.step()
            journal.setFailure(nil)
        } else {
            journal.step(Int(random.next(upTo: 3)) + 1)
        }
        try harvest()
        let done = commitsDone.list.withLock { done in
            defer { done = [] }
            return done
        }
        for success in done {
            commitInFlight = false
            guard success, let commit = commitWaiting else { continue }
            commitWaiting = nil
            commitsWritten += 1
            for append in commit.appends {
                for index in 0..<append.records.count {
                    let view = append.records.view(index)
                    if append.stream == lambdaStreams["b"] || append.stream == lambdaStreams["j"] {
                        let key = JoinKey(stream: append.stream, offset: view.header.pointee.offset)
                        handedOn[key, default: 0] += 1
                        if handedOn[key]! > 1 { throw Violation(description: "offset \(key.offset) was handed on twice to stream \(key.stream.rawValue)") }
                    } else {
                        emitted[view.idText, default: 0] += 1
                    }
                }
            }
        }
        for stream in lambdaStreams.values { scheduler.streamAdvanced(stream, end: journal.end(of: stream)) }
        let ready = pendingRowLoads.filter { $0.commit <= commitsWritten }
        pendingRowLoads.removeAll { $0.commit <= commitsWritten }
        for (action, _) in ready {
            guard case .loadRows(let route, let lane, let serial, let hash, let after) = action else { continue }
            let rows = try journal.deferredRows(scheduler.routes[Int(route)].id, subjectHash: hash, after: after, maximumBytes: 256)
            let offsets = rows.map { row in (0..<row.records.count).map { row.records.record($0).pointee.offset } }
            trace.append("\(scheduler.routes[Int(route)].lambda) lane \(lane) after \(after) loads \(offsets) at step \(steps)")
            scheduler.rowsLoaded(lane: lane, serial: serial, rows: rows)
        }
        try act()
    }

    /// A row load needs the commit after which it was asked for, even if there is nothing in it.
    func flushEmptyCommit() {
        if !commitInFlight && commitWaiting == nil && !scheduler.hasCommit && pendingRowLoads.contains(where: { $0.commit > commitsTaken }) {
            commitsTaken += 1
            commitsWritten += 1
        }
    }

    // MARK: running

    func step() throws {
        steps += 1
        tell()
        switch random.next(upTo: 99) {
        case 0..<15: produce()
        case 15..<35: try stepJournal()
        case 35..<50: takeCommit()
        case 50..<58:
            nowMicros += random.next(upTo: chance(20) ? 4_000_000 : 60_000)
            clock.millis.withLock { $0 = 1_700_000_000_000 + Int64(nowMicros / 1000) }
            tell()
            scheduler.tick()
            try act()
        case 58..<96:
            for _ in 0..<(random.next(upTo: 8) + 1) {
                if let number = workers.keys.sorted().randomElement(using: &random) { try stepWorker(number) }
            }
        case 96:
            if chance(30), let number = workers.keys.sorted().randomElement(using: &random) { try killWorker(number, cause: .external) }
        case 97:
            if chance(10) { try crashHost() }
        case 98:
            if chance(20) { try reload() }
        default:
            let lambda = lambdas[Int(random.next(upTo: UInt64(lambdas.count - 1)))]
            scheduler.setPaused(lambda: lambda, chance(30))
            try act()
        }
        flushEmptyCommit()
        try check()
    }

    func reload() throws {
        trace.append("reload")
        version += 1
        let specs = try scheduler.activeRoutes.map { id in
            let slot = scheduler.routes[Int(scheduler.routeByID[id]!)]
            return RouteSpec(
                state: try journal.routes().first { $0.id == id }!, domainStream: slot.domainStream, streamEnd: slot.streamEnd, dependents: slot.dependents)
        }
        scheduler.apply(pools: lambdas.map { PoolSpec(lambda: lambdaRoute($0), version: version) }, routes: specs)
        for (number, worker) in workers.sorted(by: { $0.key < $1.key }) {
            startWorker(worker.lambda)
            scheduler.retire(worker: number)
        }
        try act()
    }

    /// Lets everything come to rest: nothing fails any more, nobody dies.
    func drain() throws {
        script.isCalm = true
        for lambda in lambdas { scheduler.setPaused(lambda: lambda, false) }
        for number in workers.keys.sorted() where workers[number]!.hung != nil { try killWorker(number, cause: .host) }
        // Hung workers that were retired are no longer given anything; they are ended as at the drain deadline.
        var quiet = 0
        for _ in 0..<20_000 {
            steps += 1
            nowMicros += 300_000
            clock.millis.withLock { $0 = 1_700_000_000_000 + Int64(nowMicros / 1000) }
            tell()
            scheduler.tick()
            try act()
            for number in workers.keys.sorted() {
                for _ in 0..<64 {
                    guard let worker = workers[number], worker.claimed < worker.inbox.count || !worker.pending.isEmpty else { break }
                    try stepWorker(number)
                }
            }
            takeCommit()
            try stepJournal()
            flushEmptyCommit()
            try check()
            quiet = isQuiet ? quiet + 1 : 0
            if quiet > 3 { return }
        }
        throw Violation(description: "did not come to rest: \(whatIsLeft())")
    }

    private var isQuiet: Bool {
        guard journal.pendingCount == 0, !commitInFlight, commitWaiting == nil, !scheduler.hasCommit, pendingRowLoads.isEmpty else { return false }
        for route in scheduler.routes where route.isActive {
            if route.done.watermark < journal.end(of: route.stream) { return false }
            for lane in route.lanes.lanes where !scheduler.lanes[Int(lane)].isParked { return false }
        }
        return true
    }

    private func whatIsLeft() -> String {
        scheduler.routes.filter(\.isActive).map { route in
            let lanes = route.lanes.lanes.map { scheduler.lanes[Int($0)] }
            let lane = lanes.first.map { "\($0)" } ?? ""
            return "\(route.lambda): watermark \(route.done.watermark) of \(journal.end(of: route.stream)), cursor \(route.cursor), \(lanes.count) lanes \(lane)"
        }.joined(separator: "; ")
    }
}

extension SplitMix: RandomNumberGenerator {}
