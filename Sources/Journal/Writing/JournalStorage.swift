/// Where a journal's writer puts what it has decided. One thread at a time (the writer's).
///
/// The writer decides everything that has to do with meaning: positions, duplicates, sequences, who may append, what may be trimmed. A storage
/// keeps rows.
protocol JournalStorage: AnyObject {
    /// What is stored: streams and routes. Called once, first.
    func load() throws(JournalError) -> StoredState

    /// Stores a new stream.
    func addStream(_ stream: StreamDescription) throws(JournalError)

    /// Stores a new route.
    func addRoute(_ route: RouteState) throws(JournalError)

    /// Removes a route and its deferred rows.
    func removeRoute(_ route: RouteID) throws(JournalError)

    /// The last event of a subject; nil when there is none.
    func lastSequence(_ stream: StreamID, subject: UnsafeRawBufferPointer) throws(JournalError) -> SequenceEntry?

    /// Calls `body` with the ids of batches, newest batch first, until it returns false.
    func rememberedIDs(
        _ stream: StreamID, _ body: (_ base: UInt64, _ atMillis: Int64, _ ids: [IDHash], _ fingerprints: [IDHash]) -> Bool
    ) throws(JournalError)

    /// Bytes that the stream had taken before the batch that holds `position` (or the oldest kept, or all when there is none).
    func total(of stream: StreamID, before position: UInt64) throws(JournalError) -> UInt64?

    /// Writes a group, all or nothing.
    func write(_ group: WriteGroup) throws(JournalError)

    /// Removes the oldest batches of a stream as far as the plan allows, in a small step.
    func trim(_ plan: TrimPlan) throws(JournalError) -> TrimResult

    /// The hash (IDHasher.payload) of a payload in a file of its own.
    func payloadHash(_ number: UInt64) throws(JournalError) -> IDHash

    /// Bytes that may still be stored before four fifths of the room are used; nil when there is no such limit.
    func room() -> UInt64?
}

/// What was stored when a journal was opened.
struct StoredState {
    /// One stream.
    struct Stream {
        var description: StreamDescription
        /// Oldest kept position.
        var start: UInt64
        /// First position not yet written.
        var next: UInt64
        /// Bytes ever taken.
        var total: UInt64
        /// Bytes ever taken before `start`.
        var trimmed: UInt64
    }
    var streams: [Stream] = []
    var routes: [RouteState] = []
    /// Numbers that were never used before.
    var nextStream: UInt32 = 1
    var nextRoute: UInt32 = 1
}

/// Which batches of a stream may go.
struct TrimPlan {
    /// The stream.
    var stream: StreamID
    /// Only batches that end at or below this position.
    var below: UInt64
    /// Of these, the ones written before this time…
    var beforeMillis: Int64
    /// …and the ones after which the stream had taken at most so many bytes.
    var upToTotal: UInt64
    /// Ids of batches written since this time are kept although the events go.
    var idsSinceMillis: Int64
    /// Ids of batches from this position on are kept although the events go; nil: none.
    var idsFrom: UInt64?
    /// About how many bytes to remove.
    var bytes: Int
}

/// What trimming did.
struct TrimResult {
    /// Oldest kept position now; nil when the stream is empty.
    var start: UInt64?
    /// Bytes removed.
    var removed: UInt64
    /// Whether the plan allows more.
    var hasMore: Bool
}
