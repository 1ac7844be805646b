import GRDBSQLite

// Removing what is done with.
extension SQLiteStorage {
    /// Rows removed at once, so that writing does not wait for long.
    private static let trimRowsMax = 4000

    func trim(_ plan: TrimPlan) throws(JournalError) -> TrimResult {
        let range = BatchPosition.range(of: plan.stream)
        var last: (key: Int64, end: UInt64)?
        var count = 0
        var removed: UInt64 = 0
        var external: [UInt64] = []
        var hasMore = false
        let select = try statements(
            """
            SELECT position, base + count, at, bytes_taken, length(bytes), payloads FROM batches WHERE position BETWEEN ? AND ? ORDER BY position
            """)
        try select.bind(1, range.lowerBound).bind(2, range.upperBound).forEach { row in
            guard row.bits(1) <= plan.below, row.int(2) < plan.beforeMillis || row.bits(3) <= plan.upToTotal else { return false }
            guard removed < UInt64(plan.bytes), count < Self.trimRowsMax else {
                hasMore = true
                return false
            }
            last = (row.int(0), row.bits(1))
            removed += row.bits(4)
            count += 1
            external.append(contentsOf: row.numbers(5))
            return true
        }
        guard let last else { return TrimResult(start: nil, removed: 0, hasMore: false) }
        // Losing this costs nothing: the rows would be removed again.
        try transaction(full: false) { () throws(JournalError) in
            if let idsFrom = plan.idsFrom {
                let sql = """
                    INSERT INTO remembered_ids (position, base, at, ids, fingerprints) SELECT position, base, at, ids, fingerprints FROM batches
                    WHERE position BETWEEN ? AND ? AND at >= ? AND base + count > ? AND (ids IS NOT NULL OR fingerprints IS NOT NULL)
                    """
                try statements(sql).bind(1, range.lowerBound).bind(2, last.key).bind(3, plan.idsSinceMillis).bind(4, idsFrom).run()
            }
            try release(external)
            try statements("DELETE FROM batches WHERE position BETWEEN ? AND ?").bind(1, range.lowerBound).bind(2, last.key).run()
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
