import Routing
import Supervisor
import WorkerProtocol

/// One ready worker, as the engine deals with it. Engine's thread only.
final class EngineWorker {
    /// The supervisor's handle.
    let handle: WorkerHandle
    /// The scheduler's number.
    let number: Int32
    /// Items that the scheduler has sent and that did not fit yet, in order.
    var backlog: [Int32] = []
    /// Payloads from files that the backlog waits for: nil while they are read.
    var payloads: [UInt64: [UInt8]] = [:]
    /// Payloads that are being read.
    var reading: Set<UInt64> = []
    /// What runs have put out so far, by token.
    var effects: [UInt64: RunEffects] = [:]
    /// What runs have emitted so far, by token.
    var emitted: [UInt64: (count: Int, bytes: Int)] = [:]
    /// What it has said in the present turn.
    var turn = ReadingPace.Turn()
    /// Whether it is in the engine's list of busy workers.
    var isBusy = false
    /// Whether something was staged since the last publish.
    var isTouched = false
    /// CPU time that one run may use, in nanoseconds; 0: no limit.
    let cpuNanosMax: Int64
    /// When the runs that are open now were first looked at: CPU time then, `leaves` of the scheduler, and the most runs that were open since.
    var cpuLook: (nanos: Int64, leaves: UInt64, open: Int)?
    /// How often it is read.
    var pace = ReadingPace()
    /// Bytes of `effects`, or more.
    var effectBytes = 0
    /// Whether the supervisor was told to retire it.
    var isRetiring = false
    /// Whether the supervisor was told to kill it.
    var isEnding = false

    init(handle: WorkerHandle, number: Int32) {
        self.handle = handle
        self.number = number
        cpuNanosMax = Int64(clamping: (handle.spec.route.limits.cpu?.micros ?? 0) * 1000)
    }
}
