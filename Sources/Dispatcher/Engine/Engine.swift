import Dispatch
import Foundation
import Glibc
public import Journal
public import Logging
import Routing
public import Supervisor
import Synchronization
public import Telemetry
import WorkerProtocol

/// The one thread around the scheduler: polls workers, processes and its mailbox, feeds the scheduler, carries out what it decides, and hands
/// commits to the journal.
///
/// What is public may be called from any thread, unless it says otherwise; everything else belongs to the engine's thread.
public final class Engine: @unchecked Sendable {
    /// What the engine is made with.
    public struct Settings: Sendable {
        /// Path of `capelet-worker`.
        public var workerExecutable: String
        /// Worker forks per second, all lambdas together.
        public var spawnsPerSecondMax = 200
        /// Control groups for the workers; nil: none. They belong to the engine from here on.
        nonisolated(unsafe) public var groups: ControlGroups?
        /// How long progress waits for more of it before it is written.
        public var commitMicros: UInt64 = 5_000
        /// Seed for jitter.
        public var seed: UInt64 = .random(in: .min ... .max)
        /// Settings with defaults.
        public init(workerExecutable: String) { self.workerExecutable = workerExecutable }
    }

    /// What a lambda's worker logged or wrote.
    public struct LogEntry: Sendable {
        /// The lambda.
        public var lambda: String
        /// The worker's place among those of its lambda.
        public var worker: Int
        /// Its process id.
        public var pid: Int32
        /// `trace` to `error`, or `stdout`, `stderr`.
        public var level: String
        /// The line.
        public var text: String
    }

    /// Things that the host has to know. Called on the engine's thread; must return at once.
    public enum Notice: Sendable {
        /// A lambda's new generation or configuration serves.
        case promoted(lambda: String, revision: UInt64)
        /// It was given up; the old one serves on.
        case refused(lambda: String, revision: UInt64, reason: String)
        /// A lambda's workers keep dying: its cursor holds.
        case broken(lambda: String, reason: String)
        /// It is well again.
        case mended(lambda: String)
        /// A worker ended.
        case died(Verdict, event: OpenEvent?)
    }

    /// The event that a dead worker was running.
    public struct OpenEvent: Sendable {
        /// Its domain's stream.
        public var domain: UInt32
        /// Its offset.
        public var offset: UInt64
        /// Its subject.
        public var subject: String
        /// How long it ran.
        public var ranMillis: Int64
        /// Events that the worker had begun and not ended, this one included.
        public var openCount: Int
    }

    let settings: Settings
    let journal: any Journal
    let logger: Logger
    let metrics: HostMetrics
    let onLog: @Sendable (LogEntry) -> Void
    let onNotice: @Sendable (Notice) -> Void
    let mailbox: Mailbox
    let reader: JournalReader
    private let finished = DispatchSemaphore(value: 0)
    private let isStarted = Mutex(false)

    // Everything below belongs to the engine's thread.
    var scheduler: Scheduler
    var supervisor: Supervisor
    let poller: Poller
    /// By the scheduler's number.
    var workers: [EngineWorker?] = []
    /// Workers that have something in flight or unread.
    var busy: [EngineWorker] = []
    /// Workers with staged and unpublished events.
    var touched: [EngineWorker] = []
    var domainStreams: [String: DomainTarget] = [:]
    var routeMetrics: [RouteID: RouteMeter] = [:]
    var commitInFlight: JournalCommit?
    var commitsTaken = 0
    var commitsWritten = 0
    var lastCommitMicros: UInt64 = 0
    var commitRetryMicros: UInt64 = 0
    var commitFailures = 0
    var rowLoads: [(route: RouteID, lane: Int32, serial: UInt32, hash: UInt64, after: Int64, commit: Int)] = []
    var nextTickMicros: UInt64 = 0
    var nextMeterMicros: UInt64 = 0
    var supervisorWakeMillis: Int64 = 0
    var drainDeadlineMillis: Int64?
    var isStopping = false
    var isShuttingDownWorkers = false
    var drainMillis: Int64 = 30_000

    /// Makes an engine; `start` sets it going.
    ///
    /// - Parameters:
    ///   - onLog: called on the engine's thread with each line of a worker.
    ///   - onNotice: called on the engine's thread.
    public init(
        settings: Settings, journal: any Journal, logger: Logger, metrics: HostMetrics, onLog: @escaping @Sendable (LogEntry) -> Void,
        onNotice: @escaping @Sendable (Notice) -> Void
    ) throws {
        self.settings = settings
        self.journal = journal
        self.logger = logger
        self.metrics = metrics
        self.onLog = onLog
        self.onNotice = onNotice
        mailbox = try Mailbox()
        reader = JournalReader(journal: journal)
        scheduler = Scheduler(seed: settings.seed, nextRowID: try journal.nextRowID())
        poller = try Poller()
        supervisor = Supervisor(
            workerExecutable: settings.workerExecutable, poller: poller, logger: logger, spawnsPerSecondMax: settings.spawnsPerSecondMax,
            groups: settings.groups)
        try poller.add(mailbox.descriptor, tag: Self.mailboxTag)
    }

    static let mailboxTag: UInt64 = 0x80 << 56

