/// One batch row.
struct BatchRow {
    /// The events.
    var batch: EventBatch
    /// One hash for each event with an id, in order, `.none` for those without; empty when none has one.
    var ids: [IDHash]
    /// One fingerprint for each event of a stream whose producers number; else empty.
    var fingerprints: [IDHash]
    /// Numbers of payload files that the events name.
    var external: [UInt64]
    /// Bytes that the stream has ever taken, this row included.
    var total: UInt64
    /// When it was written, milliseconds since 1970.
    var atMillis: Int64
}

/// What one transaction writes.
struct WriteGroup {
    /// New batch rows, ascending within each stream.
    var batches: [BatchRow] = []
    /// New last events of subjects.
    var sequences: [(stream: StreamID, changes: [SequenceChange])] = []
    /// Streams that grew: the next position and the bytes ever taken.
    var ends: [(stream: StreamID, next: UInt64, total: UInt64)] = []
    /// Commits, in the order of their coming. Their `appends` are in `batches`.
    var commits: [JournalCommit] = []
    /// State of sources, in the order of its coming.
    var sources: [(source: String, changes: [SourceChange])] = []
    /// Whether nobody waits for the fsync.
    var isRelaxed = false
    /// When it is written, milliseconds since 1970.
    var atMillis: Int64 = 0

    /// Whether there is nothing to write.
    var isEmpty: Bool { batches.isEmpty && sequences.isEmpty && ends.isEmpty && commits.isEmpty && sources.isEmpty }
}
