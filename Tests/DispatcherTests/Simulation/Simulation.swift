import CWorkerProtocol
import Foundation
import Journal
import Routing
import Synchronization
import WorkerProtocol

@testable import Dispatcher

/// One deterministic run of the real scheduler over the in-memory journal with simulated workers, a clock of its own and a seed.
///
/// Domain `d` has lambdas a, b (after a), c, j (after a and c), k (after b and c) and x; `a` emits into domain `e`, which has x, p (parks) and n
/// (without order). Some seeds have fewer. x, p and n are taken out of the routing file and put back.
final class Simulation {
    typealias Violation = Ledger.Violation

    /// A lambda in a domain.
    struct Place: Hashable {
        var lambda: String
        var domain: String
        /// Name of its input stream; nil: the domain's own.
        var input: String?
        var dependents: [String] = []
    }

    /// How commits ended, told by the journal from within a step.
    final class Answers: Sendable {
        let list = Mutex<[Bool]>([])
    }

    final class Clock: Sendable {
        let millis = Mutex<Int64>(1_700_000_000_000)
    }

    static let upstreams: [String: [String]] = ["b": ["a"], "j": ["a", "c"], "k": ["b", "c"]]

    let seed: UInt64
    var random: SplitMix
    var script: Script
    var journal: MemoryJournal
    var scheduler: Scheduler
    var workers: [Int32: SimulatedWorker] = [:]
    var ledger = Ledger()
    var nowMicros: UInt64 = 1_000_000
    var steps = 0
    var condemned: [(worker: Int32, cause: DeathCause)] = []
    let faults: SchedulerFaults
    let clock = Clock()
    let places: [Place]
    let lambdas: [String]
    let subjects: Int
    let limits: SchedulerLimits

    var streams: [String: StreamID] = [:]
    /// Lambdas that are not in the routing file at the moment.
    var removed: Set<String> = []
    var versions: [String: UInt64] = [:]
    /// How often parked events of a lambda got another attempt.
    var unparks: [String: Int] = [:]

    /// Accepted events by domain stream: offset → event number. Emitted ones too.
    var accepted: [UInt32: [UInt64: UInt64]] = [:]
    var harvested: [UInt32: UInt64] = [:]
    /// How often each event that lambda `a` emitted is in the journal.
    var emitted: [UInt64: Int] = [:]
    /// How often each event was handed on, in written commits: input stream and offset.
    var handedOn: [JoinKey: Int] = [:]
    var dropped: Set<Ledger.EventKey> = []
    var nextEvent: UInt64 = 1
    /// Workers that were ever started.
    var lives = 0

    let commitsDone = Answers()
    var commitInFlight = false
    var commitWaiting: JournalCommit?
    var commitsTaken = 0
    var commitsWritten = 0
    var pendingRowLoads: [(action: SchedulerAction, commit: Int)] = []
    var readRows: [(lane: Int32, serial: UInt32, rows: [DeferredRow])] = []
    var pendingLoads: [(route: Int32, position: UInt64)] = []

    var isActing = false
    var isTracing = false
    private(set) var trace: [String] = []

    init(seed: UInt64, faults: SchedulerFaults = [], isTracing: Bool = false) throws {
        self.seed = seed
        self.faults = faults
        self.isTracing = isTracing
        random = SplitMix(state: seed)
        script = Script(seed: seed)
        subjects = [1, 3, 10, 60][Int(seed % 4)]
        limits = Self.limits(seed: seed)
        var places = [
            Place(lambda: "a", domain: "d"), Place(lambda: "c", domain: "d"), Place(lambda: "x", domain: "d"),
            Place(lambda: "x", domain: "e"), Place(lambda: "p", domain: "e"),
        ]
        if seed % 3 != 0 {
            places[0].dependents = ["b", "j"]
            places[1].dependents = ["j", "k"]
            places += [
                Place(lambda: "b", domain: "d", input: "d/b", dependents: ["k"]), Place(lambda: "j", domain: "d", input: "d/j"),
                Place(lambda: "k", domain: "d", input: "d/k"),
            ]
        }
        if seed % 5 < 2 { places.append(Place(lambda: "n", domain: "e")) }
        self.places = places
        lambdas = Set(places.map(\.lambda)).sorted()
        ledger.unordered = ["n"]
        let clock = clock
        journal = MemoryJournal(manual: true, seed: seed, now: { clock.millis.withLock { $0 } })
        scheduler = Scheduler(seed: seed, nextRowID: 1)
        try boot()
    }

