import WorkerProtocol

/// The last event of a subject in a stream whose producers number their events.
struct SequenceEntry: Equatable {
    /// Its sequence.
    var sequence: UInt64
    /// Hash of subject, sequence and payload.
    var fingerprint: IDHash
    /// Its offset.
    var offset: UInt64
}

/// A subject's new last event, to be written with its group.
struct SequenceChange {
    /// The last event now.
    var entry: SequenceEntry
    /// Where the subject's text lies.
    var records: RecordBuffer
    /// The record in `records`.
    var index: Int

    /// The subject's text, valid while `records` lives.
    var subject: UnsafeRawBufferPointer { records.view(index).subject }
}
