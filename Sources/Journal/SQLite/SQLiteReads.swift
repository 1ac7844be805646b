import WorkerProtocol

/// Reads of one consistent state of the file, on any connection. Lives as long as its snapshot, which is short, so that the write-ahead log can
/// begin anew.
struct SQLiteReads {
    let statements: SQLStatements

    // MARK: Events

    func batches(_ stream: StreamID, name: String, from position: UInt64, maximumBytes: Int) throws(JournalError) -> [EventBatch] {
        let bounds = try statements("SELECT first_offset, next_offset FROM streams WHERE stream = ?").bind(1, Int64(stream.rawValue))
            .first { (first: $0.bits(0), next: $0.bits(1)) }
        guard let bounds, max(position, bounds.first) < bounds.next else { return [] }
        var expected = max(position, bounds.first)
        let range = BatchPosition.range(of: stream)
        let from =
            try statements("SELECT max(position) FROM batches WHERE position BETWEEN ? AND ?")
            .bind(1, range.lowerBound).bind(2, BatchPosition.key(stream, expected)).first { $0.isNull(0) ? nil : $0.int(0) } ?? nil
        var batches: [EventBatch] = []
        var bytes = 0
        try statements("SELECT base, count, crc, bytes FROM batches WHERE position BETWEEN ? AND ? ORDER BY position")
            .bind(1, from ?? range.lowerBound).bind(2, range.upperBound).forEach { row throws(JournalError) in
                let base = row.bits(0)
                let count = row.int(1)
                let end = base + UInt64(max(0, count))
                // The row found first may end before the position when the one that held it is gone; then the next one tells how much is.
                if batches.isEmpty, end <= expected { return true }
                guard batches.isEmpty ? base <= expected : base == expected else { throw Self.lost(name, expected, base) }
                batches.append(try Self.batch(row, stream, name))
                bytes += batches[batches.count - 1].size
                expected = end
                return bytes < maximumBytes
            }
        // The rows ended before the stream does.
        if bytes < maximumBytes, expected < bounds.next { throw Self.lost(name, expected, bounds.next) }
        return batches
    }

    /// Checks one row of (base, count, crc, bytes) and copies it.
    static func batch(_ row: SQLRow, _ stream: StreamID, _ name: String) throws(JournalError) -> EventBatch {
        let base = row.bits(0)
        let count = Int(row.int(1))
        let bytes = row.blob(3)
        guard count > 0, Int64(BatchPosition.checksum(stream: stream, base: base, count: count, bytes)) == row.int(2),
            let records = RecordBuffer(checking: bytes, count: count)
        else {
            throw JournalError(
                .damaged,
                "events \(base)…\(base + UInt64(max(1, count)) - 1) of '\(name)' are damaged in the journal (wrong checksum); restore a backup, or "
                    + "copy what `sqlite3 FILE .recover` can read")
        }
        return EventBatch(stream: stream, base: base, records: records)
    }

    static func lost(_ name: String, _ from: UInt64, _ to: UInt64) -> JournalError {
        JournalError(
            .damaged,
            "events \(from)…\(max(from + 1, to) - 1) of '\(name)' are lost from the journal; restore a backup, or copy what "
                + "`sqlite3 FILE .recover` can read")
    }

    /// Checks that the file holds all that the tail file says was acknowledged.
    func verify(tail: [StreamID: UInt64]) throws(JournalError) {
        var known: [StreamID: (name: String, next: UInt64)] = [:]
        try statements("SELECT stream, name, next_offset FROM streams").forEach {
            known[StreamID(rawValue: UInt32(truncatingIfNeeded: $0.int(0)))] = ($0.text(1), $0.bits(2))
            return true
        }
        for (stream, end) in tail.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where end > known[stream]?.next ?? 0 {
            let next = known[stream]?.next ?? 0
            throw JournalError(
                .damaged,
                "events \(next)…\(end - 1) of '\(known[stream]?.name ?? "stream \(stream.rawValue)")' were acknowledged and are lost from the "
                    + "journal (its write-ahead log is damaged, or an older file was put in its place); restore a backup. If this is one, remove "
                    + "the file `tail` beside it")
        }
    }