    private static func limits(seed: UInt64) -> SchedulerLimits {
        var random = SplitMix(state: seed ^ 0x11_11)
        var limits = SchedulerLimits()
        limits.failStreakMax = Int(random.next(upTo: 10)) + 3
        if random.next(upTo: 2) == 0 { return limits }
        limits.waitingBytesMax = Int(random.next(upTo: 2000)) + 100
        limits.waitingItemsMax = Int(random.next(upTo: 30)) + 2
        limits.inboxBytesMax = Int(random.next(upTo: 3000)) + 200
        limits.loadBytesMax = Int(random.next(upTo: 4000)) + 500
        limits.commitBytesMax = Int(random.next(upTo: 4000)) + 500
        limits.rowEventsMax = Int(random.next(upTo: 5)) + 1
        limits.rowBytesMax = Int(random.next(upTo: 600)) + 100
        limits.rowLoadsMax = Int(random.next(upTo: 3)) + 1
        limits.openMicrosMax = 1_000_000
        if random.next(upTo: 3) == 0 { limits.deferredBytesMax = Int(random.next(upTo: 4000)) + 500 }
        limits.failedJoinsMax = 1_000_000
        return limits
    }

    func chance(_ percent: UInt64) -> Bool { random.next(upTo: 99) < percent }

