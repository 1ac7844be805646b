internal import Journal
internal import WorkerProtocol

/// The part of the journal that sources need. All functions may be called from any thread.
protocol SourceJournal: Sendable {
    var subjectHash: SubjectHash { get }
    func append(_ request: AppendRequest)
    func end(of stream: StreamID) -> UInt64
    func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError)
}

/// That part of a whole journal.
struct JournalPart: SourceJournal {
    let journal: any Journal

    var subjectHash: SubjectHash { journal.subjectHash }
    func append(_ request: AppendRequest) { journal.append(request) }
    func end(of stream: StreamID) -> UInt64 { journal.end(of: stream) }
    func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError) {
        try journal.sourceState(source, body)
    }
}
