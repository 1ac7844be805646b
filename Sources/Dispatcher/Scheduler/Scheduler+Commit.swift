public import Journal
import WorkerProtocol

// What is written.

extension Scheduler {
    /// Whether there is anything to write.
    public var hasCommit: Bool {
        hasEffects || !commit.isEmpty || !dirtyRows.isEmpty || !dirtyRoutes.isEmpty || !joinParts.isEmpty
    }

    /// Whether what is to be written should not wait for more: others wait for it.
    public var hasUrgentCommit: Bool { hasEffects || !commit.deferred.isEmpty || !commit.dead.isEmpty }

    /// Takes everything that has to be written, as one transaction. The caller writes it, in the order of the calls, and retries until it succeeds.
    public mutating func takeCommit() -> JournalCommit {
        for place in dirtyRows {
            guard var row = rows[Int(place)], row.isDirty else { continue }
            row.isDirty = false
            commit.deferred.append(
                .update(id: row.id, done: row.done, state: row.isOpen ? .open : .behind, dueMillis: wallMillis, history: row.history))
            rows[Int(place)] = row
        }
        dirtyRows.removeAll(keepingCapacity: true)
        for index in dirtyRoutes.lazy.map(Int.init) where routes[index].isDirty {
            routes[index].isDirty = false
            commit.progress.append(
                RouteProgress(route: routes[index].id, watermark: routes[index].done.watermark, ranges: routes[index].done.ranges()))
        }
        dirtyRoutes.removeAll(keepingCapacity: true)
        for key in joinParts.keys.sorted(by: { ($0.stream.rawValue, $0.offset) < ($1.stream.rawValue, $1.offset) }) {
            commit.joins.append(contentsOf: joinParts[key] ?? [])
        }
        joinParts.removeAll(keepingCapacity: true)
        for (stream, records) in appendBuffers.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where records.count > 0 {
            commit.appends.append(StreamAppend(stream: stream, records: records))
        }
        appendBuffers.removeAll(keepingCapacity: true)
        spilling.removeAll(keepingCapacity: true)
        hasEffects = false
        commitBytes = 0
        let taken = commit
        commit = JournalCommit()
        return taken
    }
}
