import Routing
import Telemetry
import Glibc
import Hummingbird
import Journal
import NIOCore
import WorkerProtocol

/// Reads an NDJSON body: cuts it into lines, makes records of them, hands these to the journal in runs. Used by one task.
struct LineReader {
    let door: EventDoor
    let queue: AnswerQueue
    /// Why no more lines are taken; asked before each run.
    let stopReason: @Sendable () -> Problem?

    /// Lines in one run. A run also ends with each piece of the body, so that nothing waits for lines that come later.
    private static let runCountMax = 2_000
    private static let runBytesMax = 1 << 20

    private let scratch = ScratchMemory()
    /// An unfinished line.
    private var rest: [UInt8] = []
    /// Whether the line being read is too long and is passed over.
    private var isPassingOver = false
    private var lineNumber = 0
    private var acceptedMicros: Int64 = 0

    // The run being filled.
    private var records = RecordBuffer()
    private var faults: [(place: Int, problem: Problem)] = []
    private var gaps: [Int] = []
    private var lineCount = 0
    private var firstLine = 1

    init(door: EventDoor, queue: AnswerQueue, stopReason: @escaping @Sendable () -> Problem?) {
        self.door = door
        self.queue = queue
        self.stopReason = stopReason
    }

    /// Reads until the body ends; from a reason to stop on, the body is passed over, so that a client that sends before it reads gets its
    /// answer. Always finishes the queue.
    mutating func run(_ body: RequestBody) async {
        var isStopped = false
        do {
            for try await piece in body {
                if isStopped { continue }
                if stopReason() == nil { await take(piece) }
                if let problem = stopReason() {
                    isStopped = true
                    stop(problem)
                }
            }
            if !isStopped, !rest.isEmpty {
                let last = rest
                rest = []
                await take(ByteBuffer(bytes: last + [0x0A]))
            }
        } catch {
            // The connection broke off: what was handed over stays accepted, an unfinished line is not.
        }
        queue.finish()
    }

    /// Answers the first line that is not taken, and ends the queue.
    private mutating func stop(_ problem: Problem) {
        faults = []
        gaps = []
        lineCount = 0
        records = RecordBuffer()
        begin(line: lineNumber + 1)
        var problem = problem
        problem.line = lineNumber + 1
        faults = [(0, problem)]
        lineCount = 1
        submit()
        queue.finish()
    }

    private mutating func take(_ piece: ByteBuffer) async {
        acceptedMicros = EventEncoder.nowMicros()
        var at = piece.readerIndex
        while at < piece.writerIndex {
            await queue.room()
            let large = fill(piece, &at)
            if let large { await add(large) }
            if large == nil || lineCount >= Self.runCountMax || records.size >= Self.runBytesMax {
                submit()
                if stopReason() != nil { return }
            }
        }
        submit()
    }

    /// Reads lines until the piece ends, the run is full, or an event needs a file for its payload: that event is returned.
    private mutating func fill(_ piece: ByteBuffer, _ at: inout Int) -> LargeEvent? {
        piece.withUnsafeReadableBytes { bytes in
            let offset = piece.readerIndex
            while at < piece.writerIndex, lineCount < Self.runCountMax, records.size < Self.runBytesMax {
                let remaining = UnsafeRawBufferPointer(rebasing: bytes[(at - offset)...])
                guard let newline = memchr(remaining.baseAddress!, 0x0A, remaining.count) else {
                    keep(remaining)
                    at = piece.writerIndex
                    return nil
                }
                let count = UnsafeRawPointer(newline) - remaining.baseAddress!
                at += count + 1
                let line = UnsafeRawBufferPointer(rebasing: remaining[..<count])
                let large: LargeEvent?
                if isPassingOver {
                    isPassingOver = false
                    lineNumber += 1
                    large = nil
                } else if rest.isEmpty {
                    large = self.line(line)
                } else if rest.count + line.count > door.encoder.limits.textBytesMax {
                    rest = []
                    tooLong()
                    lineNumber += 1
                    large = nil
                } else {
                    rest.append(contentsOf: line)
                    let whole = rest
                    rest = []
                    large = whole.withUnsafeBytes { self.line($0) }
                }
                if let large { return large }
            }
            return nil
        }
    }

    private mutating func keep(_ part: UnsafeRawBufferPointer) {
        if isPassingOver { return }
        if rest.count + part.count > door.encoder.limits.textBytesMax {
            rest = []
            isPassingOver = true
            tooLong()
        } else {
            rest.append(contentsOf: part)
        }
    }

    /// Notes that the line being read is too long; it is counted when its end comes.
    private mutating func tooLong() {
        begin(line: lineNumber + 1)
        refuse(.tooLarge(nil, lineLimit), line: lineNumber + 1)
    }

    /// What is wrong with a line that is too long. The payload is what makes it so, in practice.
    private var lineLimit: String {
        let limits = door.encoder.limits
        return "the line has more than \(limits.textBytesMax) bytes; a payload has at most \(limits.payloadBytesMax) "
            + "(`payload:` of the domain)"
    }

    private mutating func begin(line: Int) {
        if lineCount == 0 { firstLine = line }
    }

    private mutating func refuse(_ fault: EventFault, line: Int) {
        faults.append((lineCount, Problem(fault, line: line)))
        lineCount += 1
        door.metrics.refused[.malformed]?.addShared()
    }

    private mutating func line(_ bytes: UnsafeRawBufferPointer) -> LargeEvent? {
        lineNumber += 1
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) {
            if lineCount > 0 { gaps.append(lineCount - 1) }
            return nil
        }
        begin(line: lineNumber)
        if bytes.count > door.encoder.limits.textBytesMax {
            refuse(.tooLarge(nil, lineLimit), line: lineNumber)
            return nil
        }
        scratch.reset()
        do throws(EventFault) {
            let parts = try EventLine.parse(bytes, limits: door.encoder.limits, scratch: scratch)
            try door.encoder.check(parts, names: EventLine.names)
            if parts.payload.count > EventLimits.inlinePayloadMax { return door.encoder.copy(parts) }
            door.encoder.append(parts, to: records, acceptedMicros: acceptedMicros)
            lineCount += 1
        } catch {
            refuse(error, line: lineNumber)
        }
        return nil
    }

    private mutating func add(_ event: LargeEvent) async {
        do throws(Problem) {
            let number = try await door.store(event.payload)
            door.encoder.append(event, storedAs: number, to: records, acceptedMicros: acceptedMicros)
        } catch {
            var problem = error
            problem.line = lineNumber
            faults.append((lineCount, problem))
        }
        lineCount += 1
    }

    /// Hands the run over and begins another.
    private mutating func submit() {
        guard lineCount > 0 else { return }
        let group = LineGroup(firstLine: firstLine, lineCount: lineCount, faults: faults, gaps: gaps, bytes: records.size)
        if let number = queue.push(group) {
            if records.count > 0 {
                let queue = queue
                door.append(records, isAtomic: false) { queue.settle(number, $0) }
            } else {
                queue.settle(number, .success(AppendReceipt(firstOffset: 0, count: 0)))
            }
        }
        records = RecordBuffer(capacity: max(4096, min(records.size, Self.runBytesMax)), count: group.eventCount)
        faults = []
        gaps = []
        lineCount = 0
    }
}