    /// Checks what a file must hold when it is opened: the newest rows of each stream follow one another up to its end, and the very newest are
    /// undamaged. Older rows are checked when they are read, so that a long log does not slow the start.
    func verify(recentBytes: UInt64 = 1 << 30, checkedRows: Int = 64) throws(JournalError) {
        var streams: [(id: StreamID, name: String, first: UInt64, next: UInt64)] = []
        try statements("SELECT stream, name, first_offset, next_offset FROM streams").forEach {
            streams.append((StreamID(rawValue: UInt32(truncatingIfNeeded: $0.int(0))), $0.text(1), $0.bits(2), $0.bits(3)))
            return true
        }
        for stream in streams {
            let range = BatchPosition.range(of: stream.id)
            var expectedEnd = stream.next
            var newestTotal: UInt64?
            try statements("SELECT base, count, bytes_taken FROM batches WHERE position BETWEEN ? AND ? ORDER BY position DESC")
                .bind(1, range.lowerBound).bind(2, range.upperBound).forEach { row throws(JournalError) in
                    let end = row.bits(0) + row.bits(1)
                    guard end == expectedEnd else { throw Self.lost(stream.name, min(end, expectedEnd), max(end, expectedEnd)) }
                    expectedEnd = row.bits(0)
                    newestTotal = newestTotal ?? row.bits(2)
                    return (newestTotal ?? 0) - row.bits(2) < recentBytes
                }
            if newestTotal == nil, stream.first < stream.next { throw Self.lost(stream.name, stream.first, stream.next) }
            if expectedEnd > stream.first {
                let before =
                    try statements("SELECT count(*) FROM (SELECT 1 FROM batches WHERE position BETWEEN ? AND ? LIMIT 1)")
                    .bind(1, range.lowerBound).bind(2, BatchPosition.key(stream.id, expectedEnd) - 1).first { $0.int(0) } ?? 0
                if before == 0 { throw Self.lost(stream.name, stream.first, expectedEnd) }
            }
            var left = checkedRows
            var leftBytes = 16 << 20
            try statements("SELECT base, count, crc, bytes FROM batches WHERE position BETWEEN ? AND ? ORDER BY position DESC")
                .bind(1, range.lowerBound).bind(2, range.upperBound).forEach { row throws(JournalError) in
                    leftBytes -= try Self.batch(row, stream.id, stream.name).size
                    left -= 1
                    return left > 0 && leftBytes > 0
                }
        }
    }

    // MARK: Failures

    func deferredHeads(_ route: RouteID) throws(JournalError) -> [DeferredHead] {
        var heads: [DeferredHead] = []
        // SQLite takes bare columns from the row that has the minimum.
        let sql = """
            SELECT min(id), subject_hash, state, due, count(*), sum(events - done), sum(bytes_left) FROM deferred
            WHERE route = ? GROUP BY subject_hash ORDER BY min(id)
            """
        try statements(sql).bind(1, Int64(route.rawValue)).forEach {
            heads.append(
                DeferredHead(
                    id: $0.int(0), subjectHash: $0.bits(1), state: DeferredState(name: $0.text(2)), dueMillis: $0.int(3),
                    rows: Int($0.int(4)),
                    events: Int($0.int(5)), bytes: Int($0.int(6))))
            return true
        }
        return heads
    }

    func deferredRows(_ route: RouteID, subjectHash: UInt64, after: Int64, maximumBytes: Int) throws(JournalError) -> [DeferredRow] {
        var rows: [DeferredRow] = []
        var bytes = 0
        let sql = """
            SELECT id, done, state, due, attempts, crashes, external_kills, since, last, error, events, bytes, suspect FROM deferred
            WHERE route = ? AND subject_hash = ? AND id > ? ORDER BY id
            """
        try statements(sql).bind(1, Int64(route.rawValue)).bind(2, subjectHash).bind(3, after).forEach { row throws(JournalError) in
            let blob = row.blob(11)
            if !rows.isEmpty, bytes + blob.count > maximumBytes { return false }
            bytes += blob.count
            guard let records = RecordBuffer(checking: blob, count: Int(row.int(10))) else {
                throw JournalError(.damaged, "deferred row \(row.int(0)) is damaged; restore a backup, or delete it with the sqlite3 shell")
            }
            var history = Self.history(row, from: 4)
            history.isSuspect = row.int(12) != 0
            rows.append(
                DeferredRow(
                    id: row.int(0), route: route, subjectHash: subjectHash, records: records, done: UInt32(truncatingIfNeeded: row.int(1)),
                    state: DeferredState(name: row.text(2)), dueMillis: row.int(3), history: history))
            return true
        }
        return rows
    }

    func nextRowID() throws(JournalError) -> Int64 {
        try statements("SELECT value FROM meta WHERE name = 'last_row_id'").first { $0.int(0) + 1 } ?? 1
    }

    func blocked(_ query: RowQuery) throws(JournalError) -> [BlockedEvent] {
        var found: [BlockedEvent] = []
        let sql = """
            SELECT id, state, due, attempts, crashes, external_kills, since, last, error, lambda, domain, subject, first_offset, events - done, suspect
            FROM deferred JOIN routes USING (route) WHERE events > done AND \(Self.condition) ORDER BY id LIMIT ?6
            """
        try bind(query, to: statements(sql)).forEach { row in
            var history = Self.history(row, from: 3)
            history.isSuspect = row.int(14) != 0
            found.append(
                BlockedEvent(
                    id: row.int(0), lambda: row.text(9), domain: row.text(10), subject: row.text(11), offset: row.bits(12),
                    events: Int(row.int(13)), state: DeferredState(name: row.text(1)), dueMillis: row.int(2), history: history))
            return true
        }
        return found
    }

