// The supervisor: keepers, templates and workers from the host's side (ISOLATION §1, §3, §4).
//
//   setPool ─▶ PoolTarget ─(keeper for its generation and limits)─▶ Keeper ─SPAWN─▶ WorkerHandle ─READY─▶ engine
//                  ▲                                                                  │
//                  └──────────── RestartPolicy ◀── bury ◀── Verdict ◀── DIED ──────────┘
//
// Invariants
//   - Every worker that was asked for ends in exactly one `workerDied`, and only when it and its descendants are known to be gone.
//   - What the host means to do to a worker is recorded before it is done; the first intent counts.
//   - No failure here ends the host or makes its thread wait: what cannot be had now (memory, descriptors, processes) is tried again later.
//   - No byte from a worker is believed (HostChannel); keepers run no plugin code and are believed after their sizes are checked.
//
// Threads: Supervisor, Poller, WorkerHandle, HostChannel belong to the engine's thread. GenerationStore works on any background thread.

internal import CLinux
internal import CWorkerProtocol
public import Logging
internal import WorkerProtocol

/// Keeps each lambda's workers alive, and says why they ended.
///
/// One thread, never blocking: the engine passes on the poller's events (`handle`), calls `tick` once per loop, then takes the events
/// that came of it (`nextEvent`, `ringing`). Times are `Poller.nowMillis`.
public final class Supervisor {
    let workerExecutable: String
    let poller: Poller
    let logger: Logger
    var pools: [String: Pool] = [:]
    var keepers: [UInt64: Keeper] = [:]
    var handles: [UInt64: WorkerHandle] = [:]
    /// Every death so far.
    public internal(set) var deaths = DeathLedger()
    /// Workers that are ready and have rung: read their frames.
    public internal(set) var ringing: [WorkerHandle] = []
    var queue: [SupervisorEvent] = []
    var queueHead = 0
    var lastID: UInt64 = 0
    var lastRevision: UInt64 = 0
    var spawns: UInt64 = 0
    var budget: SpawnBudget
    var resources = ResourceBackoff()
    var resourceFaultSaid: String?
    /// Keepers that died unasked, and no new one before this time.
    var keeperFailures = 0
    var keeperNotBeforeMillis: Int64 = .min
    var lastKeeperDeathMillis: Int64 = .min
    var random = SystemRandomNumberGenerator()
    /// Control groups; nil: there are none.
    let groups: ControlGroups?
    /// Something has changed since the last `tick`.
    var isDirty = true
    var wakeMillis: Int64 = .min
    var isShuttingDown = false
    var startsNothing = false
    var shutdownMillis: Int64 = .max
    /// Which workers were looked at last, and when the next are.
    var recyclingCursor: UInt64 = 0
    var recyclingNextMillis: Int64 = .min
    let scratch: UnsafeMutableRawBufferPointer

    /// How long a keeper may take to report a death after a kill, and to end after being told to.
    static let keeperPatienceMillis: Int64 = 3000
    /// How long after its socket was closed a process has to be dead.
    static let closedSocketMillis: Int64 = 200
    /// Tries to load a generation, and starts without a single worker getting ready where something older serves, before it is given up.
    static let triesMax = 3

    /// A supervisor without any process.
    ///
    /// - Parameters:
    ///   - workerExecutable: absolute path of `capelet-worker`.
    ///   - groups: control groups for the workers, which belong to the supervisor from here on; nil: none.
    public init(
        workerExecutable: String, poller: Poller, logger: Logger, spawnsPerSecondMax: Int = 200, groups: ControlGroups? = nil
    ) {
        self.groups = groups
        self.workerExecutable = workerExecutable
        self.poller = poller
        self.logger = logger
        budget = SpawnBudget(perSecond: spawnsPerSecondMax)
        scratch = .allocate(byteCount: 64 << 10, alignment: 16)
        queue.reserveCapacity(256)
        ringing.reserveCapacity(64)
    }

    deinit {
        scratch.deallocate()
        groups?.close()
    }

    // MARK: events

    /// Whether a tag of the poller's belongs to the supervisor.
    public static func owns(_ tag: UInt64) -> Bool { tag >> 56 < 0x80 }

