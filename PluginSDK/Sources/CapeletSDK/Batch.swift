internal import CCapelet

/// Several events, lent to the handler of a `BatchLambda`. Events of one subject appear in order.
public struct Batch: ~Copyable {
    private let events: UnsafePointer<UnsafePointer<capelet_event>?>
    private let statuses: UnsafeMutablePointer<Int32>
    private let results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>
    private let host: Host

    /// The number of events, at least 1.
    public let count: Int

    init(
        events: UnsafePointer<UnsafePointer<capelet_event>?>, count: Int, statuses: UnsafeMutablePointer<Int32>,
        results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>, host: Host
    ) {
        self.events = events
        self.count = count
        self.statuses = statuses
        self.results = results
        self.host = host
    }

    /// Calls `body` with each event, in order. What it returns or throws becomes that event's outcome. After an event that did not
    /// succeed, the later ones of its subject are left out: the host will run them again, in order, after it.
    public func forEach(_ body: (borrowing Event) throws -> Outcome) {
        var failed: [Int] = []
        for index in 0..<count {
            if !failed.isEmpty, failed.contains(where: { hasSameSubject($0, index) }) {
                setOutcome(.retry("an earlier event of this subject did not succeed"), at: index)
                continue
            }
            let outcome: Outcome
            do {
                outcome = try withEvent(at: index, body)
            } catch {
                outcome = Outcome(throwing: error)
            }
            setOutcome(outcome, at: index)
            if outcome != .success { failed.append(index) }
        }
    }

    /// Lends the event at `index`, 0 to `count` - 1.
    public func withEvent<Result, Failure: Error>(
        at index: Int, _ body: (borrowing Event) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(Event(viewing: pointer(at: index), host: host))
    }

    /// Sets the outcome of the event at `index`, 0 to `count` - 1.
    public func setOutcome(_ outcome: Outcome, at index: Int) {
        precondition(index >= 0 && index < count, "event \(index) of a batch of \(count)")
        statuses[index] = outcome.write(to: results[index])
    }

    /// Sets the outcome of every event, for instance when the transaction around them failed.
    public func setOutcomes(_ outcome: Outcome) {
        for index in 0..<count { setOutcome(outcome, at: index) }
    }

    private func pointer(at index: Int) -> UnsafePointer<capelet_event> {
        precondition(index >= 0 && index < count, "event \(index) of a batch of \(count)")
        guard let event = events[index] else { preconditionFailure("the host left out event \(index) of a batch") }
        return event
    }

    private func hasSameSubject(_ left: Int, _ right: Int) -> Bool {
        let left = pointer(at: left), right = pointer(at: right)
        return left.pointee.subject.buffer.elementsEqual(right.pointee.subject.buffer)
            && left.pointee.domain.buffer.elementsEqual(right.pointee.domain.buffer)
    }
}