    func deadLetters(_ query: RowQuery) throws(JournalError) -> [DeadLetter] {
        var found: [DeadLetter] = []
        let sql = """
            SELECT id, route, at, reason, attempts, crashes, external_kills, since, last, error, bytes FROM dead
            WHERE \(Self.condition) ORDER BY id DESC LIMIT ?6
            """
        try bind(query, to: statements(sql)).forEach { row throws(JournalError) in
            guard let records = RecordBuffer(checking: row.blob(10), count: 1) else {
                throw JournalError(.damaged, "dead letter \(row.int(0)) is damaged; restore a backup, or delete it with the sqlite3 shell")
            }
            found.append(
                DeadLetter(
                    id: row.int(0), route: RouteID(rawValue: UInt32(truncatingIfNeeded: row.int(1))), records: records,
                    atMillis: row.int(2),
                    reason: row.text(3), history: Self.history(row, from: 4)))
            return true
        }
        return found
    }

    private static let condition = """
        (?1 IS NULL OR lambda = ?1) AND (?2 IS NULL OR domain = ?2) AND (?3 IS NULL OR subject = ?3)
        AND (?4 IS NULL OR instr(error, ?4) > 0) AND (?5 IS NULL OR id = ?5)
        """

    private func bind(_ query: RowQuery, to statement: SQLStatement) -> SQLStatement {
        for (index, text) in [(1, query.lambda), (2, query.domain), (3, query.subject), (4, query.error)] as [(Int32, String?)] {
            if let text { statement.bind(index, text) } else { statement.bindNull(index) }
        }
        if let id = query.id { statement.bind(5, id) } else { statement.bindNull(5) }
        return statement.bind(6, Int64(max(0, query.limit)))
    }

    func rowCounts() throws(JournalError) -> [RouteID: RowCounts] {
        var counts: [RouteID: RowCounts] = [:]
        let sql = """
            SELECT route, state = 'parked', sum(remaining) FROM
                (SELECT route, subject_hash, min(id), state, sum(events - done) AS remaining FROM deferred GROUP BY route, subject_hash)
            GROUP BY route, state = 'parked'
            """
        try statements(sql).forEach {
            let route = RouteID(rawValue: UInt32(truncatingIfNeeded: $0.int(0)))
            if $0.int(1) != 0 {
                counts[route, default: RowCounts()].parked = Int($0.int(2))
            } else {
                counts[route, default: RowCounts()].deferred = Int($0.int(2))
            }
            return true
        }
        try statements("SELECT route, count(*) FROM dead GROUP BY route").forEach {
            counts[RouteID(rawValue: UInt32(truncatingIfNeeded: $0.int(0))), default: RowCounts()].dead = Int($0.int(1))
            return true
        }
        return counts
    }

    private static func history(_ row: SQLRow, from index: Int32) -> FailureHistory {
        var history = FailureHistory()
        history.attempts = UInt32(truncatingIfNeeded: row.int(index))
        history.crashes = UInt32(truncatingIfNeeded: row.int(index + 1))
        history.externalKills = UInt32(truncatingIfNeeded: row.int(index + 2))
        history.sinceMillis = row.int(index + 3)
        history.lastMillis = row.int(index + 4)
        history.error = row.text(index + 5)
        return history
    }

    // MARK: Joins and sources

    func joinParts(_ stream: StreamID, position: UInt64) throws(JournalError) -> [JoinPart] {
        try joinParts(
            statements(
                "SELECT stream, event_offset, lambda, succeeded, output FROM joins WHERE stream = ? AND event_offset = ? ORDER BY rowid"
            )
            .bind(1, Int64(stream.rawValue)).bind(2, position))
    }

    func allJoins() throws(JournalError) -> [JoinPart] {
        try joinParts(statements("SELECT stream, event_offset, lambda, succeeded, output FROM joins ORDER BY rowid"))
    }

    private func joinParts(_ statement: SQLStatement) throws(JournalError) -> [JoinPart] {
        var parts: [JoinPart] = []
        try statement.forEach {
            let key = JoinKey(stream: StreamID(rawValue: UInt32(truncatingIfNeeded: $0.int(0))), offset: $0.bits(1))
            parts.append(JoinPart(key: key, lambda: $0.text(2), succeeded: $0.int(3) != 0, output: Array($0.blob(4))))
            return true
        }
        return parts
    }

    func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError) {
        try statements("SELECT key, value FROM source_state WHERE source = ? ORDER BY key").bind(1, source).forEach {
            body($0.blob(0), $0.blob(1))
            return true
        }
    }
}