    /// The next thing the engine has to know; nil: nothing more now.
    public func nextEvent() -> SupervisorEvent? {
        guard queueHead < queue.count else {
            queue.removeAll(keepingCapacity: queue.count <= 4096)
            queueHead = 0
            return nil
        }
        defer { queueHead += 1 }
        return queue[queueHead]
    }

    func tell(_ event: SupervisorEvent) { queue.append(event) }

    /// Forgets who has rung.
    public func clearRinging() { ringing.removeAll(keepingCapacity: true) }

    /// Takes an event of the poller's, where `owns(tag)`.
    public func handle(tag: UInt64, events: Poller.Events, nowMillis: Int64) {
        guard let tag = PollTag(rawValue: tag) else { return }
        switch tag.kind {
        case .bell:
            guard let worker = handles[tag.number] else { return }
            bellRang(worker, nowMillis: nowMillis)
        case .workerOutput, .workerError:
            guard let worker = handles[tag.number] else { return }
            readOutput(of: worker, isError: tag.kind == .workerError, nowMillis: nowMillis)
        case .workerSocket:
            guard let worker = handles[tag.number], events.contains(.hangup), worker.socketClosedMillis == nil else { return }
            worker.socketClosedMillis = nowMillis
            isDirty = true
        case .workerProcess:
            guard let worker = handles[tag.number] else { return }
            orphanDied(worker, nowMillis: nowMillis)
        case .keeperSocket:
            guard let keeper = keepers[tag.number] else { return }
            readMessages(of: keeper, nowMillis: nowMillis)
        case .keeperProcess:
            guard let keeper = keepers[tag.number] else { return }
            reap(keeper, nowMillis: nowMillis)
        case .keeperOutput, .keeperError:
            guard let keeper = keepers[tag.number] else { return }
            readOutput(of: keeper, isError: tag.kind == .keeperError, nowMillis: nowMillis)
        }
    }

    /// Does what is due: starts, deadlines, ends. Cheap when nothing is.
    ///
    /// - Returns: when it has to be called again at the latest; `Int64.max`: only after something else happened.
    public func tick(nowMillis: Int64) -> Int64 {
        guard isDirty || nowMillis >= wakeMillis else { return wakeMillis }
        isDirty = false
        wakeMillis = .max
        if keeperFailures > 0 {
            if nowMillis - lastKeeperDeathMillis >= RestartPolicy.healthMillis { keeperFailures = 0 }
        }
        checkWorkers(nowMillis: nowMillis)
        checkRecycling(nowMillis: nowMillis)
        checkKeepers(nowMillis: nowMillis)
        if !isShuttingDown, !startsNothing {
            for pool in pools.values { maintain(pool, nowMillis: nowMillis) }
        }
        // Something that was done just now may have made more possible.
        if isDirty { wakeMillis = nowMillis }
        return wakeMillis
    }

    /// `tick` is to look again at this time.
    func wake(at millis: Int64) { wakeMillis = min(wakeMillis, millis) }

    // MARK: what is to run

    /// Says what a lambda's workers are to be made from, and how many there are to be.
    ///
    /// New workers are started beside those that serve, and promoted when the first is ready. Also forgets failures and closes the breaker.
    public func setPool(_ spec: WorkerSpec, nowMillis: Int64) {
        isDirty = true
        lastRevision += 1
        var spec = spec
        spec.revision = lastRevision
        guard let pool = pools[spec.lambda] else {
            pools[spec.lambda] = Pool(PoolTarget(spec: spec))
            return
        }
        pool.fault = nil
        if let candidate = pool.candidate {
            if candidate.spec.makesSameWorkers(as: spec) {
                spec.revision = candidate.spec.revision
                candidate.spec = spec
                forgetFailures(candidate)
                return
            }
            drop(candidate, nowMillis: nowMillis)
            pool.candidate = nil
        }
        if pool.current.spec.makesSameWorkers(as: spec) {
            spec.revision = pool.current.spec.revision
            pool.current.spec = spec
            forgetFailures(pool.current)
        } else if pool.current.workers.isEmpty, !pool.current.wasEverReady {
            // There is nothing to fall back on.
            pool.current.isLive = false
            pool.current = PoolTarget(spec: spec)
        } else {
            pool.candidate = PoolTarget(spec: spec)
        }
    }