    /// Starts the thread. Once.
    public func start() throws {
        let joins = try journal.allJoins()
        perform { $0.scheduler.joinsLoaded(joins) }
        let mailbox = mailbox
        journal.setObserver { advances in mailbox.put(advances: advances) }
        let thread = Thread { [self] in
            run()
            finished.signal()
        }
        thread.name = "capelet-engine"
        thread.stackSize = 4 << 20
        reader.start()
        isStarted.withLock { $0 = true }
        thread.start()
    }

    /// Runs a closure on the engine's thread, soon.
    func perform(_ body: @escaping @Sendable (Engine) -> Void) { mailbox.put(body) }

    /// Runs a closure on the engine's thread and waits for what it returns.
    func query<T: Sendable>(_ body: @escaping @Sendable (Engine) -> T) async -> T {
        await withCheckedContinuation { continuation in perform { continuation.resume(returning: body($0)) } }
    }

    /// Lets what runs finish, writes what is to be written, ends all workers, and ends the thread. Blocks until then.
    ///
    /// - Parameter drain: how long running events may take. A second call with a shorter time hurries the first.
    public func stop(drain: Duration) {
        guard isStarted.withLock({ $0 }) else { return }
        let millis = Int64(drain.micros / 1000)
        perform { $0.beginStop(drainMillis: millis) }
        finished.wait()
        finished.signal()
    }

    /// Shortens the time that `stop` leaves to running events.
    public func hurry() { perform { $0.drainDeadlineMillis = min($0.drainDeadlineMillis ?? 0, Poller.nowMillis) } }

    // MARK: the thread

    private func run() {
        supervisorWakeMillis = Poller.nowMillis
        while true {
            let nowNanos = UInt64(Poller.nowNanos)
            let now = nowNanos / 1000
            scheduler.advance(nowMicros: now, wallMillis: Self.wallMicros / 1000)
            for body in mailbox.take(into: self) { body(self) }
            watch(nowMillis: Int64(now / 1000))
            readWorkers()
            if now >= nextTickMicros {
                scheduler.tick()
                checkCPU()
                nextTickMicros = scheduler.nextWakeMicros
            }
            carryOut()
            writeCommit(now: now)
            if now >= nextMeterMicros {
                nextMeterMicros = now + 200_000
                meter()
            }
            if isStopping && stopStep(nowMillis: Int64(now / 1000)) { break }
            sleep()
        }
        reader.stop()
    }

    static var wallMicros: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// Waits until there is something to do.
    private func sleep() {
        var mustNotWait = mailbox.isFull
        let now = UInt64(Poller.nowNanos) / 1000
        var wake = min(nextTickMicros, now + 200_000)
        for worker in busy {
            if worker.pace.pausedUntilMicros > now {
                wake = min(wake, worker.pace.pausedUntilMicros)
            } else if worker.handle.channel.prepareToSleep() {
                mustNotWait = true
            }
        }
        if supervisorWakeMillis < .max / 2000 { wake = min(wake, UInt64(max(supervisorWakeMillis, 0)) * 1000) }
        if commitInFlight == nil, scheduler.hasCommit { wake = min(wake, lastCommitMicros + settings.commitMicros) }
        let nanos = mustNotWait || wake <= now ? 0 : Int64(wake - now) * 1000
        let count = (try? poller.wait(timeoutNanos: nanos)) ?? 0
        for worker in busy { worker.handle.channel.awake() }
        let millis = Poller.nowMillis
        for index in 0..<count {
            let tag = poller.tag(index)
            if Supervisor.owns(tag) {
                supervisor.handle(tag: tag, events: poller.events(index), nowMillis: millis)
            } else if tag == Self.mailboxTag {
                mailbox.clearBell()
            }
        }
    }

    /// What the supervisor has to say.
    private func watch(nowMillis: Int64) {
        supervisorWakeMillis = supervisor.tick(nowMillis: nowMillis)
        for handle in supervisor.ringing where handle.slot >= 0 { markBusy(handle) }
        supervisor.clearRinging()
        while let event = supervisor.nextEvent() { take(event, nowMillis: nowMillis) }
    }

    // MARK: stopping

    private func beginStop(drainMillis: Int64) {
        let deadline = Poller.nowMillis + drainMillis
        drainDeadlineMillis = min(drainDeadlineMillis ?? .max, deadline)
        guard !isStopping else { return }
        isStopping = true
        scheduler.setStalled(true)
        supervisor.stopStarting()
        for worker in workers { if let worker { scheduler.requestWithdrawal(worker.number) } }
    }

    /// One step towards the end; true: the thread ends.
    private func stopStep(nowMillis: Int64) -> Bool {
        let isLate = nowMillis >= drainDeadlineMillis ?? 0
        if !isShuttingDownWorkers {
            guard scheduler.inFlight == 0 || isLate else { return false }
            isShuttingDownWorkers = true
            supervisor.shutdown(
                deadlineMillis: isLate ? nowMillis : min(drainDeadlineMillis ?? nowMillis, nowMillis + 5_000), nowMillis: nowMillis)
            return false
        }
        guard supervisor.isShutDown else { return false }
        if commitInFlight != nil { return isLate && commitFailures > 3 }
        if scheduler.hasCommit && !(isLate && commitFailures > 3) {
            lastCommitMicros = 0
            return false
        }
        return true
    }
}
