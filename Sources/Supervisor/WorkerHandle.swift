internal import CLinux
internal import Routing
public import WorkerProtocol

/// One worker process, as the host knows it. Belongs to the engine's thread.
public final class WorkerHandle {
    /// How far its life has come.
    public enum State: String, Sendable {
        /// Asked for; not ready.
        case starting
        /// Takes events.
        case ready
        /// Asked to end: finishes what it has claimed.
        case retiring
        /// Killed by the host, not yet known to be dead.
        case dying
        /// Dead, with all its descendants.
        case dead
    }

    /// The supervisor's number of this worker; never used again.
    public let id: UInt64
    /// What it was made from.
    public let spec: WorkerSpec
    /// 0 up to `workers:` - 1, among the workers of its spec.
    public let index: Int
    /// Its channel. Also readable after its death.
    public let channel: HostChannel
    /// How far its life has come.
    public internal(set) var state = State.starting
    /// Its process id, 0 while it is not known.
    public internal(set) var pid: Int32 = 0
    /// Whether it was ever ready.
    public internal(set) var wasReady = false
    /// Whether it was let through an open breaker: give it events one at a time until one succeeds.
    public internal(set) var isProbe = false
    /// When it was asked for, monotonic milliseconds.
    public let startedMillis: Int64
    /// When it got ready.
    public internal(set) var readyMillis: Int64 = 0
    /// The engine sets it when a run has succeeded. A plain store, so that it costs nothing per event.
    public var hasSucceeded = false
    /// The engine's own.
    public var slot = -1
    /// One budget for what it logs, through whatever way.
    public let logGate: LogGate

    /// The lambda's name.
    public var lambda: String { spec.lambda }

    let keeper: Keeper
    let target: PoolTarget
    var pidfd: Int32 = -1
    var outputPipe: Int32 = -1
    var errorPipe: Int32 = -1
    var outputLines = LogLines()
    var errorLines = LogLines()
    var errorTail = LogTail()
    var group: ControlGroup?
    var intent: KillIntent?
    var intentDetail = ""
    /// Not ready by then: killed. Then: asked to end, not dead by then: killed.
    var deadlineMillis: Int64 = .max
    /// When the keeper is to have reported the death, after a kill.
    var deathDeadlineMillis: Int64 = .max
    /// When its socket was found closed.
    var socketClosedMillis: Int64?
    var surplusSaid = false
    /// It is starting and has said more than was read.
    var startIsUnread = false
    /// When what it writes is read again; `.max`: it is read.
    var outputResumeMillis: Int64 = .max
    /// Whether it said that it could not start.
    var hasRefusedToStart = false
    /// Why it is to be replaced by a fresh one; nil: it is not.
    public internal(set) var recycling: RecycleReason?
    /// What it had of the memory that is limited.
    var memoryLook: MemoryLook?
    /// After death: the verdict, and the kernel's word if there was one.
    var deathKind = Verdict.Kind.exit
    var deathText = ""
    var waitStatus: Int32?

    init(id: UInt64, target: PoolTarget, keeper: Keeper, index: Int, channel: HostChannel, nowMillis: Int64) {
        self.id = id
        self.target = target
        spec = target.spec
        self.keeper = keeper
        self.index = index
        self.channel = channel
        startedMillis = nowMillis
        logGate = LogGate(bytesPerSecond: spec.route.limits.logBytesPerSecond)
    }

    deinit { closeDescriptors() }

    func closeDescriptors() {
        for descriptor in [pidfd, outputPipe, errorPipe] where descriptor >= 0 { capelet_linux_close(descriptor) }
        pidfd = -1
        outputPipe = -1
        errorPipe = -1
    }

    /// CPU time that it has used so far, in nanoseconds; -1 if it cannot be known.
    public func cpuNanos() -> Int64 { pid > 0 && state != .dead ? capelet_linux_cpu_nanos(pid) : -1 }
}
