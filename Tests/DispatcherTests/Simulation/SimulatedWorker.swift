@testable import Dispatcher

/// One run in a simulated worker's inbox.
struct SimulatedRun {
    var token: UInt64
    var lane: UInt32
    var epoch: UInt32
    var attempt: UInt32
    var event: UInt64
    var subject: String
    var domain: UInt32
    var offset: UInt64
    var isMarked: Bool
}

/// A worker that follows the channel's rules (claim, lanes and epochs) and a script. It lies only where the simulation makes it.
struct SimulatedWorker {
    var lambda: String
    var number: Int32
    /// Tells it from others that have had its number.
    var life: Int
    /// Of what it was sent, what it has not claimed.
    var inbox: [SimulatedRun] = []
    /// Claimed and not yet run; more than one with `handle_batch`.
    var batch: [SimulatedRun] = []
    /// Channel number of the first event of `inbox`.
    var claimedNumber: UInt32 = 0
    var blocked: Set<UInt64> = []
    var pending: [SimulatedRun] = []
    /// Hangs in this run until it is killed or cancelled.
    var hung: SimulatedRun?
    /// Since when.
    var hungMicros: UInt64 = 0
    /// Some runs that it has answered: it may say so again.
    var answered: [UInt64] = []
    /// It has said what cannot be true.
    var hasLied = false
    /// It has not said that it has begun what it runs.
    var isHiding = false
    /// What it runs, and nothing else, is why it will die.
    var isDyingOfIt = false

    /// Takes events from the inbox: one, or several at once.
    mutating func claim(_ count: Int) {
        let taken = min(count, inbox.count)
        batch.append(contentsOf: inbox.prefix(taken))
        inbox.removeFirst(taken)
        claimedNumber &+= UInt32(taken)
    }

    func isBlocked(_ run: SimulatedRun) -> Bool { blocked.contains(UInt64(run.lane) << 32 | UInt64(run.epoch)) }

    mutating func block(_ run: SimulatedRun) { blocked.insert(UInt64(run.lane) << 32 | UInt64(run.epoch)) }

    /// Gives back what it has not begun; returns how many.
    mutating func withdraw() -> Int {
        let count = inbox.count
        inbox = []
        return count
    }

    /// What it has begun and not ended.
    var open: [SimulatedRun] { pending + (hung.map { [$0] } ?? []) + batch }
}
