import CWorkerProtocol
import Journal
import Routing
import WorkerProtocol

@testable import Dispatcher

/// One lambda in one domain over a journal in memory, moved by hand: for tests of single rules.
final class Stage {
    /// A run in a worker's hands.
    struct Run: Equatable {
        var worker: Int32
        var token: UInt64
        var subject: String
        var attempt: UInt32
        var event: UInt64
        var number: UInt32
    }

    var scheduler = Scheduler(seed: 1, nextRowID: 1)
    let journal = MemoryJournal()
    var lambda: LambdaRoute
    var version: UInt64 = 1
    /// What was sent and not begun, by worker.
    var inbox: [Int32: [Run]] = [:]
    var numbers: [Int32: UInt32] = [:]
    /// What has begun and not ended.
    var open: [Run] = []
    var cancelled: [UInt64] = []
    var killed: [Int32] = []
    var liars: [String] = []
    var retired: [Int32] = []
    var now: UInt64 = 1_000_000
    private var rowLoads: [SchedulerAction] = []
    private var nextEvent: UInt64 = 0
    private var domain: StreamID?

    init(workers: Int = 1, _ change: (inout LambdaRoute) -> Void = { _ in }) throws {
        lambda = LambdaRoute(name: "x")
        lambda.retry.attempts = 3
        lambda.retry.backoffMin = .milliseconds(100)
        lambda.retry.backoffMax = .seconds(1)
        lambda.limits.timeout = .seconds(2)
        lambda.limits.grace = .seconds(1)
        change(&lambda)
        try apply()
        for _ in 0..<workers { addWorker() }
    }

    func apply(isRouted: Bool = true) throws {
        scheduler.advance(nowMicros: now, wallMillis: Int64(now / 1000))
        let stream = try journal.stream(.domain, named: "d")
        domain = stream
        let state = try journal.route(lambda: "x", domain: "d", stream: stream, start: .beginning)
        let spec = RouteSpec(
            state: state, domainStream: stream, streamEnd: journal.end(of: stream), dependents: [],
            heads: try journal.deferredHeads(state.id))
        scheduler.apply(pools: [PoolSpec(lambda: lambda, version: version)], routes: isRouted ? [spec] : [])
        try settle()
    }

    /// The host dies and starts again; nothing was unwritten.
    func restart() throws {
        scheduler = Scheduler(seed: 2, nextRowID: try journal.nextRowID())
        (inbox, numbers, open, rowLoads) = ([:], [:], [], [])
        try apply()
    }

    @discardableResult func addWorker() -> Int32 {
        let worker = scheduler.workerReady(lambda: "x")!
        inbox[worker] = []
        numbers[worker] = 0
        return worker
    }

    /// Accepts one event for each subject.
    func accept(_ subjects: [String]) throws {
        let records = RecordBuffer()
        for var subject in subjects {
            subject.withUTF8 { subject in
                withUnsafeBytes(of: nextEvent) { payload in
                    records.append(
                        domain: domain!.rawValue, subjectHash: journal.subjectHash(UnsafeRawBufferPointer(subject)),
                        subject: UnsafeRawBufferPointer(subject), type: UnsafeRawBufferPointer(start: nil, count: 0),
                        id: UnsafeRawBufferPointer(start: nil, count: 0), payload: payload, timeMicros: 0, acceptedMicros: 0)
                }
            }
            nextEvent += 1
        }
        journal.append(AppendRequest(stream: domain!, records: records) { _ in })
        scheduler.streamAdvanced(domain!, end: journal.end(of: domain!))
        try settle()
    }

    /// Lets time pass.
    func wait(millis: UInt64) throws {
        var left = millis * 1000
        while left > 0 {
            let part = min(left, 50_000)
            left -= part
            now += part
            scheduler.advance(nowMicros: now, wallMillis: Int64(now / 1000))
            scheduler.tick()
            try settle()
        }
    }

    /// The worker begins its next event.
    @discardableResult func begin(_ worker: Int32 = 0) throws -> Run {
        guard let run = inbox[worker]?.first else { throw Ledger.Violation(description: "worker \(worker) has nothing to begin") }
        inbox[worker]!.removeFirst()
        numbers[worker]! &+= 1
        open.append(run)
        scheduler.claimed(worker: worker, number: numbers[worker]!)
        return run
    }

