/// Deliberate faults: each breaks one rule, and the simulator has to find it (Tests/DispatcherTests/MutationTests).
enum SchedulerFault: UInt8, CaseIterable, Sendable {
    /// Sends an event although one of its subject is at another worker.
    case ignoreLaneWorker
    /// Counts an event as done when it is sent.
    case doneWhenSent
    /// Does not write the row of an event that failed.
    case forgetDeferredRow
    /// Leaves a lane unblocked after a failure.
    case noBlockAfterFailure
    /// Takes a result of an earlier run for one of the present.
    case noFence
    /// Drops what was withdrawn.
    case forgetWithdrawn
    /// Drops the events that a dead worker had not begun.
    case forgetUnclaimed
    /// Commits emitted events of runs that failed.
    case emitOnFailure
    /// Loses emitted events.
    case forgetEmits
    /// Lets new events of a set-aside subject run before its rows.
    case overtakeRows
    /// Takes an interrupted event for done.
    case doneWhenInterrupted
    /// Does not hand on to the lambdas that come after.
    case forgetHandOn
    /// Hands on before the upstream has succeeded.
    case handOnFailures
    /// Puts rows of a loaded subject at the end of the wrong order.
    case reverseRows
    /// Never dead-letters: loops for ever.
    case neverExhaust
    /// Passes a dead letter without writing it.
    case forgetDeadLetter
    /// Sends a second event of a subject while the first is pending.
    case overlapPending
    /// Puts followers on disk while what comes before them is only in memory: after a crash they would come first.
    case spillPastMemory
    /// Counts the death of a worker against every event that was open in it.
    case blameInnocents
    /// Believes a dead worker that says it had begun nothing.
    case trustClaims
    /// Lets an event that has cost a worker its life run beside others again.
    case retryInCompany
    /// Believes a worker that answers what it has not taken.
    case trustLiars
    /// Loses what waits for a lambda when it is taken out of the routing file.
    case forgetRemoved
    /// Runs a join when all its upstreams have ended, whatever the end.
    case joinFailures
    /// Lets a parked subject run on.
    case ignoreParked
    /// Takes answers of a redriven event without removing its row.
    case keepFinishedRows
    /// Never ends a hold.
    case holdForever
    /// Gives a redriven letter to the subject without taking it off the dead letters.
    case keepRedrivenLetters
}

/// A set of deliberate faults.
struct SchedulerFaults: ExpressibleByArrayLiteral, Sendable {
    private var bits: UInt64 = 0

    init(arrayLiteral faults: SchedulerFault...) {
        for fault in faults { bits |= 1 << UInt64(fault.rawValue) }
    }

    @inline(__always) func contains(_ fault: SchedulerFault) -> Bool { bits & (1 << UInt64(fault.rawValue)) != 0 }
}
