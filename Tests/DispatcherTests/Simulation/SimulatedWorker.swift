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
    /// Everything it was ever sent and has not given back; the first `claimed` are begun.
    var inbox: [SimulatedRun] = []
    var claimed = 0
    /// Channel number of `inbox[0]`.
    var base: UInt32 = 0
    var blocked: Set<UInt64> = []
    var pending: [SimulatedRun] = []
    /// Hangs in this run until it is killed or cancelled.
    var hung: SimulatedRun?
    var isDead = false
    var isTimedOut = false

    var claimedNumber: UInt32 { base &+ UInt32(claimed) }

    /// The next run to begin, after answering those that must be skipped.
    mutating func claim() -> SimulatedRun? {
        guard hung == nil, claimed < inbox.count else { return nil }
        claimed += 1
        return inbox[claimed - 1]
    }

    func isBlocked(_ run: SimulatedRun) -> Bool { blocked.contains(UInt64(run.lane) << 32 | UInt64(run.epoch)) }

    mutating func block(_ run: SimulatedRun) { blocked.insert(UInt64(run.lane) << 32 | UInt64(run.epoch)) }

    /// Forgets what is answered and begun, so that the inbox stays short.
    mutating func compact() {
        inbox.removeFirst(claimed)
        base &+= UInt32(claimed)
        claimed = 0
    }

    /// Gives back what it has not begun; returns how many.
    mutating func withdraw() -> Int {
        let count = inbox.count - claimed
        inbox.removeLast(count)
        return count
    }
}
