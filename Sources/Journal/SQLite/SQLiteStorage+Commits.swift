import CWorkerProtocol
import WorkerProtocol

// What a commit writes besides events.
extension SQLiteStorage {
    func write(_ commit: JournalCommit) throws(JournalError) {
        for progress in commit.progress {
            try statements("UPDATE routes SET watermark = ?, done_above = ? WHERE route = ?")
                .bind(1, progress.watermark).bind(2, ProgressCoding.encode(progress.ranges, above: progress.watermark))
                .bind(3, Int64(progress.route.rawValue)).run()
        }
        for change in commit.deferred {
            switch change {
            case .insert(let row): try insert(row)
            case .update(let id, let done, let state, let dueMillis, let history):
                try update(id, done: done, state, dueMillis: dueMillis, history)
            case .remove(let id): try remove(id, from: "deferred")
            }
        }
        for letter in commit.dead { try insert(letter) }
        for id in commit.deadRemoved { try remove(id, from: "dead") }
        for part in commit.joins {
            try statements("INSERT OR REPLACE INTO joins (stream, event_offset, lambda, succeeded, output) VALUES (?, ?, ?, ?, ?)")
                .bind(1, Int64(part.key.stream.rawValue)).bind(2, part.key.offset).bind(3, part.lambda).bind(
                    4, part.succeeded ? 1 : 0 as Int64
                )
                .bind(5, part.output).run()
        }
        for key in commit.joinsRemoved {
            try statements("DELETE FROM joins WHERE stream = ? AND event_offset = ?").bind(1, Int64(key.stream.rawValue)).bind(
                2, key.offset
            ).run()
        }
        let highest = max(
            commit.dead.map(\.id).max() ?? 0,
            commit.deferred.reduce(0) { if case .insert(let row) = $1 { max($0, row.id) } else { $0 } })
        if highest > 0 {
            try statements("UPDATE meta SET value = ?1 WHERE name = 'last_row_id' AND value < ?1").bind(1, highest).run()
        }
    }

