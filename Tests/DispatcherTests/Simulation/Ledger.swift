/// What really happened, as the simulated handlers saw it, and what the promises say about it.
struct Ledger {
    /// A broken promise.
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    struct Key: Hashable {
        var lambda: String
        var domain: UInt32
        var subject: String
    }

    struct EventKey: Hashable {
        var lambda: String
        var domain: UInt32
        var offset: UInt64
    }

    /// Runs that are going on, by lambda and subject.
    private(set) var running: [Key: EventKey] = [:]
    /// Largest offset that has begun for the first time, in order runs.
    private var firstRuns: [Key: UInt64] = [:]
    /// The last thing each event's run said: true for success.
    private(set) var lastResult: [EventKey: Bool] = [:]
    private(set) var succeeded: Set<EventKey> = []
    private(set) var everRun: Set<EventKey> = []
    /// Runs by event, over all lives of the host.
    private(set) var runs: [EventKey: Int] = [:]
    /// Events whose last run failed and that have not ended since: nothing later of their subject may begin.
    private var failing: [Key: Set<UInt64>] = [:]

    mutating func begin(lambda: String, run: SimulatedRun) throws(Violation) {
        let key = Key(lambda: lambda, domain: run.domain, subject: run.subject)
        let event = EventKey(lambda: lambda, domain: run.domain, offset: run.offset)
        if let other = running[key] {
            throw Violation(description: "\(lambda) runs offset \(run.offset) of \(run.subject) while offset \(other.offset) still runs")
        }
        running[key] = event
        runs[event, default: 0] += 1
        everRun.insert(event)
        guard !run.isMarked else { return }
        if let before = failing[key]?.filter({ $0 < run.offset }).min() {
            throw Violation(description: "\(lambda) runs offset \(run.offset) of \(run.subject) before failed offset \(before) has ended")
        }
        if runs[event] == 1 {
            if let last = firstRuns[key], last > run.offset {
                throw Violation(description: "\(lambda) runs offset \(run.offset) of \(run.subject) for the first time after offset \(last)")
            }
            firstRuns[key] = run.offset
        }
    }

    mutating func end(lambda: String, run: SimulatedRun, success: Bool?) {
        let key = Key(lambda: lambda, domain: run.domain, subject: run.subject)
        let event = EventKey(lambda: lambda, domain: run.domain, offset: run.offset)
        if running[key] == event { running[key] = nil }
        guard let success else { return }
        lastResult[event] = success
        if success {
            succeeded.insert(event)
            failing[key]?.remove(run.offset)
        } else {
            failing[key, default: []].insert(run.offset)
        }
    }

    /// The event was given up on.
    mutating func dead(lambda: String, domain: UInt32, subject: String, offset: UInt64) {
        failing[Key(lambda: lambda, domain: domain, subject: subject)]?.remove(offset)
    }

    /// The host has died and all its workers with it.
    mutating func hostDied() { running = [:] }

    mutating func workerDied(lambda: String, runs: [SimulatedRun]) {
        for run in runs { end(lambda: lambda, run: run, success: nil) }
    }
}