    func note(_ text: @autoclosure () -> String) {
        if isTracing { trace.append("\(steps): \(text())") }
    }

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
        if name == "n" { route.order = .none }
        route.after = Self.upstreams[name] ?? []
        return route
    }

    private func specs() throws -> (pools: [PoolSpec], routes: [RouteSpec]) {
        for name in ["d", "e"] { streams[name] = try journal.stream(.domain, named: name) }
        for place in places { if let input = place.input { streams[input] = try journal.stream(.input, named: input) } }
        var routes: [RouteSpec] = []
        for place in places where !removed.contains(place.lambda) {
            let stream = streams[place.input ?? place.domain]!
            let state = try journal.route(lambda: place.lambda, domain: place.domain, stream: stream, start: .beginning)
            let dependents = place.dependents.map {
                DependentSpec(lambda: $0, stream: streams["d/\($0)"]!, upstreams: Self.upstreams[$0]!)
            }
            routes.append(
                RouteSpec(
                    state: state, domainStream: streams[place.domain]!, streamEnd: journal.end(of: stream), dependents: dependents,
                    heads: try journal.deferredHeads(state.id)))
        }
        journal.setLive(routes.map(\.state.id))
        let pools = lambdas.filter { !removed.contains($0) }.map { PoolSpec(lambda: lambdaRoute($0), version: versions[$0, default: 1]) }
        return (pools, routes)
    }

    func boot() throws {
        scheduler = Scheduler(seed: random.next(), nextRowID: try journal.nextRowID())
        scheduler.faults = faults
        scheduler.limits = limits
        tell()
        let specs = try specs()
        // The engine does it before it knows the routing file.
        let isEarly = chance(50)
        if isEarly { scheduler.joinsLoaded(try journal.allJoins()) }
        scheduler.apply(pools: specs.pools, routes: specs.routes)
        if !isEarly { scheduler.joinsLoaded(try journal.allJoins()) }
        for lambda in lambdas where !removed.contains(lambda) { for _ in 0..<lambdaRoute(lambda).workers { startWorker(lambda) } }
        try act()
    }

    func tell() { scheduler.advance(nowMicros: nowMicros, wallMillis: 1_700_000_000_000 + Int64(nowMicros / 1000)) }

    func startWorker(_ lambda: String) {
        guard !removed.contains(lambda), let number = scheduler.workerReady(lambda: lambda) else { return }
        lives += 1
        workers[number] = SimulatedWorker(lambda: lambda, number: number, life: lives)
    }

    /// kill -9 of the host, between any two steps.
    private func crashHost() throws {
        note("host dies")
        ledger.hostDied()
        workers = [:]
        condemned = []
        commitsDone.list.withLock { $0 = [] }
        commitInFlight = false
        commitWaiting = nil
        pendingRowLoads = []
        readRows = []
        pendingLoads = []
        commitsTaken = 0
        commitsWritten = 0
        journal = journal.crash()
        try harvest()
        try boot()
    }

    /// What the journal holds: events that were written but not answered count as accepted too.
    func harvest() throws {
        for name in ["d", "e"] {
            guard let stream = streams[name] else { continue }
            var position = harvested[stream.rawValue, default: 0]
            while position < journal.end(of: stream) {
                for batch in try journal.read(stream, from: position, maximumBytes: 1 << 20) {
                    for index in 0..<batch.count where batch.base + UInt64(index) >= position {
                        let view = batch.records.view(index)
                        let event = view.payloadSection.loadUnaligned(as: UInt64.self)
                        accepted[stream.rawValue, default: [:]][view.header.pointee.offset] = event
                        if view.idText.hasPrefix("emit-") { emitted[event, default: 0] += 1 }
                    }
                    position = batch.end
                }
            }
            harvested[stream.rawValue] = position
        }
    }

    // MARK: a step

    func step() throws {
        steps += 1
        tell()
        switch random.next(upTo: 199) {
        case 0..<14: produce()
        case 14..<54: try stepJournal()
        case 54..<84: takeCommit()
        case 84..<104:
            nowMicros += random.next(upTo: chance(20) ? 4_000_000 : 60_000)
            clock.millis.withLock { $0 = 1_700_000_000_000 + Int64(nowMicros / 1000) }
            tell()
            scheduler.tick()
            try act()
        case 104..<189:
            for _ in 0..<(random.next(upTo: 8) + 1) {
                if let number = workers.keys.sorted().randomElement(using: &random) { try stepWorker(number) }
            }
        case 190, 191:
            if chance(20), let number = workers.keys.sorted().randomElement(using: &random) { try killWorker(number, cause: .external) }
        case 189:
            if chance(20), let number = workers.keys.sorted().randomElement(using: &random) { try accuse(number) }
        case 192:
            if chance(12) { try crashHost() }
        case 193:
            if chance(30) { try reload() }
        case 194, 195, 196: try operate()
        case 197: script.isOutage = chance(25)
        default:
            scheduler.setPaused(lambda: lambdas[Int(random.next(upTo: UInt64(lambdas.count - 1)))], chance(30))
            try act()
        }
        flushEmptyCommit()
        try checkHung()
        if steps & 3 == 0 { try check() }
    }

    /// A new routing file: changed lambdas get new workers, some go, some come back.
    private func reload(isCalm: Bool = false) throws {
        for lambda in ["x", "p", "n"] where lambdas.contains(lambda) {
            if removed.contains(lambda) {
                if isCalm || chance(50) { removed.remove(lambda) }
            } else if !isCalm && chance(20) {
                removed.insert(lambda)
            }
        }
        var changed: [String] = []
        for lambda in lambdas where !isCalm && chance(40) {
            changed.append(lambda)
            versions[lambda, default: 1] += 1
            unparks[lambda, default: 0] += 1
        }
        note("reload: changed \(changed), without \(removed.sorted())")
        let specs = try specs()
        scheduler.apply(pools: specs.pools, routes: specs.routes)
        try act()
        for (number, worker) in workers.sorted(by: { $0.key < $1.key }) where changed.contains(worker.lambda) {
            startWorker(worker.lambda)
            scheduler.retire(worker: number)
            try act()
        }
        for lambda in lambdas
        where !removed.contains(lambda) && !workers.values.contains(where: { $0.lambda == lambda && !isRetiring($0.number) }) {
            for _ in 0..<lambdaRoute(lambda).workers { startWorker(lambda) }
        }
        try act()
    }

    private func isRetiring(_ number: Int32) -> Bool { scheduler.workers[Int(number)].isRetiring }

    /// An operator does something about what has failed.
    private func operate() throws {
        var query = RowQuery()
        query.limit = 1_000
        ledger.chancesGiven()
        switch random.next(upTo: 9) {
        case 0..<4:
            guard let letter = try journal.deadLetters(query).randomElement(using: &random) else { return }
            let before = scheduler.commit.deadRemoved.count
            if scheduler.redrive([letter]).isEmpty && scheduler.commit.deadRemoved.count == before && !faults.contains(.keepRedrivenLetters)
            {
                throw Violation(description: "a redriven letter stays among the dead")
            }
            note("redrive of offset \(letter.records.view(0).header.pointee.offset)")
        case 4:
            guard let letter = try journal.deadLetters(query).randomElement(using: &random),
                let state = try journal.routes().first(where: { $0.id == letter.route })
            else { return }
            let header = letter.records.view(0).header.pointee
            dropped.insert(Ledger.EventKey(lambda: state.lambda, domain: header.domain, offset: header.offset))
            scheduler.dropDead([(letter.id, letter.route)])
        case 5, 6:
            unparks["p", default: 0] += 1
            scheduler.retryNow(lambda: "p")
        case 7:
            let lambda = lambdas[Int(random.next(upTo: UInt64(lambdas.count - 1)))]
            unparks[lambda, default: 0] += 1
            scheduler.retryNow(lambda: lambda)
        default:
            guard let state = try journal.routes().filter({ $0.lambda == "p" || chance(20) }).randomElement(using: &random),
                let head = try journal.deferredHeads(state.id).randomElement(using: &random),
                let row = try journal.deferredRows(state.id, subjectHash: head.subjectHash, after: 0, maximumBytes: 1).first,
                Int(row.done) < row.records.count, !scheduler.hasCommit, commitWaiting == nil, !commitInFlight,
                scheduler.dropFirst(route: state.id, hash: head.subjectHash)
            else { return }
            let view = row.records.view(Int(row.done))
            note("drop of offset \(view.header.pointee.offset) of \(view.subjectText) for \(state.lambda)")
            dropped.insert(Ledger.EventKey(lambda: state.lambda, domain: view.header.pointee.domain, offset: view.header.pointee.offset))
            ledger.ended(
                lambda: state.lambda, domain: view.header.pointee.domain, subject: view.subjectText, offset: view.header.pointee.offset)
        }
        try act()
    }

    /// Lets everything come to rest: nothing fails any more, nobody dies.
    func drain() throws {
        script.isCalm = true
        // Parked events may fill the deferred set for ever; then the cursor holds, rightly.
        scheduler.limits.deferredBytesMax = 1 << 30
        for lambda in lambdas { scheduler.setPaused(lambda: lambda, false) }
        scheduler.setStalled(false)
        try act()
        for number in workers.keys.sorted() where workers[number]?.hung != nil { try killWorker(number, cause: .host) }
        try reload(isCalm: true)
        var quiet = 0
        for _ in 0..<3_000 {
            steps += 1
            nowMicros += 300_000
            clock.millis.withLock { $0 = 1_700_000_000_000 + Int64(nowMicros / 1000) }
            tell()
            scheduler.tick()
            try act()
            for number in workers.keys.sorted() {
                for _ in 0..<64 {
                    guard let worker = workers[number], !(worker.inbox.isEmpty && worker.batch.isEmpty && worker.pending.isEmpty) else {
                        break
                    }
                    try stepWorker(number)
                }
            }
            takeCommit()
            try stepJournal()
            flushEmptyCommit()
            if steps & 7 == 0 { try check() }
            quiet = isQuiet ? quiet + 1 : 0
            if quiet > 3 { return }
        }
        throw Violation(description: "did not come to rest: \(whatIsLeft())")
    }

    private var isQuiet: Bool {
        guard journal.pendingCount == 0, !commitInFlight, commitWaiting == nil, !scheduler.hasCommit, pendingRowLoads.isEmpty,
            readRows.isEmpty
        else { return false }
        for route in scheduler.routes where route.isActive {
            if route.done.watermark < journal.end(of: route.stream) { return false }
            for lane in route.lanes.lanes where !scheduler.lanes[Int(lane)].isParked { return false }
        }
        return true
    }

    private func whatIsLeft() -> String {
        scheduler.routes.filter(\.isActive).compactMap { route in
            let lanes = route.lanes.lanes.map { scheduler.lanes[Int($0)] }.filter { !$0.isParked }
            if lanes.isEmpty && route.done.watermark == journal.end(of: route.stream) { return nil }
            let lane = lanes.first.map { "\($0)" } ?? ""
            let pool = scheduler.pools[Int(route.pool)]
            return
                "\(route.lambda): holding \(pool.isHolding) \(pool.isProbing) \(pool.isPaused) workers \(pool.workers) loads \(pool.rowLoads) loading \(route.isLoading) from \(route.loadFrom) deferred \(route.deferredBytes), watermark \(route.done.watermark) of \(journal.end(of: route.stream)), cursor \(route.cursor), \(lanes.count) lanes \(lane)"
        }.joined(separator: "; ")
    }
}

extension SplitMix: RandomNumberGenerator {}
