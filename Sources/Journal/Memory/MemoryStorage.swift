import CWorkerProtocol
import WorkerProtocol

/// Rows in memory: what a journal's file would hold. Owned by one MemoryJournal at a time.
final class MemoryStorage: JournalStorage {
    struct Stream {
        var description: StreamDescription
        var rows: [BatchRow] = []
        var next: UInt64 = 0
        var total: UInt64 = 0
        var trimmed: UInt64 = 0
        /// Ids of batches whose events were trimmed, ascending.
        var rememberedIDs: [BatchRow] = []
        var sequences: [[UInt8]: SequenceEntry] = [:]

        var start: UInt64 { rows.first?.batch.base ?? next }

        /// Index of the first row that ends above `position`.
        func row(at position: UInt64) -> Int {
            var low = 0
            var high = rows.count
            while low < high {
                let middle = (low + high) / 2
                if rows[middle].batch.end <= position { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// A dead letter, with names that outlive its route.
    struct Dead {
        var letter: DeadLetter
        var lambda: String
        var domain: String
    }

    let subjectHash: SubjectHash
    private(set) var streams: [StreamID: Stream] = [:]
    private(set) var routes: [RouteID: RouteState] = [:]
    private(set) var deferred: [Int64: DeferredRow] = [:]
    /// Ids of deferred rows by route and subject, ascending.
    private(set) var deferredBySubject: [RouteID: [UInt64: [Int64]]] = [:]
    private(set) var dead: [Int64: Dead] = [:]
    private(set) var joins: [JoinKey: [JoinPart]] = [:]
    private(set) var sources: [String: [[UInt8]: [UInt8]]] = [:]
    private(set) var lastRowID: Int64 = 0
    private var nextStream: UInt32 = 1
    private var nextRoute: UInt32 = 1
    private var payloads: [UInt64: [UInt8]] = [:]
    private var payloadReferences: [UInt64: Int] = [:]
    private var nextPayload: UInt64 = 1
    /// Payloads that lost a row in this group.
    private var released: [UInt64] = []

    init(subjectHash: SubjectHash) { self.subjectHash = subjectHash }

    func load() -> StoredState {
        // Payloads that no row names go, as at every start.
        payloads = payloads.filter { payloadReferences[$0.key, default: 0] > 0 }
        var state = StoredState()
        state.streams = streams.values.sorted { $0.description.id.rawValue < $1.description.id.rawValue }.map {
            StoredState.Stream(description: $0.description, start: $0.start, next: $0.next, total: $0.total, trimmed: $0.trimmed)
        }
        state.routes = Array(routes.values)
        state.nextStream = nextStream
        state.nextRoute = nextRoute
        return state
    }

    func addStream(_ stream: StreamDescription) {
        streams[stream.id] = Stream(description: stream)
        nextStream = max(nextStream, stream.id.rawValue + 1)
    }

    func addRoute(_ route: RouteState) {
        routes[route.id] = route
        nextRoute = max(nextRoute, route.id.rawValue + 1)
    }

    func removeRoute(_ route: RouteID) {
        routes[route] = nil
        for ids in deferredBySubject.removeValue(forKey: route).map({ Array($0.values) }) ?? [] {
            for id in ids {
                if let row = deferred.removeValue(forKey: id) { release(row.records) }
            }
        }
        dropReleasedPayloads()
    }

    func lastSequence(_ stream: StreamID, subject: UnsafeRawBufferPointer) -> SequenceEntry? { streams[stream]?.sequences[Array(subject)] }

    func rememberedIDs(_ stream: StreamID, _ body: (UInt64, Int64, [IDHash], [IDHash]) -> Bool) {
        guard let stream = streams[stream] else { return }
        for row in stream.rows.reversed() where !body(row.batch.base, row.atMillis, row.ids, row.fingerprints) { return }
        for row in stream.rememberedIDs.reversed() where !body(row.batch.base, row.atMillis, row.ids, row.fingerprints) { return }
    }

    func total(of stream: StreamID, before position: UInt64) -> UInt64? {
        guard let stream = streams[stream] else { return nil }
        let index = stream.row(at: position)
        guard index < stream.rows.count else { return nil }
        return stream.rows[index].total - UInt64(stream.rows[index].batch.size)
    }

    func room() -> UInt64? { nil }

    func write(_ group: WriteGroup) {
        for row in group.batches {
            streams[row.batch.stream]?.rows.append(row)
            for number in row.external { payloadReferences[number, default: 0] += 1 }
        }
        for end in group.ends {
            streams[end.stream]?.next = end.next
            streams[end.stream]?.total = end.total
        }
        for (stream, changes) in group.sequences {
            for change in changes { streams[stream]?.sequences[Array(change.subject)] = change.entry }
        }
        for (source, changes) in group.sources {
            for change in changes {
                switch change {
                case .put(let key, let value): sources[source, default: [:]][key] = value
                case .remove(let key): sources[source]?[key] = nil
                }
            }
        }
        for commit in group.commits { write(commit) }
        dropReleasedPayloads()
    }

    private func write(_ commit: JournalCommit) {
        for progress in commit.progress {
            routes[progress.route]?.watermark = progress.watermark
            routes[progress.route]?.ranges = progress.ranges
        }
        for change in commit.deferred { apply(change) }
        for letter in commit.dead {
            lastRowID = max(lastRowID, letter.id)
            let route = routes[letter.route]
            dead[letter.id] = Dead(letter: letter, lambda: route?.lambda ?? "", domain: route?.domain ?? "")
            retain(letter.records)
        }
        for id in commit.deadRemoved {
            if let gone = dead.removeValue(forKey: id) { release(gone.letter.records) }
        }
        for part in commit.joins {
            joins[part.key, default: []].removeAll { $0.lambda == part.lambda }
            joins[part.key, default: []].append(part)
        }
        for key in commit.joinsRemoved { joins[key] = nil }
    }

    private func apply(_ change: DeferredChange) {
        switch change {
        case .insert(let row):
            lastRowID = max(lastRowID, row.id)
            if deferred[row.id] != nil { apply(.remove(id: row.id)) }
            deferred[row.id] = row
            retain(row.records)
            var ids = deferredBySubject[row.route, default: [:]][row.subjectHash, default: []]
            ids.insert(row.id, at: ids.firstIndex { $0 > row.id } ?? ids.count)
            deferredBySubject[row.route, default: [:]][row.subjectHash] = ids
        case .update(let id, let done, let state, let dueMillis, let history):
            deferred[id]?.done = done
            deferred[id]?.state = state
            deferred[id]?.dueMillis = dueMillis
            deferred[id]?.history = history
        case .remove(let id):
            guard let row = deferred.removeValue(forKey: id) else { return }
            release(row.records)
            var ids = deferredBySubject[row.route]?[row.subjectHash] ?? []
            ids.removeAll { $0 == id }
            deferredBySubject[row.route]?[row.subjectHash] = ids.isEmpty ? nil : ids
        }
    }

    func trim(_ plan: TrimPlan) -> TrimResult {
        guard var stream = streams[plan.stream] else { return TrimResult(start: nil, removed: 0, hasMore: false) }
        streams[plan.stream] = nil
        defer { streams[plan.stream] = stream }
        var count = 0
        var removed: UInt64 = 0
        func mayGo(_ row: BatchRow) -> Bool {
            row.batch.end <= plan.below && (row.atMillis < plan.beforeMillis || row.total <= plan.upToTotal)
        }
        while count < stream.rows.count, mayGo(stream.rows[count]), removed < UInt64(plan.bytes) {
            let row = stream.rows[count]
            removed += UInt64(row.batch.size)
            for number in row.external { releasePayload(number) }
            if !row.ids.isEmpty || !row.fingerprints.isEmpty { stream.rememberedIDs.append(row.withoutEvents) }
            count += 1
        }
        let hasMore = count < stream.rows.count && mayGo(stream.rows[count])
        stream.rows.removeFirst(count)
        stream.rememberedIDs.removeAll { $0.atMillis < plan.idsSinceMillis || $0.end <= plan.idsFrom ?? .max }
        stream.trimmed += removed
        dropReleasedPayloads()
        return TrimResult(start: stream.rows.first?.batch.base, removed: removed, hasMore: hasMore)
    }

    // MARK: Payloads

    func storePayload(_ payload: UnsafeRawBufferPointer) -> UInt64 {
        defer { nextPayload += 1 }
        payloads[nextPayload] = Array(payload)
        return nextPayload
    }

    func payloadHash(_ number: UInt64) -> IDHash { (payloads[number] ?? []).withUnsafeBytes { IDHasher(subjectHash).payload($0) } }

    func externalPayload(_ number: UInt64) -> [UInt8]? { payloads[number] }

    private func retain(_ records: RecordBuffer) {
        for number in records.externalNumbers { payloadReferences[number, default: 0] += 1 }
    }

    private func release(_ records: RecordBuffer) {
        for number in records.externalNumbers { releasePayload(number) }
    }

    private func releasePayload(_ number: UInt64) {
        payloadReferences[number, default: 0] -= 1
        released.append(number)
    }

    /// At the end of a group, which may name anew what it has released.
    private func dropReleasedPayloads() {
        for number in released where payloadReferences[number, default: 0] <= 0 {
            payloadReferences[number] = nil
            payloads[number] = nil
        }
        released = []
    }
}

extension BatchRow {
    /// Position after the last event.
    fileprivate var end: UInt64 { batch.base + UInt64(max(ids.count, fingerprints.count)) }

    /// Only what is needed to know duplicates.
    fileprivate var withoutEvents: BatchRow {
        var row = self
        row.batch = EventBatch(stream: batch.stream, base: batch.base, records: RecordBuffer(capacity: 0, count: 0))
        row.external = []
        return row
    }
}
