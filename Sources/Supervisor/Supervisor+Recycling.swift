internal import Logging
internal import Routing
internal import WorkerProtocol

// Replacing workers that are well (`recycle:`): before a slow leak, or age, does harm.
//
// A worker that is due no longer counts, so `maintain` starts another one beside it. When that is ready, the engine is told to let the old one go: what it
// has not begun goes to others, what it has begun ends, and its verdict is `reload`. If no other gets ready, the old one serves on.
//
// Bounded: every worker is looked at about once a second, a few in each step; of one lambda at most one is being replaced.

extension Supervisor {
    /// How often all workers are looked at.
    static let recyclingMillis: Int64 = 1000
    /// How often some of them are at most.
    static let recyclingStepMillis: Int64 = 25

    /// How long after a worker was recycled by memory the next one of its lambda is, unless it would reach the limit soon.
    static let memoryPauseMillis: Int64 = 60_000
    /// Soon: at the rate at which it has grown since the last look.
    static let memoryForesightMillis: Int64 = 15_000

    /// Looks at some workers, and marks those that are due.
    func checkRecycling(nowMillis: Int64) {
        guard !handles.isEmpty, !isShuttingDown, !startsNothing else { return }
        guard nowMillis >= recyclingNextMillis else { return wake(at: recyclingNextMillis) }
        // Few workers: all at once, and then not for a second.
        let steps = min(Int(Self.recyclingMillis / Self.recyclingStepMillis), (handles.count + 3) / 4)
        recyclingNextMillis = nowMillis + Self.recyclingMillis / Int64(steps)
        wake(at: recyclingNextMillis)
        var left = (handles.count + steps - 1) / steps
        if steps == 1 { recyclingCursor = 0 }
        for id in handles.keys.filter({ $0 > recyclingCursor }).sorted().prefix(left) {
            recyclingCursor = id
            left -= 1
            if let worker = handles[id] { checkRecycling(worker, nowMillis: nowMillis) }
        }
        // The round is over; the next step begins anew.
        if left > 0 { recyclingCursor = 0 }
    }

    private func checkRecycling(_ worker: WorkerHandle, nowMillis: Int64) {
        let target = worker.target
        guard worker.state == .ready, worker.recycling == nil, target.isLive, target.failure == nil, target.policy.breaker == .closed,
            !target.workers.contains(where: { $0.recycling != nil }), let pool = pools[worker.lambda], pool.current === target,
            pool.candidate == nil, let reason = reasonToRecycle(worker, nowMillis: nowMillis)
        else { return }
        worker.recycling = reason
        isDirty = true
        logger.info("worker \(worker.pid) of \(worker.lambda) is replaced by a fresh one: \(reason.detail)")
    }

    private func reasonToRecycle(_ worker: WorkerHandle, nowMillis: Int64) -> RecycleReason? {
        // The settings in force, which need not be those that it was made with.
        let route = worker.target.spec.route
        let recycle = route.recycle
        if let events = recycle.events, Int(worker.channel.claimed) >= events {
            return RecycleReason(kind: .events, detail: "it has had \(worker.channel.claimed) events, and `recycle.events` is \(events)")
        }
        let age = nowMillis - worker.startedMillis
        if let most = recycle.age, age >= most.wholeMillis {
            return RecycleReason(kind: .age, detail: "it is \(age / 1000) s old, and `recycle.age` is \(most.wholeMillis / 1000) s")
        }
        if let most = worker.keeper.key.cpuSeconds, worker.cpuNanos() >= Int64(most) * 500_000_000 {
            return RecycleReason(kind: .cpu, detail: "it has used half of the \(most) s of CPU time that it gets in its life")
        }
        guard let watermark = recycle.memoryBytes(under: route.limits.memoryBytes), let bytes = worker.limitedMemoryBytes(),
            isDueByMemory(worker, bytes: bytes, watermark: watermark, nowMillis: nowMillis)
        else { return nil }
        return RecycleReason(
            kind: .memory,
            detail: "it has \(bytes >> 20) of \(route.limits.memoryBytes >> 20) MiB, above the watermark of \(watermark >> 20) MiB")
    }

    private func isDueByMemory(_ worker: WorkerHandle, bytes: UInt64, watermark: UInt64, nowMillis: Int64) -> Bool {
        let before = worker.memoryLook
        let first = before?.firstBytes ?? bytes
        worker.memoryLook = MemoryLook(firstBytes: first, bytes: bytes, atMillis: nowMillis)
        guard let before else {
            if bytes >= watermark {
                logger.warning(
                    "a fresh worker of \(worker.lambda) has \(bytes >> 20) MiB, above the watermark of \(watermark >> 20) MiB: not recycled by memory; raise `memory` or `recycle.memory`"
                )
            }
            return false
        }
        // One that began above the watermark would not become smaller by being replaced.
        guard bytes >= watermark, first < watermark else { return false }
        // A lambda that needs so much all the time is replaced now and then; one that goes on growing, in time.
        let growth = Int64(clamping: bytes) - Int64(clamping: before.bytes)
        let room = Int64(clamping: worker.target.spec.route.limits.memoryBytes) - Int64(clamping: bytes)
        let reach = growth * Self.memoryForesightMillis / max(nowMillis - before.atMillis, 1)
        let target = worker.target
        if let last = target.memoryRecycledMillis, nowMillis - last < Self.memoryPauseMillis, reach < room { return false }
        target.memoryRecycledMillis = nowMillis
        return true
    }

    /// A worker of this target is ready: one that was to be replaced can go.
    func letGo(in target: PoolTarget) {
        guard target.isLive, let pool = pools[target.spec.lambda] else { return }
        for worker in target.workers where worker.recycling != nil && worker.state == .ready && !worker.surplusSaid {
            worker.surplusSaid = true
            pool.recycled[worker.recycling!.kind, default: 0] += 1
            tell(.workerSurplus(worker))
        }
    }
}