    /// Starts nothing more for a lambda. Its workers go on until they are retired; those that are not ready yet are ended.
    public func removePool(lambda: String, nowMillis: Int64) {
        guard let pool = pools.removeValue(forKey: lambda) else { return }
        isDirty = true
        for target in [pool.candidate, pool.current] {
            guard let target else { continue }
            target.isLive = false
            for worker in target.workers where worker.state == .starting { terminate(worker, .reload, nowMillis: nowMillis) }
        }
    }

    /// Forgets a lambda's failures and closes its breaker: an operator says that it is mended.
    public func mend(lambda: String, nowMillis: Int64) {
        guard let pool = pools[lambda] else { return }
        isDirty = true
        forgetFailures(pool.current)
        if let candidate = pool.candidate { forgetFailures(candidate) }
    }

    /// A worker by its number, while it lives or its death is not settled.
    public func worker(_ id: UInt64) -> WorkerHandle? { handles[id] }

    // MARK: ending workers

    /// Asks a worker to finish what it has claimed and to exit; it is killed at the deadline, with verdict `reload`. It no longer counts:
    /// if the lambda is to have more workers than are left, a new one is started at once. Withdraw what it has not claimed first.
    public func retire(_ worker: WorkerHandle, deadlineMillis: Int64, nowMillis: Int64) {
        guard worker.state == .starting || worker.state == .ready else { return }
        isDirty = true
        forget(worker)
        if worker.state == .starting {
            terminate(worker, .reload, nowMillis: nowMillis)
            return
        }
        worker.state = .retiring
        if worker.intent == nil {
            worker.intent = worker.recycling == nil ? .reload : .recycle
            worker.intentDetail = worker.recycling?.detail ?? ""
        }
        worker.deadlineMillis = deadlineMillis
        worker.channel.requestStop()
    }

    /// Kills a worker. The first intent counts for the verdict; `detail` goes into its text.
    public func terminate(_ worker: WorkerHandle, _ intent: KillIntent, detail: String = "", nowMillis: Int64) {
        guard worker.state != .dead, worker.state != .dying else { return }
        isDirty = true
        // A worker that was asked to end and misbehaves now is judged by that.
        if worker.intent == nil || worker.state == .retiring && intent != .shutdown {
            worker.intent = intent
            worker.intentDetail = detail
        }
        worker.state = .dying
        worker.deathDeadlineMillis = nowMillis + Self.keeperPatienceMillis
        if worker.pidfd >= 0 { _ = capelet_linux_pidfd_signal(worker.pidfd, SignalName.kill) }
        // Its process group too; and if it has not started yet, as soon as it has.
        _ = worker.keeper.send(Int(CAPELET_HOST_KILL), id: worker.id, value: UInt64(SignalName.kill))
    }

    /// Settles a death that `workerDied` told of, for a worker that was ready. Until then nothing is started in its place.
    ///
    /// - Parameter pinnedOnEvent: an event was running or pending in it: the crash counts for the event, not for the lambda.
    public func bury(_ worker: WorkerHandle, pinnedOnEvent: Bool, nowMillis: Int64) {
        guard worker.state == .dead, handles.removeValue(forKey: worker.id) != nil else { return }
        settle(worker, pinnedOnEvent: pinnedOnEvent, nowMillis: nowMillis)
    }

    /// Starts nothing any more. For the time between the decision to end and `shutdown`, in which workers are retired: without this, each
    /// would be replaced.
    public func stopStarting() {
        isDirty = true
        startsNothing = true
    }

    /// Ends everything: workers are asked to exit, and killed with their keepers at the deadline. Go on with `handle` and `tick` until
    /// `isShutDown`.
    public func shutdown(deadlineMillis: Int64, nowMillis: Int64) {
        isDirty = true
        isShuttingDown = true
        shutdownMillis = min(shutdownMillis, deadlineMillis)
        for worker in handles.values {
            switch worker.state {
            case .starting: terminate(worker, .shutdown, nowMillis: nowMillis)
            case .ready, .retiring:
                if worker.intent == nil { worker.intent = .shutdown }
                worker.state = .retiring
                worker.deadlineMillis = min(worker.deadlineMillis, shutdownMillis)
                worker.channel.requestStop()
            case .dying, .dead: break
            }
        }
    }

    /// Whether every process is gone.
    public var isShutDown: Bool { isShuttingDown && keepers.isEmpty && !handles.values.contains { $0.state != .dead } }

    func newID() -> UInt64 {
        lastID += 1
        return lastID
    }
}
