/// One lambda's workers: those of the spec that serves, and those of one that is to follow it.
final class Pool {
    let lambda: String
    /// Serves, or is the first to be started.
    var current: PoolTarget
    /// Is being started beside it.
    var candidate: PoolTarget?
    /// Why the last candidate was given up.
    var fault: String?
    var restarts: UInt64 = 0
    /// Workers that were recycled, by reason.
    var recycled: [RecycleReason.Kind: UInt64] = [:]

    init(_ target: PoolTarget) {
        lambda = target.spec.lambda
        current = target
    }
}

/// The workers of one spec.
final class PoolTarget {
    var spec: WorkerSpec
    var policy = RestartPolicy()
    /// Tries to load the generation that failed since the last success.
    var loadFailures = 0
    /// No new try to load before this time.
    var loadNotBeforeMillis: Int64 = .min
    /// Deaths at start with no worker ever ready.
    var startFailures = 0
    /// Given up, and why: nothing is started until the next `setPool` or `mend`.
    var failure: String?
    var wasEverReady = false
    /// When a worker was last recycled by memory.
    var memoryRecycledMillis: Int64?
    var isBroken = false
    /// Not replaced by another, not removed.
    var isLive = true
    /// Living workers that are not retiring, and dead ones whose death is not settled (`Supervisor.bury`).
    var workers: [WorkerHandle] = []

    init(spec: WorkerSpec) { self.spec = spec }

    /// Workers that count: those that are to be replaced do not.
    var lastingCount: Int { workers.count { $0.recycling == nil } }

    /// The lowest index that none of its workers has, those left out that are to be replaced.
    var freeIndex: Int {
        var index = 0
        while workers.contains(where: { $0.index == index && $0.recycling == nil }) { index += 1 }
        return index
    }

    /// Whether the lambda succeeded since this was last asked.
    func takeSuccess() -> Bool {
        var found = false
        for worker in workers where worker.hasSucceeded {
            found = true
            worker.hasSucceeded = false
        }
        return found
    }
}
