import CWorkerProtocol
import WorkerProtocol

/// What the writer knows of one stream: what is on disk, and what the group being built adds. Owned by the writer.
final class StreamLedger {
    /// Rows are closed at this size, so that one read is bounded.
    static let rowBytesMax = 1 << 20
    /// Subjects whose last sequences are kept in memory; the others are looked up.
    static let sequencesMax = 500_000

    let description: StreamDescription
    var settings = StreamSettings()

    /// Oldest kept position.
    var start: UInt64
    /// First position not yet written.
    private(set) var next: UInt64
    /// Bytes ever taken.
    private(set) var total: UInt64
    /// Bytes ever taken before `start`.
    var trimmed: UInt64
    /// Ids that are remembered; nil until they are loaded.
    var window: IDWindow?
    /// Last sequences of subjects, as far as they are in memory.
    private(set) var sequences: [IDHash: SequenceEntry] = [:]

    /// Bytes before the slowest live route when last measured, and what had been taken then.
    var backlog: (bytes: UInt64, atTotal: UInt64) = (0, 0)
    /// The lambda that holds the log, when last measured.
    var holder: String?

    // What the group adds.
    private(set) var stagedNext: UInt64
    private var stagedTotal: UInt64
    private(set) var stagedSequences: [IDHash: SequenceChange] = [:]
    private var rows: [BatchRow] = []
    private var open: RecordBuffer?
    private var openIsBorrowed = false
    private var openIDs: [IDHash] = []
    private var openFingerprints: [IDHash] = []
    private var openExternal: [UInt64] = []
    private var windowMark = 0

    init(_ stored: StoredState.Stream) {
        description = stored.description
        start = stored.start
        next = stored.next
        stagedNext = stored.next
        total = stored.total
        stagedTotal = stored.total
        trimmed = stored.trimmed
    }

    var id: StreamID { description.id }
    /// Bytes kept.
    var bytesKept: UInt64 { total - trimmed }
    /// Bytes ever taken, with the group that is being built.
    var totalWithStaged: UInt64 { stagedTotal + UInt64(open?.size ?? 0) }
    /// Whether the group adds anything that has to be written.
    var isStaged: Bool { stagedNext != next || !stagedSequences.isEmpty }

    /// Begins a group: forgets ids that are too old.
    func beginGroup(nowMillis: Int64) {
        window?.removeOldest(countMax: settings.deduplicateCountMax, sinceMillis: nowMillis - settings.deduplicateSeconds * 1000)
        windowMark = window?.count ?? 0
    }

    /// Remembers the last event of a subject in this group; returns what was there.
    func stage(_ change: SequenceChange?, for subject: IDHash) -> SequenceChange? {
        let before = stagedSequences[subject]
        stagedSequences[subject] = change
        return before
    }

    /// The last event of a subject that is in memory, this group's first.
    func knownSequence(_ subject: IDHash) -> SequenceEntry? { stagedSequences[subject]?.entry ?? sequences[subject] }

    /// Keeps what was looked up.
    func keep(_ entry: SequenceEntry, for subject: IDHash) { sequences[subject] = entry }

    /// Adds records to the group's rows, in order.
    ///
    /// - Parameters:
    ///   - indices: which of the records; nil: all.
    ///   - ids, fingerprints: one for each record that is added, or none at all.
    ///   - external: numbers of payload files that the added records name.
    func place(_ records: RecordBuffer, indices: [Int]?, ids: [IDHash], fingerprints: [IDHash], external: [UInt64]) {
        let count = indices?.count ?? records.count
        guard count > 0 else { return }
        stagedNext += UInt64(count)
        if open == nil, indices == nil, records.size <= Self.rowBytesMax {
            open = records
            openIsBorrowed = true
            openIDs = ids
            openFingerprints = fingerprints
            openExternal = external
            return
        }
        var placed = 0
        while placed < count {
            let from = indices?[placed] ?? placed
            // As many as follow one another and fit the row.
            var room = Self.rowBytesMax - (open?.size ?? 0)
            var end = placed
            while end < count, (indices?[end] ?? end) == from + (end - placed) {
                let size = Int(records.record(from + end - placed).pointee.size)
                if size > room, end > placed || open != nil { break }
                room -= size
                end += 1
            }
            if end == placed {
                closeRow()
                continue
            }
            appendable(for: count - placed).append(copying: records, from..<from + (end - placed))
            if !ids.isEmpty { fill(&openIDs, with: ids[placed..<end]) }
            if !fingerprints.isEmpty { fill(&openFingerprints, with: fingerprints[placed..<end]) }
            placed = end
        }
        // Which row names which file is only needed for counting: the last one answers for all of this request.
        openExternal.append(contentsOf: external)
    }

    /// Hashes of records before these, that had none, are filled in.
    private func fill(_ hashes: inout [IDHash], with new: ArraySlice<IDHash>) {
        let before = (open?.count ?? 0) - new.count
        while hashes.count < before { hashes.append(.none) }
        hashes.append(contentsOf: new)
    }

    /// The open row as a buffer of our own: a request's buffer stays as its sender made it, because a group may fail and be asked for again.
    private func appendable(for count: Int) -> RecordBuffer {
        if let open, !openIsBorrowed { return open }
        let own = RecordBuffer(capacity: 64 << 10, count: max(64, count))
        if let open { own.append(copying: open, 0..<open.count) }
        open = own
        openIsBorrowed = false
        return own
    }

    private func closeRow() {
        guard var records = open else { return }
        if records.allocatedBytes > records.size * 2 + 1024 {
            // It may be cached for long: a small event must not hold a large buffer.
            let exact = RecordBuffer(capacity: records.size, count: records.count)
            exact.append(copying: records, 0..<records.count)
            records = exact
        }
        stagedTotal += UInt64(records.size)
        if !openIDs.isEmpty { while openIDs.count < records.count { openIDs.append(.none) } }
        if !openFingerprints.isEmpty { while openFingerprints.count < records.count { openFingerprints.append(.none) } }
        let base = rows.last.map { $0.batch.end } ?? next
        rows.append(
            BatchRow(
                batch: EventBatch(stream: id, base: base, records: records), ids: openIDs, fingerprints: openFingerprints,
                external: openExternal,
                total: stagedTotal, atMillis: 0))
        open = nil
        openIDs = []
        openFingerprints = []
        openExternal = []
    }

    /// Puts what this stream adds into the group.
    func finish(into group: inout WriteGroup) {
        closeRow()
        for index in rows.indices { rows[index].atMillis = group.atMillis }
        if stagedNext != next { group.ends.append((id, stagedNext, stagedTotal)) }
        group.batches.append(contentsOf: rows)
        if !stagedSequences.isEmpty { group.sequences.append((id, Array(stagedSequences.values))) }
    }

    /// The group is written.
    func groupWritten() {
        next = stagedNext
        total = stagedTotal
        if sequences.count + stagedSequences.count > Self.sequencesMax { sequences.removeAll(keepingCapacity: true) }
        for (subject, change) in stagedSequences { sequences[subject] = change.entry }
        window?.removeOldest(countMax: settings.deduplicateCountMax, sinceMillis: .min)
        clearStaged()
    }

    /// The group is not written: everything is as before it.
    func groupFailed() {
        window?.removeNewest(downTo: windowMark)
        open = nil
        openIDs = []
        openFingerprints = []
        openExternal = []
        stagedNext = next
        stagedTotal = total
        clearStaged()
    }

    private func clearStaged() {
        rows = []
        stagedSequences.removeAll(keepingCapacity: stagedSequences.count < 4096)
    }
}
