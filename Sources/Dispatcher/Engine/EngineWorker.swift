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
    /// Bytes that a run has emitted, by token.
    var emitBytes: [UInt64: Int] = [:]
    /// Whether it is in the engine's list of busy workers.
    var isBusy = false
    /// Whether something was staged since the last publish.
    var isTouched = false
    /// Bytes of `effects`, or more.
    var effectBytes = 0
    /// Whether the supervisor was told to retire it.
    var isRetiring = false
    /// Whether the supervisor was told to kill it.
    var isEnding = false

    init(handle: WorkerHandle, number: Int32) {
        self.handle = handle
        self.number = number
    }
}