    private func insert(_ row: DeferredRow) throws(JournalError) {
        // A row with this id may be there when an operator's action is repeated.
        try remove(row.id, from: "deferred")
        let records = row.records
        let done = min(Int(row.done), records.count)
        let external = records.externalNumbers
        var places: [UInt64] = []
        if records.count > 1 {
            places.reserveCapacity(records.count * 2)
            for index in 0..<records.count {
                places.append(UInt64(records.positions[index]))
                places.append(records.record(index).pointee.offset)
            }
        }
        let statement = try statements(
            """
            INSERT INTO deferred (id, route, subject_hash, subject, first_offset, events, done, bytes_left, state, due, attempts, crashes,
                external_kills, since, last, error, payloads, places, bytes, suspect)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
        let subject = records.count > 0 ? records.view(0).subject : UnsafeRawBufferPointer(start: records.base, count: 0)
        statement.bind(1, row.id).bind(2, Int64(row.route.rawValue)).bind(3, row.subjectHash).bind(4, textInPlace: subject)
        statement.bind(5, done < records.count ? records.record(done).pointee.offset : 0).bind(6, Int64(records.count)).bind(7, Int64(done))
        statement.bind(8, Int64(row.bytesLeft)).bind(9, row.state.name).bind(10, row.dueMillis)
        bind(row.history, to: statement, from: 11)
        statement.bind(20, row.history.isSuspect ? 1 : 0 as Int64)
        var failure: JournalError?
        external.withUnsafeBytes { external in
            places.withUnsafeBytes { places in
                if external.isEmpty { statement.bindNull(17) } else { statement.bind(17, inPlace: external) }
                if places.isEmpty { statement.bindNull(18) } else { statement.bind(18, inPlace: places) }
                statement.bind(19, inPlace: UnsafeRawBufferPointer(start: records.base, count: records.size))
                do throws(JournalError) { try statement.run() } catch { failure = error }
            }
        }
        if let failure { throw failure }
        try retain(external)
    }

    private func update(
        _ id: Int64, done: UInt32, _ state: DeferredState, dueMillis: Int64, _ history: FailureHistory
    ) throws(JournalError) {
        let statement = try statements(
            """
            UPDATE deferred SET state = ?, due = ?, attempts = ?, crashes = ?, external_kills = ?, since = ?, last = ?, error = ?, suspect = ?
            WHERE id = ?
            """)
        statement.bind(1, state.name).bind(2, dueMillis)
        bind(history, to: statement, from: 3)
        try statement.bind(9, history.isSuspect ? 1 : 0 as Int64).bind(10, id).run()
        // Where the first event left lies, without reading the events.
        let place = try statements(
            "SELECT substr(places, ?1 * 16 + 1, 16), length(bytes), events FROM deferred WHERE id = ?2 AND done <> ?1"
        )
        .bind(1, Int64(done)).bind(2, id)
        .first { (numbers: $0.numbers(0), size: $0.bits(1), events: $0.int(2)) }
        guard let place else { return }
        let isLeft = Int64(done) < place.events
        let offset = place.numbers.count == 2 ? place.numbers[1] : 0
        let left = isLeft && place.numbers.count == 2 ? place.size - min(place.size, place.numbers[0]) : isLeft ? place.size : 0
        try statements("UPDATE deferred SET done = ?, first_offset = ?, bytes_left = ? WHERE id = ?")
            .bind(1, Int64(done)).bind(2, offset).bind(3, left).bind(4, id).run()
    }

    private func insert(_ letter: DeadLetter) throws(JournalError) {
        try remove(letter.id, from: "dead")
        let records = letter.records
        let external = records.externalNumbers
        let statement = try statements(
            """
            INSERT INTO dead (id, route, lambda, domain, subject, event_offset, at, reason, attempts, crashes, external_kills, since, last, error,
                payloads, bytes)
            SELECT ?1, route, lambda, domain, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 FROM routes WHERE route = ?2
            """)
        let subject = records.count > 0 ? records.view(0).subject : UnsafeRawBufferPointer(start: records.base, count: 0)
        statement.bind(1, letter.id).bind(2, Int64(letter.route.rawValue)).bind(3, textInPlace: subject)
        statement.bind(4, records.count > 0 ? records.record(0).pointee.offset : 0).bind(5, letter.atMillis).bind(6, letter.reason)
        bind(letter.history, to: statement, from: 7)
        var failure: JournalError?
        external.withUnsafeBytes { external in
            if external.isEmpty { statement.bindNull(13) } else { statement.bind(13, inPlace: external) }
            statement.bind(14, inPlace: UnsafeRawBufferPointer(start: records.base, count: records.size))
            do throws(JournalError) { try statement.run() } catch { failure = error }
        }
        if let failure { throw failure }
        try retain(external)
    }

    private func remove(_ id: Int64, from table: String) throws(JournalError) {
        let external = try statements("SELECT payloads FROM \(table) WHERE id = ? AND payloads IS NOT NULL").bind(1, id).first {
            $0.numbers(0)
        }
        if let external { try release(external) }
        try statements("DELETE FROM \(table) WHERE id = ?").bind(1, id).run()
    }

    private func bind(_ history: FailureHistory, to statement: SQLStatement, from index: Int32) {
        statement.bind(index, Int64(history.attempts)).bind(index + 1, Int64(history.crashes)).bind(index + 2, Int64(history.externalKills))
            .bind(index + 3, history.sinceMillis).bind(index + 4, history.lastMillis).bind(index + 5, history.error)
    }
}

extension DeferredState {
    /// As it stands in the file.
    var name: String {
        switch self {
        case .deferred: "deferred"
        case .parked: "parked"
        case .open: "open"
        case .behind: "behind"
        }
    }

    /// From what stands in the file.
    init(name: String) {
        switch name {
        case "parked": self = .parked
        case "open": self = .open
        case "behind": self = .behind
        default: self = .deferred
        }
    }
}