    func end(_ run: Run, _ status: RunStatus, delayMillis: UInt64 = 0) throws {
        if status != .pending { open.removeAll { $0 == run } }
        scheduler.result(worker: run.worker, token: run.token, status: status, delayMillis: delayMillis, message: "no")
        scheduler.answered(worker: run.worker)
        try settle()
    }

    /// Begins and ends everything that the workers have, skipping as the channel's rules say; returns what really ran, in order.
    @discardableResult func runAll(_ status: (Run) -> RunStatus = { _ in .success }) throws -> [Run] {
        var ran: [Run] = []
        var blocked: Set<String> = []
        while let worker = inbox.keys.sorted().first(where: { !inbox[$0]!.isEmpty }) {
            let run = try begin(worker)
            let entry = scheduler.delivery(Int32(run.token & 0xff_ffff))
            let key = "\(worker)/\(entry.lane)/\(entry.epoch)"
            if blocked.contains(key) {
                try end(run, .skipped)
                continue
            }
            ran.append(run)
            let result = status(run)
            if result != .success { blocked.insert(key) }
            try end(run, result)
        }
        return ran
    }

    func die(_ worker: Int32, _ cause: DeathCause) throws {
        inbox[worker] = nil
        open.removeAll { $0.worker == worker }
        scheduler.workerDied(worker: worker, cause: cause, message: "\(cause)")
        try settle()
    }

    /// Carries out what the scheduler wants and writes what is to be written, until there is nothing more.
    func settle() throws {
        while true {
            let actions = scheduler.actions
            scheduler.clearActions()
            for action in actions { try act(action) }
            if scheduler.hasCommit { journal.commit(scheduler.takeCommit()) { _ in } }
            let loads = rowLoads
            rowLoads = []
            for case .loadRows(let route, let lane, let serial, let hash, let after) in loads {
                guard let id = scheduler.routeID(route) else { continue }
                let rows = try journal.deferredRows(id, subjectHash: hash, after: after, maximumBytes: 1 << 20)
                scheduler.rowsLoaded(lane: lane, serial: serial, rows: rows)
            }
            if scheduler.actions.isEmpty && !scheduler.hasCommit && rowLoads.isEmpty { return }
        }
    }

    private func act(_ action: SchedulerAction) throws {
        switch action {
        case .send(let worker, let item):
            let delivery = scheduler.delivery(item)
            inbox[worker]!.append(
                Run(
                    worker: worker, token: delivery.token, subject: delivery.record.subjectText, attempt: delivery.attempt,
                    event: delivery.record.payloadSection.loadUnaligned(as: UInt64.self), number: 0))
        case .load(let route, let position):
            scheduler.loaded(
                route: route, position: position, batches: try journal.read(domain!, from: position, maximumBytes: 1 << 20))
        case .loadRows: rowLoads.append(action)
        case .withdraw(let worker):
            let count = inbox[worker]!.count
            inbox[worker] = []
            scheduler.withdrawn(worker: worker, count: count)
        case .cancel(_, let token): cancelled.append(token)
        case .killForTimeout(let worker): killed.append(worker)
        case .killForProtocol(_, let reason): liars.append(reason)
        case .retired(let worker): retired.append(worker)
        }
    }

    /// Redrives letters; returns ids of those that it could not be done for.
    func redrive(_ letters: [DeadLetter]) -> [Int64] { scheduler.redrive(letters) }
    /// Drops the first event of a subject that waits.
    func dropFirst(_ subject: String) -> Bool { scheduler.dropFirst(route: routeID, hash: hash(subject)) }

    var routeID: RouteID { scheduler.activeRoutes[0] }
    var status: RouteStatus { scheduler.status(of: routeID)! }
    func hash(_ subject: String) -> UInt64 {
        var subject = subject
        return subject.withUTF8 { journal.subjectHash(UnsafeRawBufferPointer($0)) }
    }
    func deadLetters() throws -> [DeadLetter] { try journal.deadLetters(RowQuery()) }
    func blocked() throws -> [BlockedEvent] { try journal.blocked(RowQuery()) }
}
