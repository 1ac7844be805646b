import GRDBSQLite

// Removing what is done with.
extension SQLiteStorage {
    func trim(_ plan: TrimPlan) throws(JournalError) -> TrimResult {
        struct Candidate {
            var key: Int64
            var end: UInt64
            var size: UInt64
            var external: [UInt64]
            var hasIDs: Bool
        }
        let range = BatchPosition.range(of: plan.stream)
        var candidates: [Candidate] = []
        var removed: UInt64 = 0
        var hasMore = false
        let select = try statements(
            """
            SELECT position, base + count, at, bytes_taken, length(bytes), payloads, at >= ? AND (length(ids) > 0 OR length(fingerprints) > 0)
            FROM batches WHERE position BETWEEN ? AND ? ORDER BY position
            """)
        try select.bind(1, plan.idsSinceMillis).bind(2, range.lowerBound).bind(3, range.upperBound).forEach { row in
            guard row.bits(1) <= plan.below, row.int(2) < plan.beforeMillis || row.bits(3) <= plan.upToTotal else { return false }
            guard removed < UInt64(plan.bytes) else {
                hasMore = true
                return false
            }
            let isRemembered = row.int(6) != 0 && plan.idsFrom.map { row.bits(1) > $0 } ?? false
            candidates.append(
                Candidate(key: row.int(0), end: row.bits(1), size: row.bits(4), external: row.numbers(5), hasIDs: isRemembered))
            removed += row.bits(4)
            return true
        }
        guard let last = candidates.last else { return TrimResult(start: nil, removed: 0, hasMore: false) }
        // Losing this costs nothing: the rows would be removed again.
        try transaction(full: false) { () throws(JournalError) in
            for candidate in candidates {
                if candidate.hasIDs {
                    try statements(
                        "INSERT INTO remembered_ids (position, base, at, ids, fingerprints) "
                            + "SELECT position, base, at, ids, fingerprints FROM batches WHERE position = ?"
                    ).bind(1, candidate.key).run()
                }
                try release(candidate.external)
                try statements("DELETE FROM batches WHERE position = ?").bind(1, candidate.key).run()
            }
            try statements("UPDATE streams SET first_offset = ?, bytes_trimmed = bytes_trimmed + ? WHERE stream = ?")
                .bind(1, last.end).bind(2, removed).bind(3, Int64(plan.stream.rawValue)).run()
            // The row that holds the oldest id that is remembered stays, those before it go.
            let keepFrom = BatchPosition.key(plan.stream, plan.idsFrom ?? .max)
            try statements(
                """
                DELETE FROM remembered_ids WHERE position >= ?1 AND position <
                    ifnull((SELECT max(position) FROM remembered_ids WHERE position BETWEEN ?1 AND ?2), ?1)
                """
            ).bind(1, range.lowerBound).bind(2, keepFrom).run()
        }
        return TrimResult(start: last.end, removed: removed, hasMore: hasMore)
    }
}
