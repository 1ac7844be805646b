import CWorkerProtocol
import Journal
import Synchronization
import WorkerProtocol

/// One event to be made.
struct SampleEvent {
    var subject = "s"
    var type = "t"
    var id = ""
    var payload = "payload"
    var sequence: UInt64 = 0
    var external: (number: UInt64, size: UInt32)?
}

/// A buffer with these events.
func records(_ stream: StreamID, _ events: [SampleEvent], hash: SubjectHash, atMillis: Int64 = 1_700_000_000_000) -> RecordBuffer {
    let buffer = RecordBuffer(capacity: 1024, count: events.count)
    for event in events { append(event, to: buffer, stream: stream, hash: hash, atMillis: atMillis) }
    return buffer
}

private func append(_ event: SampleEvent, to buffer: RecordBuffer, stream: StreamID, hash: SubjectHash, atMillis: Int64) {
    let subject = Array(event.subject.utf8)
    let type = Array(event.type.utf8)
    let id = Array(event.id.utf8)
    var payload = Array(event.payload.utf8)
    if let external = event.external { payload = withUnsafeBytes(of: external.number.littleEndian) { Array($0) } }
    subject.withUnsafeBytes { subject in
        type.withUnsafeBytes { type in
            id.withUnsafeBytes { id in
                payload.withUnsafeBytes { payload in
                    buffer.append(
                        domain: stream.rawValue, subjectHash: hash(subject), subject: subject, type: type, id: id, payload: payload,
                        externalSize: event.external?.size, sequence: event.sequence, timeMicros: atMillis * 1000,
                        acceptedMicros: atMillis * 1000)
                }
            }
        }
    }
}

/// Holds what a completion said until somebody asks.
final class Answer<Value: Sendable>: Sendable {
    private let value = Mutex<Result<Value, JournalError>?>(nil)
    private let (stream, continuation) = AsyncStream<Void>.makeStream()

    /// Takes the result.
    func set(_ result: Result<Value, JournalError>) {
        value.withLock { $0 = result }
        continuation.finish()
    }

    /// The result, if there is one by now.
    var now: Result<Value, JournalError>? { value.withLock { $0 } }

    /// Waits for the result.
    func get() async throws -> Value {
        for await _ in stream {}
        guard let result = now else { throw JournalError(.failed, "no answer") }
        return try result.get()
    }
}

extension Journal {
    /// Appends and waits for the answer.
    func append(
        _ stream: StreamID, _ events: [SampleEvent], atomic: Bool = true, relaxed: Bool = false, source: String? = nil,
        changes: [SourceChange] = []
    ) async throws -> AppendReceipt {
        try await start(stream, events, atomic: atomic, relaxed: relaxed, source: source, changes: changes).get()
    }

    /// Appends; the answer comes later.
    func start(
        _ stream: StreamID, _ events: [SampleEvent], atomic: Bool = true, relaxed: Bool = false, source: String? = nil,
        changes: [SourceChange] = []
    ) -> Answer<AppendReceipt> {
        let answer = Answer<AppendReceipt>()
        append(
            AppendRequest(
                stream: stream, records: records(stream, events, hash: subjectHash), isAtomic: atomic, isRelaxed: relaxed, source: source,
                sourceChanges: changes, completion: { answer.set($0) }))
        return answer
    }

    /// Commits and waits for the answer.
    func commit(_ change: (inout JournalCommit) -> Void) async throws {
        var commit = JournalCommit()
        change(&commit)
        let answer = Answer<Void>()
        self.commit(commit) { answer.set($0) }
        try await answer.get()
    }

    /// All events from `position` on, as (position, sequence, subject, payload).
    func events(_ stream: StreamID, from position: UInt64 = 0) throws -> [ReadEvent] {
        var found: [ReadEvent] = []
        var at = max(position, start(of: stream))
        while at < end(of: stream) {
            let batches = try read(stream, from: at, maximumBytes: 1 << 16)
            guard let last = batches.last else { break }
            for batch in batches {
                for index in 0..<batch.count where batch.base + UInt64(index) >= at {
                    let view = batch.records.view(index)
                    found.append(
                        ReadEvent(
                            position: batch.base + UInt64(index), offset: view.header.pointee.offset,
                            sequence: view.header.pointee.sequence,
                            subject: view.subjectText, payload: String(decoding: view.payloadSection, as: UTF8.self)))
                }
            }
            at = last.end
        }
        return found
    }
}

/// An event as read back.
struct ReadEvent: Equatable {
    var position: UInt64
    var offset: UInt64
    var sequence: UInt64
    var subject: String
    var payload: String
}
