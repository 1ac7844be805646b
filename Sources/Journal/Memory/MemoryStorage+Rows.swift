import CWorkerProtocol
import WorkerProtocol

// What operators and the dispatcher ask of failures.
extension MemoryStorage {
    func deferredHeads(_ route: RouteID) -> [DeferredHead] {
        var heads: [DeferredHead] = []
        for (subject, ids) in deferredBySubject[route] ?? [:] {
            guard let first = ids.first.flatMap({ deferred[$0] }) else { continue }
            var head = DeferredHead(
                id: first.id, subjectHash: subject, state: first.state, dueMillis: first.dueMillis, rows: ids.count, events: 0, bytes: 0)
            for row in ids.compactMap({ deferred[$0] }) {
                head.events += row.eventsLeft
                head.bytes += row.bytesLeft
            }
            heads.append(head)
        }
        return heads.sorted { $0.id < $1.id }
    }

    func deferredRows(_ route: RouteID, subjectHash: UInt64, after: Int64, maximumBytes: Int) -> [DeferredRow] {
        var rows: [DeferredRow] = []
        var bytes = 0
        for id in deferredBySubject[route]?[subjectHash] ?? [] where id > after {
            guard let row = deferred[id] else { continue }
            if !rows.isEmpty, bytes + row.records.size > maximumBytes { break }
            bytes += row.records.size
            rows.append(row)
        }
        return rows
    }

    func blocked(_ query: RowQuery) -> [BlockedEvent] {
        var found: [BlockedEvent] = []
        for row in deferred.values.sorted(by: { $0.id < $1.id }) where row.eventsLeft > 0 {
            guard found.count < query.limit else { break }
            guard let route = routes[row.route] else { continue }
            let record = row.records.view(Int(row.done))
            let event = BlockedEvent(
                id: row.id, lambda: route.lambda, domain: route.domain, subject: record.subjectText, offset: record.header.pointee.offset,
                events: row.eventsLeft, state: row.state, dueMillis: row.dueMillis, history: row.history)
            if query.wants(id: event.id, lambda: event.lambda, domain: event.domain, subject: event.subject, error: event.history.error) {
                found.append(event)
            }
        }
        return found
    }

    func deadLetters(_ query: RowQuery) -> [DeadLetter] {
        var found: [DeadLetter] = []
        for row in dead.values.sorted(by: { $0.letter.id > $1.letter.id }) {
            guard found.count < query.limit else { break }
            let subject = row.letter.records.count > 0 ? row.letter.records.view(0).subjectText : ""
            if query.wants(id: row.letter.id, lambda: row.lambda, domain: row.domain, subject: subject, error: row.letter.history.error) {
                found.append(row.letter)
            }
        }
        return found
    }

    func rowCounts() -> [RouteID: RowCounts] {
        var counts: [RouteID: RowCounts] = [:]
        for (route, subjects) in deferredBySubject {
            for ids in subjects.values {
                let rows = ids.compactMap { deferred[$0] }
                let events = rows.reduce(0) { $0 + $1.eventsLeft }
                if rows.first?.state == .parked {
                    counts[route, default: RowCounts()].parked += events
                } else {
                    counts[route, default: RowCounts()].deferred += events
                }
            }
        }
        for row in dead.values { counts[row.letter.route, default: RowCounts()].dead += 1 }
        return counts
    }
}

extension DeferredRow {
    /// Events that are not done with.
    var eventsLeft: Int { max(0, records.count - Int(done)) }
    /// Bytes of them.
    var bytesLeft: Int { Int(done) < records.count ? records.size - Int(records.positions[Int(done)]) : 0 }
}

extension RowQuery {
    /// Whether a row is one of those asked for.
    func wants(id: Int64, lambda: String, domain: String, subject: String, error: String) -> Bool {
        if let wanted = self.id, wanted != id { return false }
        if let wanted = self.lambda, wanted != lambda { return false }
        if let wanted = self.domain, wanted != domain { return false }
        if let wanted = self.subject, wanted != subject { return false }
        if let wanted = self.error, !wanted.isEmpty, error.firstRange(of: wanted) == nil { return false }
        return true
    }
}
