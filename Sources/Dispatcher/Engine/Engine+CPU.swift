import Supervisor

// CPU time of single runs (ISOLATION §2). The kernel limits CPU time for a process's life, which would end workers that are old and well; so the host looks
// at the worker's clock, at every tick and only for lambdas with `cpu:`.
//
// What is measured is the worker's CPU time since it was first seen with its open runs, none of which has ended since. While one run is open that is its
// own, a tick too little at most. Several that are open at once (pending, batches) share the clock: together they may use as much as all of them may; more
// proves that at least one is over its limit.

extension Engine {
    /// Ends workers whose open runs use up too much CPU time.
    func checkCPU() {
        for worker in busy where worker.cpuNanosMax > 0 && !worker.isEnding {
            let (open, leaves) = scheduler.progress(of: worker.number)
            let used = open > 0 ? worker.handle.cpuNanos() : -1
            guard used >= 0 else {
                worker.cpuLook = nil
                continue
            }
            guard var look = worker.cpuLook, look.leaves == leaves else {
                worker.cpuLook = (used, leaves, open)
                continue
            }
            look.open = max(look.open, open)
            worker.cpuLook = look
            let (most, overflow) = worker.cpuNanosMax.multipliedReportingOverflow(by: Int64(look.open))
            guard !overflow, used - look.nanos > most else { continue }
            let who = look.open == 1 ? "one run" : "\(look.open) runs together"
            worker.isEnding = true
            scheduler.overCPU(worker: worker.number)
            supervisor.terminate(
                worker.handle, .cpuLimit, detail: "\((used - look.nanos) / 1_000_000) ms for \(who), of \(most / 1_000_000)",
                nowMillis: Poller.nowMillis)
        }
    }
}
