/// What the fixture lambda `record` has written down, in the order in which it happened.
struct RunRecord {
    /// One line.
    struct Line {
        /// `B` before the work, `E` after it.
        var isBegin: Bool
        var subject: String
        var sequence: UInt64
        var attempt: Int
        var pid: Int
        /// CAPELET_EVENT_ bits.
        var flags: Int
        var version: String
    }

    struct Event: Hashable {
        var subject: String
        var sequence: UInt64
    }

    var lines: [Line] = []
    /// Lines that are not whole.
    var torn = 0

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 7, let sequence = UInt64(words[2]), let attempt = Int(words[3]), let pid = Int(words[4]),
                let flags = Int(words[5])
            else {
                torn += 1
                continue
            }
            lines.append(
                Line(
                    isBegin: words[0] == "B", subject: String(words[1]), sequence: sequence, attempt: attempt, pid: pid, flags: flags,
                    version: String(words[6])))
        }
    }

    /// Events that were worked on to the end.
    var finished: Set<Event> { Set(lines.lazy.filter { !$0.isBegin }.map { Event(subject: $0.subject, sequence: $0.sequence) }) }

    /// Runs that began, for each event.
    var runs: [Event: Int] {
        lines.reduce(into: [:]) { if $1.isBegin { $0[Event(subject: $1.subject, sequence: $1.sequence), default: 0] += 1 } }
    }

    /// First runs that came after the first run of a later event of their subject (SEMANTICS §2.2).
    var inversions: [String] {
        var seen: Set<Event> = []
        var last: [String: UInt64] = [:]
        var wrong: [String] = []
        for line in lines where line.isBegin && line.flags == 0 {
            guard seen.insert(Event(subject: line.subject, sequence: line.sequence)).inserted else { continue }
            if let before = last[line.subject], before > line.sequence { wrong.append("\(line.subject): \(line.sequence) after \(before)") }
            last[line.subject] = max(last[line.subject] ?? 0, line.sequence)
        }
        return wrong
    }

    /// Runs of one subject that went on at the same time (SEMANTICS §2.1). A run without an end was cut off by a death.
    var overlaps: [String] {
        var open: [String: [(pid: Int, sequence: UInt64)]] = [:]
        var wrong: [String] = []
        for line in lines {
            if line.isBegin {
                open[line.subject, default: []].append((line.pid, line.sequence))
                continue
            }
            guard let all = open[line.subject], let place = all.lastIndex(where: { $0.pid == line.pid && $0.sequence == line.sequence })
            else {
                wrong.append("\(line.subject): \(line.sequence) ended without having begun")
                continue
            }
            for other in all[(place + 1)...] { wrong.append("\(line.subject): \(other.sequence) began during \(line.sequence)") }
            // What began before and has not ended never will.
            open[line.subject] = []
        }
        return wrong
    }

    /// How often the plugin's version changed from one run of a subject to its next, at most over all subjects.
    var versionChanges: Int {
        var last: [String: String] = [:]
        var count: [String: Int] = [:]
        for line in lines where line.isBegin {
            if let before = last[line.subject], before != line.version { count[line.subject, default: 0] += 1 }
            last[line.subject] = line.version
        }
        return count.values.max() ?? 0
    }
}
