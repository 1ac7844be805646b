import Routing

@testable import Dispatcher

/// What a simulated handler does with one run of one event: decided by the seed, the lambda, the event and the number of the run.
enum ScriptedRun: Equatable {
    case success
    case retry
    case fatal
    case crash
    case hang
    case pendingSuccess
    case pendingRetry
}

/// The plan of one simulation: what handlers do.
struct Script {
    let seed: UInt64
    /// In per cent of events.
    let failing: UInt64
    let crashing: UInt64
    let hanging: UInt64
    let pending: UInt64
    let poisonous: UInt64
    /// In per cent of claims.
    let batching: UInt64
    /// In per mille of worker steps.
    let lying: UInt64
    /// What a worker that crashes says of what it had begun.
    enum Lie { case none, nothing, everything }

    let lie: Lie
    /// In per cent of runs that have an event before them in the inbox that will kill the worker: it dies already now.
    let dyingEarly: UInt64
    /// Whether plugins lie about their crashes; then there are more of them.
    let isTreacherous: Bool
    /// In the drain phase every run succeeds.
    var isCalm = false
    /// What every lambda depends on is gone: every run fails.
    var isOutage = false

    init(seed: UInt64) {
        self.seed = seed
        var random = SplitMix(state: seed ^ 0xabcd)
        failing = random.next(upTo: 25)
        crashing = random.next(upTo: 4)
        hanging = random.next(upTo: 2)
        pending = random.next(upTo: 3) == 0 ? random.next(upTo: 40) : 0
        poisonous = random.next(upTo: 3)
        batching = random.next(upTo: 2) == 0 ? random.next(upTo: 60) : 0
        lying = random.next(upTo: 3) == 0 ? random.next(upTo: 8) : 0
        lie = [.none, .nothing, .everything, .none][Int(random.next(upTo: 3))]
        dyingEarly = random.next(upTo: 3) == 0 ? 40 + random.next(upTo: 60) : 0
        isTreacherous = lie != .none || dyingEarly > 0
    }

    func run(lambda: String, event: UInt64, attempt: Int) -> ScriptedRun {
        if isCalm { return .success }
        var random = SplitMix(state: seed ^ event &* 0x1234_5678_9abc_def1 ^ UInt64(lambda.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) }))
        let fate = random.next(upTo: 99)
        let runs = Int(random.next(upTo: 3)) + 1
        let isPending = random.next(upTo: 99) < pending
        if isOutage { return isPending ? .pendingRetry : .retry }
        if fate < poisonous { return [.fatal, .crash, .retry][Int(event % 3)] }
        var edge = poisonous + (isTreacherous ? 5 : 0)
        if fate < edge { return .crash }
        edge += failing
        if fate < edge { return attempt <= runs ? (isPending ? .pendingRetry : .retry) : .success }
        edge += crashing
        if fate < edge { return attempt <= 1 ? .crash : .success }
        edge += hanging
        if fate < edge { return attempt <= 1 ? .hang : .success }
        return isPending ? .pendingSuccess : .success
    }

    /// How many events a success of this event emits, in lambda `a`.
    func emits(event: UInt64) -> Int { event % 5 == 0 ? Int(event % 3) : 0 }
}
