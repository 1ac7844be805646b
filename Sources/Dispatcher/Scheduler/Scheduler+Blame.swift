import Journal
import WorkerProtocol

// Which event a death is put down to (SEMANTICS §3.4, §3.5).
//
// A dead worker's claim word says what it had begun. That is a hint: the plugin may have moved the word. What is certain is what was in its
// hands, a few milliseconds of work (SchedulerLimits.queueAheadMicros). So the hint decides who runs *alone* next; an event is given up on for
// crashes only after a crash in which nothing else was at its worker, but for lambdas with `crashes: 1`.
//
// | at its death the worker said it had begun | then                                                                  |
// |--------------------------------------------|-----------------------------------------------------------------------|
// | one event                                  | it is charged with a crash; its next run is alone                     |
// | several                                    | each is suspect and runs alone; nobody is charged                     |
// | none, and it had several                   | the word does not hold: all are suspects                              |
// | none, and it had one                       | it is suspect; the second time it is charged                          |
//
// Suspects run one by one rather than by halves: what one worker has in hand takes it milliseconds, a death costs more than that.

extension Scheduler {
    /// The events that fail with a worker's death. Marks suspects.
    ///
    /// - Parameters:
    ///   - begun: what it has begun, as far as it has said.
    ///   - held: everything that was in its hands.
    mutating func blame(_ cause: DeathCause, begun: [Int32], held: [Int32], isOverCPU: Bool) -> [Int32] {
        switch cause {
        case .host: return []
        // A run that was known to take too long explains it.
        case .timeout: return begun.filter { items[Int($0)].isTimedOut }
        case .fault, .external: break
        }
        var named = begun
        if isOverCPU && cause == .fault {
            named = begun.filter { items[Int($0)].isOverCPU }
            // They have come to their end in the moment before the kill.
            if named.isEmpty { return [] }
        }
        if named.isEmpty { return blameHidden(cause, held: held) }
        if named.count == 1 || faults.contains(.blameInnocents) { return named }
        switch cause {
        case .external:
            // A single kill from outside is nobody's doing, and waiting for each other costs lambdas that return pending much. One that is met again
            // could be what brings the kills about.
            for place in named where externalKills(place) > 0 { items[Int(place)].isSuspect = true }
            return named
        default:
            for place in named { items[Int(place)].isSuspect = true }
            return []
        }
    }

    private mutating func blameHidden(_ cause: DeathCause, held: [Int32]) -> [Int32] {
        if faults.contains(.trustClaims) || held.isEmpty { return [] }
        if held.count == 1 {
            let place = Int(held[0])
            if items[place].hasHidden { return held }
            items[place].hasHidden = true
            items[place].isSuspect = true
            return []
        }
        if cause == .external, !held.contains(where: { items[Int($0)].hasHidden }) {
            for place in held { items[Int(place)].hasHidden = true }
            return []
        }
        for place in held { items[Int(place)].isSuspect = true }
        return []
    }

    private func externalKills(_ place: Int32) -> UInt32 {
        let item = items[Int(place)]
        guard item.row >= 0, let row = rows[Int(item.row)], UInt32(item.index) == row.done else { return 0 }
        return row.history.externalKills
    }

    /// Writes down that the first event of a lane is suspect, so that it runs alone also when the host dies before it has.
    mutating func keepSuspicion(_ place: Int32) {
        let item = items[Int(place)]
        guard lanes[Int(item.lane)].head == place else { return }
        var history = FailureHistory()
        if item.row >= 0, let row = rows[Int(item.row)] { history = row.history }
        if history.isSuspect { return }
        history.isSuspect = true
        keepHead(place, history: history)
    }

    /// The event that the death of a worker will be put down to, as far as that can be said now; of several the first. `open`: how many had begun.
    func likelyCause(of worker: Int32) -> (record: RecordView, startedMicros: UInt64, open: Int)? {
        let slot = Int(worker)
        guard workers[slot].isLive else { return nil }
        var named = workers[slot].open.filter { items[Int($0)].isOverCPU || items[Int($0)].isTimedOut }
        if named.isEmpty { named = workers[slot].open }
        let place: Int32
        if let first = named.min(by: { items[Int($0)].token < items[Int($1)].token }) {
            place = first
        } else if workers[slot].inFlight == 1 {
            place = workers[slot].queue[Int(workers[slot].claimedNumber) & (Self.slotCount - 1)]
        } else {
            return nil
        }
        let item = items[Int(place)]
        return (record(item), item.openAt < 0 ? now : item.startedMicros, workers[slot].open.count)
    }

    // MARK: CPU time

    /// What the engine has to know to watch a worker's CPU time: how many runs are open, and a number that changes when an event leaves the worker.
    func progress(of worker: Int32) -> (open: Int, leaves: UInt64) {
        workers[Int(worker)].isLive ? (workers[Int(worker)].open.count, workers[Int(worker)].leaves) : (0, 0)
    }

    /// The open runs of a worker use up more CPU time than they may; it is being killed. Its death (cause `fault`) is put down to those that
    /// are open now, not to one that it begins in the meantime.
    public mutating func overCPU(worker: Int32) {
        guard workers[Int(worker)].isLive else { return }
        workers[Int(worker)].isOverCPU = true
        for place in workers[Int(worker)].open { items[Int(place)].isOverCPU = true }
    }
}
