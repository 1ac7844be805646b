import Journal
import Synchronization
import WorkerProtocol

/// A run of NDJSON lines that went to the journal together, and what has become of each.
final class LineGroup: Sendable {
    /// Number of the first line, from 1. Empty lines have numbers but no answers.
    let firstLine: Int
    /// Lines that need an answer.
    let lineCount: Int
    /// Those of them that are wrong: place among the lines that need an answer, and the problem. Ascending.
    let faults: [(place: Int, problem: Problem)]
    /// Empty lines: the place of the line before each that needs an answer. Ascending.
    let gaps: [Int]
    /// Bytes of the records that were handed over.
    let bytes: Int

    init(firstLine: Int, lineCount: Int, faults: [(place: Int, problem: Problem)], gaps: [Int], bytes: Int) {
        self.firstLine = firstLine
        self.lineCount = lineCount
        self.faults = faults
        self.gaps = gaps
        self.bytes = bytes
    }

    /// The line's number in the request, from 1.
    func number(ofPlace place: Int) -> Int { firstLine + place + gaps.count { $0 < place } }

    /// Lines that the journal answers.
    var eventCount: Int { lineCount - faults.count }
}

/// Between the task that reads NDJSON lines and the one that writes their answers: keeps the order of groups, and keeps the reader from
/// running away.
///
/// Limits: what waits for its commit (bytes), and what waits for the client to read its answers (lines; a group that is committed takes
/// some 100 bytes). The second is large, so that a client that sends everything before it reads anything gets through with a million lines.
final class AnswerQueue: Sendable {
    static let uncommittedBytesMax = 16 << 20
    static let unansweredLinesMax = 2_000_000

    typealias Outcome = Result<AppendReceipt, JournalError>

    private struct Slot {
        var group: LineGroup
        var outcome: Outcome?
    }

    private struct State {
        var slots: [Slot] = []
        /// Slots before this index have been taken.
        var head = 0
        /// Number of the slot at index 0.
        var base = 0
        var uncommittedBytes = 0
        var unansweredLines = 0
        var isFinished = false
        var isAbandoned = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?

        var hasRoom: Bool { isAbandoned || (uncommittedBytes < uncommittedBytesMax && unansweredLines < unansweredLinesMax) }
        var isWriterReady: Bool { head < slots.count ? slots[head].outcome != nil : isFinished }

        mutating func wakeReader() -> CheckedContinuation<Void, Never>? {
            guard hasRoom, let waiting = reader else { return nil }
            reader = nil
            return waiting
        }

        mutating func wakeWriter() -> CheckedContinuation<Void, Never>? {
            guard isWriterReady, let waiting = writer else { return nil }
            writer = nil
            return waiting
        }
    }

    private let state = Mutex(State())

    init() {}

    /// Waits until there is room for another group. Called by the reader only.
    func room() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.hasRoom { return true }
                state.reader = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    /// Adds a group; returns its number for `settle`, or nil when no more are taken.
    func push(_ group: LineGroup) -> Int? {
        state.withLock { state in
            if state.isFinished { return nil }
            state.slots.append(Slot(group: group))
            state.uncommittedBytes += group.bytes
            state.unansweredLines += group.lineCount
            return state.base + state.slots.count - 1
        }
    }

    /// Says what became of a group. Once for each. Any thread.
    func settle(_ number: Int, _ outcome: Outcome) {
        let (reader, writer) = state.withLock { state in
            let index = number - state.base
            state.slots[index].outcome = outcome
            state.uncommittedBytes -= state.slots[index].group.bytes
            return (state.wakeReader(), state.wakeWriter())
        }
        reader?.resume()
        writer?.resume()
    }

    /// No group follows: `push` takes none any more, and `next` gives nil when all are taken. Any thread, more than once.
    func finish() {
        let writer = state.withLock { state in
            state.isFinished = true
            return state.wakeWriter()
        }
        writer?.resume()
    }

    /// Nobody takes answers any more: the reader is never held up again.
    func abandon() {
        let reader = state.withLock { state in
            state.isAbandoned = true
            return state.wakeReader()
        }
        reader?.resume()
    }

    /// The groups at the front that are settled, at least one; nil when all have been taken and none follows. Called by the writer only.
    func next() async -> [(group: LineGroup, outcome: Outcome)]? {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.isWriterReady { return true }
                state.writer = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        let (taken, reader) = state.withLock { state in
            var taken: [(group: LineGroup, outcome: Outcome)] = []
            while state.head < state.slots.count, taken.count < 256, let outcome = state.slots[state.head].outcome {
                taken.append((state.slots[state.head].group, outcome))
                state.unansweredLines -= state.slots[state.head].group.lineCount
                state.head += 1
            }
            if state.head > 512 || state.head == state.slots.count {
                state.slots.removeFirst(state.head)
                state.base += state.head
                state.head = 0
            }
            return (taken, state.wakeReader())
        }
        reader?.resume()
        return taken.isEmpty ? nil : taken
    }
}
