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

    /// What is known of one event of one lambda.
    private struct Event {
        /// Runs that began, over all lives of the host.
        var runs = 0
        /// Runs that failed by their own doing: the attempt number must not be above.
        var charges = 0
        /// The life of the host in which it last began.
        var life = -1
    }

    /// Lambdas without order.
    var unordered: Set<String> = []
    /// Runs that are going on, by lambda and subject; without order by event.
    private(set) var running: [Key: EventKey] = [:]
    /// Largest offset that has begun in this life of the host, runs again not counted.
    private var firstRuns: [Key: UInt64] = [:]
    private(set) var succeeded: Set<EventKey> = []
    private var events: [EventKey: Event] = [:]
    /// Events whose last run failed and that have not ended since: nothing later of their subject may begin.
    private var failing: [Key: Set<UInt64>] = [:]
    private var life = 0
    /// Events that have ended a worker by themselves: their handler crashed or hung, or nothing else was at the worker.
    private(set) var killers: Set<EventKey> = []
    /// How often an event has ended a worker that hid it, since the host started or somebody gave it another chance.
    private var hidden: [EventKey: Int] = [:]

    private func key(_ lambda: String, _ run: SimulatedRun) -> Key {
        Key(lambda: lambda, domain: run.domain, subject: unordered.contains(lambda) ? "\(run.offset)" : run.subject)
    }

    func hasRun(_ event: EventKey) -> Bool { events[event] != nil }

    func runs(_ event: EventKey) -> Int { events[event]?.runs ?? 0 }

    mutating func begin(lambda: String, run: SimulatedRun, attemptsMax: Int) throws(Violation) {
        let key = key(lambda, run)
        let eventKey = EventKey(lambda: lambda, domain: run.domain, offset: run.offset)
        if let other = running[key] {
            throw Violation(description: "\(lambda) runs offset \(run.offset) of \(run.subject) while offset \(other.offset) still runs")
        }
        running[key] = eventKey
        var event = events[eventKey] ?? Event()
        event.runs += 1
        let isFirstInLife = event.life != life
        event.life = life
        let charges = event.charges
        events[eventKey] = event
        if run.attempt == 0 || Int(run.attempt) - 1 > charges {
            throw Violation(
                description:
                    "\(lambda) runs offset \(run.offset) of \(run.subject) as attempt \(run.attempt) after \(charges) failures of its own")
        }
        if Int(run.attempt) > attemptsMax {
            throw Violation(
                description: "\(lambda) runs offset \(run.offset) of \(run.subject) as attempt \(run.attempt) of \(attemptsMax)")
        }
        guard !run.isMarked, !unordered.contains(lambda) else { return }
        if let before = failing[key]?.filter({ $0 < run.offset }).min() {
            throw Violation(description: "\(lambda) runs offset \(run.offset) of \(run.subject) before failed offset \(before) has ended")
        }
        if isFirstInLife {
            if let last = firstRuns[key], last > run.offset {
                throw Violation(
                    description: "\(lambda) runs offset \(run.offset) of \(run.subject) for the first time after offset \(last)")
            }
            firstRuns[key] = run.offset
        }
    }

    /// A run has ended; `success` nil: it was cut off.
    mutating func end(lambda: String, run: SimulatedRun, success: Bool?) {
        let key = key(lambda, run)
        let event = EventKey(lambda: lambda, domain: run.domain, offset: run.offset)
        if running[key] == event { running[key] = nil }
        guard let success else { return }
        if success {
            succeeded.insert(event)
            failing[key]?.remove(run.offset)
        } else {
            if !run.isMarked { failing[key, default: []].insert(run.offset) }
            charge(lambda: lambda, run: run)
        }
    }

    /// A run has failed by its own doing.
    mutating func charge(lambda: String, run: SimulatedRun) {
        events[EventKey(lambda: lambda, domain: run.domain, offset: run.offset), default: Event()].charges += 1
    }

    /// A run has ended its worker.
    mutating func killed(lambda: String, run: SimulatedRun, isHidden: Bool) throws(Violation) {
        let event = EventKey(lambda: lambda, domain: run.domain, offset: run.offset)
        killers.insert(event)
        guard isHidden else { return }
        hidden[event, default: 0] += 1
        if hidden[event]! > 12 {
            throw Violation(description: "\(lambda) lets offset \(run.offset) of \(run.subject) kill one worker after the other")
        }
    }

    /// Events get more attempts than by themselves.
    mutating func chancesGiven() { hidden = [:] }

    /// The event was given up on.
    mutating func ended(lambda: String, domain: UInt32, subject: String, offset: UInt64) {
        failing[Key(lambda: lambda, domain: domain, subject: subject)]?.remove(offset)
    }

    /// The host has died and all its workers with it. What failed last is known only as far as it was written: first runs may repeat.
    mutating func hostDied() {
        running = [:]
        firstRuns = [:]
        failing = [:]
        hidden = [:]
        life += 1
    }
}
