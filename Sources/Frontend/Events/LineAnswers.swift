import HTTPTypes
import Journal

/// Writes the answers to NDJSON lines, in order: one for each line that is not empty.
///
///     {"offset": 17}    {"offset": 3, "duplicate": true}    {"error": {PROBLEM, "line": 5}}
///
/// When the journal refuses a run, its first event is answered with the reason and nothing is read any more. Runs that were handed over
/// before that was known may still have been accepted; then the lines between are answered as refused too, so that every accepted line has
/// its answer at its place. So: a line without an answer was not accepted.
struct LineAnswers {
    /// Why the request ends early; nil: it does not.
    private(set) var refusal: Problem?
    private(set) var text = JSONText(capacity: 4096)
    /// Lines that are refused but not answered, since nothing after them was accepted so far.
    private var heldBack: [(group: LineGroup, fromPlace: Int, problem: Problem)] = []

    /// Hands out what was written and begins anew.
    mutating func take() -> [UInt8] {
        defer { text = JSONText(capacity: 4096) }
        return text.bytes
    }

    /// Writes what is known of a group. Groups come in their order.
    mutating func add(_ group: LineGroup, _ outcome: Result<AppendReceipt, JournalError>) {
        switch outcome {
        case .success(let receipt):
            if receipt.count > 0 { release() }
            if receipt.count == 0, refusal != nil {
                // Only wrong lines: what ended the request came before them.
                return
            }
            write(group, receipt)
        case .failure(let error):
            let problem = Problem(error)
            var from = 0
            if refusal == nil {
                refusal = problem
                from = writeUntilFirstEvent(group, problem)
            }
            heldBack.append((group, from, problem))
        }
    }

    private mutating func write(_ group: LineGroup, _ receipt: AppendReceipt) {
        var fault = 0
        var event = 0
        for place in 0..<group.lineCount {
            if fault < group.faults.count, group.faults[fault].place == place {
                error(group.faults[fault].problem, group.faults[fault].problem.line ?? group.number(ofPlace: place))
                fault += 1
                continue
            }
            if receipt.entries.isEmpty {
                offset(receipt.firstOffset + UInt64(event))
            } else if event < receipt.entries.count {
                switch receipt.entries[event] {
                case .accepted(let at): offset(at)
                case .duplicate(let at): offset(at, isDuplicate: true)
                case .outOfOrder(let last):
                    let detail = "the subject's last sequence is \(last); a new event's has to be above it"
                    error(Problem(.conflict, "out-of-order", "Out of order", detail, field: "sequence"), group.number(ofPlace: place))
                }
            }
            event += 1
        }
    }

    /// Answers the wrong lines at the group's start and its first event; returns the place after it.
    private mutating func writeUntilFirstEvent(_ group: LineGroup, _ problem: Problem) -> Int {
        for (index, fault) in group.faults.enumerated() {
            guard fault.place == index else {
                error(problem, group.number(ofPlace: index))
                return index + 1
            }
            error(fault.problem, fault.problem.line ?? group.number(ofPlace: index))
        }
        error(problem, group.number(ofPlace: group.faults.count))
        return group.faults.count + 1
    }

    private mutating func release() {
        for (group, from, problem) in heldBack {
            for place in from..<max(from, group.lineCount) {
                let own = group.faults.first { $0.place == place }?.problem
                error(own ?? problem, group.number(ofPlace: place))
            }
        }
        heldBack = []
    }

    private mutating func offset(_ offset: UInt64, isDuplicate: Bool = false) {
        text.raw("{\"offset\":")
        text.number(offset)
        if isDuplicate { text.raw(",\"duplicate\":true}\n") } else { text.raw("}\n") }
    }

    private mutating func error(_ problem: Problem, _ line: Int) {
        var problem = problem
        problem.line = line
        text.raw("{\"error\":")
        problem.write(to: &text)
        text.raw("}\n")
    }
}
