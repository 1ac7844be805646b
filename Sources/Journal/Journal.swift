public import WorkerProtocol

// The journal: the durable log of accepted events, how far each lambda has come, and what failed.
//
// A *stream* is a log: one for each domain, and one for each lambda with `after:` (its input: the events whose upstreams have all
// succeeded, with their outputs). Positions in a stream are contiguous. Every lambda consumes exactly one stream for each
// domain that it is in; the pair is a *route*. What a route has done is a watermark (everything below is done) and ranges above it.
//
// One writer thread takes appends and commits and writes them in groups, one transaction and one fsync each. A group is all or
// nothing. Reads happen on any thread, from a cache of recent batches or from disk.

/// The durable log and everything that has to be in one transaction with it. All functions may be called from any thread.
public protocol Journal: AnyObject, Sendable {
    /// The keyed hash under which subjects are known in this data directory.
    var subjectHash: SubjectHash { get }

    /// The stream with this name, made if there is none. Blocks for a commit when it has to be made.
    func stream(_ kind: StreamKind, named name: String) throws(JournalError) -> StreamID

    /// All streams there are.
    func streams() -> [StreamDescription]

    /// How a stream numbers, remembers and keeps its events. Takes effect with the next group.
    func configure(_ stream: StreamID, _ settings: StreamSettings)

    /// The route of `lambda` in `domain`, reading `stream`; made with `start` as its first position if there is none. Blocks for a commit then.
    func route(lambda: String, domain: String, stream: StreamID, start: RouteStart) throws(JournalError) -> RouteState

    /// All routes there are, live or not.
    func routes() throws(JournalError) -> [RouteState]

    /// Which routes hold the log. Others keep their progress but are passed by trimming.
    func setLive(_ routes: [RouteID])

    /// Drops a route that is not live, with its deferred events; its dead letters stay. Blocks for a commit.
    func forget(_ route: RouteID) throws(JournalError)

    /// Takes events in. The request's completion is called once, on the writer's thread, after the group is on disk (or failed).
    func append(_ request: AppendRequest)

    /// Writes progress, failures and effects in one transaction. `completion` is called once, on the writer's thread, in the order of the
    /// calls. A failure means that nothing of it was written and the same commit may be tried again.
    func commit(_ commit: JournalCommit, completion: @escaping @Sendable (Result<Void, JournalError>) -> Void)

    /// Called on the writer's thread after each group with the streams that grew. Must return at once.
    func setObserver(_ observer: @escaping @Sendable ([StreamAdvance]) -> Void)

    /// The first position that is not yet written.
    func end(of stream: StreamID) -> UInt64

    /// The oldest position that is kept.
    func start(of stream: StreamID) -> UInt64

    /// The batch that holds `position`, if it is in the cache of recent batches. Never blocks on disk.
    func cached(_ stream: StreamID, at position: UInt64) -> EventBatch?

    /// Batches from the one that holds `position` on (or the oldest kept one above it), at least one if there is any, until `maximumBytes` are
    /// reached. Reads from disk and blocks; checks CRC and that positions are contiguous.
    func read(_ stream: StreamID, from position: UInt64, maximumBytes: Int) throws(JournalError) -> [EventBatch]

    /// For each subject of a route that has deferred events, its first row without the events. Called at start.
    func deferredHeads(_ route: RouteID) throws(JournalError) -> [DeferredHead]

    /// Deferred rows of one subject in their order, from the first with an id above `after`, until `maximumBytes`; at least one if there is any.
    func deferredRows(_ route: RouteID, subjectHash: UInt64, after: Int64, maximumBytes: Int) throws(JournalError) -> [DeferredRow]

    /// An id above every id of a deferred row or dead letter that was ever used. Called at start.
    func nextRowID() throws(JournalError) -> Int64

    /// Deferred, parked and open events for an operator, oldest first, without their events' bytes.
    func blocked(_ query: RowQuery) throws(JournalError) -> [BlockedEvent]

    /// Dead letters for an operator, newest first.
    func deadLetters(_ query: RowQuery) throws(JournalError) -> [DeadLetter]

    /// Numbers of deferred and dead rows' events by route.
    func rowCounts() throws(JournalError) -> [RouteID: RowCounts]

    /// Parts of a join that has not all its upstreams yet (`after: [a, b]`).
    func joinParts(_ stream: StreamID, position: UInt64) throws(JournalError) -> [JoinPart]

    /// All parts of joins that are on disk. Called at start.
    func allJoins() throws(JournalError) -> [JoinPart]

    /// Calls `body` with every key and value that a source has stored, in the order of keys.
    func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError)

    /// The payload of a record that lies in a file of its own.
    func externalPayload(_ number: UInt64) throws(JournalError) -> [UInt8]

    /// Stores a payload in a file of its own, synced, and returns its number. Blocks. The file goes when the last row that names it goes, or at the next
    /// start when none does.
    func storePayload(_ payload: UnsafeRawBufferPointer) throws(JournalError) -> UInt64

    /// Sizes and rates for status and metrics.
    func figures() -> JournalFigures

    /// Writes a consistent copy of the journal to `path` while it is in use. Blocks.
    func backup(to path: String) throws(JournalError)

    /// Finishes what was handed in, then closes. Later calls fail.
    func close()
}
