import CLinux
import GRDBSQLite
import Glibc
import WorkerProtocol

/// The rows of a journal in its SQLite file, as its writer sees them. Lives on the writer's thread, on the pool's one writing connection.
///
/// Each write is one transaction. `synchronous=FULL`: its COMMIT returns after the fsync of the write-ahead log. The exceptions are groups for whose
/// fsync nobody waits, and trimming, whose loss would cost nothing; they run with NORMAL, and the next full group syncs them along.
final class SQLiteStorage: JournalStorage {
    let statements: SQLStatements
    let connection: OpaquePointer
    private let directory: String
    private let payloads: PayloadFiles
    private let tail: TailFile
    /// How far each stream has come, committed.
    private var ends: [StreamID: UInt64] = [:]
    /// What is in force on the connection; nil: unknown.
    private var isFull: Bool?
    /// Payload files that lost a row in this transaction.
    private var released: [UInt64] = []
    /// Payload files whose last row goes with this transaction.
    private var removable: [UInt64] = []
    /// Payload files whose last row is gone in a transaction that is not known to be on disk.
    private var removedUnsynced: [UInt64] = []
    /// Frames in the write-ahead log after the last commit. On the heap, because SQLite's hook writes it.
    private let walFrames = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    private var nextRestart = ContinuousClock.now
    private var knownRoom: (bytes: UInt64, until: ContinuousClock.Instant)?
    private var writtenSince: UInt64 = 0
    /// Whether an I/O error left it open what is on disk; then a checkpoint has to succeed first.
    var isDoubtful = false
    /// Whether a relaxed group waits for its fsync.
    private(set) var isUnsynced = false

    /// Frames of 16 KiB after which the log is written back into the file.
    static let checkpointFrames: Int32 = 512
    /// Frames after which readers are waited for, so that the log can begin anew.
    static let checkpointFramesMax: Int32 = 4096

    init(connection: OpaquePointer, directory: String, payloads: PayloadFiles, tail: TailFile) throws(JournalError) {
        self.connection = connection
        self.directory = directory
        self.payloads = payloads
        self.tail = tail
        statements = SQLStatements(connection)
        walFrames.pointee = 0
        sqlite3_wal_hook(
            connection,
            { context, _, _, frames in
                context?.assumingMemoryBound(to: Int32.self).pointee = frames
                return SQLITE_OK
            }, walFrames)
        try setFull(true)
        let mode = try Schema.pragma(connection, "synchronous")
        guard mode == 2 else {
            throw JournalError(.failed, "the journal in \(directory) would not sync its commits (synchronous is \(mode), not 2)")
        }
    }

    deinit {
        sqlite3_wal_hook(connection, nil, nil)
        walFrames.deallocate()
    }

    // MARK: Transactions

    /// Whether COMMIT waits for the fsync.
    func setFull(_ full: Bool) throws(JournalError) {
        guard isFull != full else { return }
        isFull = nil
        try Schema.execute(connection, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
        isFull = full
    }

    /// Runs `body` in one transaction.
    func transaction(full: Bool = true, _ body: () throws(JournalError) -> Void) throws(JournalError) {
        if isDoubtful { try recover() }
        try setFull(full)
        do throws(JournalError) {
            try statements("BEGIN IMMEDIATE").run()
            try body()
            try settleReleased()
            try statements("COMMIT").run()
        } catch {
            // A full disk refuses a write and leaves nothing in doubt, unless it is the fsync that says so.
            let extended = sqlite3_extended_errcode(connection)
            isDoubtful = error.code != .full || extended == SQLITE_IOERR | 4 << 8
            if sqlite3_get_autocommit(connection) == 0 { sqlite3_exec(connection, "ROLLBACK", nil, nil, nil) }
            released = []
            removable = []
            throw error
        }
        if full {
            // Everything before this is on disk now too.
            isUnsynced = false
            for number in removable + removedUnsynced { payloads.remove(number) }
            removedUnsynced = []
        } else {
            removedUnsynced.append(contentsOf: removable)
        }
        removable = []
    }

    /// After an I/O error nobody knows which pages of the log the kernel has dropped; a checkpoint writes what is committed into the file and
    /// syncs it. Nothing is acknowledged before that has succeeded.
    private func recover() throws(JournalError) {
        try setFull(true)
        let code = checkpoint(SQLITE_CHECKPOINT_RESTART, waitMillis: 1000)
        guard code == SQLITE_OK else { throw JournalError(sqlite: code, on: connection, doing: "writing the log back after an error") }
        isDoubtful = false
        walFrames.pointee = 0
    }

    /// Writes the log back into the file when it has grown enough. Failing is not an error here: the next commit tells.
    ///
    /// A reader that stays long (a backup, somebody's sqlite3 shell) keeps the log from beginning anew; then it grows. Now and then the writer waits
    /// a moment for a gap between readers, but never for one of them.
    func checkpointIfDue() {
        let frames = walFrames.pointee
        guard frames >= Self.checkpointFrames else { return }
        let time = ContinuousClock.now
        let waits = frames >= Self.checkpointFramesMax && time >= nextRestart
        if waits { nextRestart = time + .seconds(1) }
        let code = checkpoint(waits ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, waitMillis: 20)
        if code & 0xff == SQLITE_IOERR || code & 0xff == SQLITE_FULL { isDoubtful = true }
        tail.sync()
    }

    /// - Parameter waitMillis: how long to wait for readers, where the mode does.
    private func checkpoint(_ mode: Int32, waitMillis: Int32) -> Int32 {
        sqlite3_busy_timeout(connection, waitMillis)
        defer { sqlite3_busy_timeout(connection, 5000) }
        return sqlite3_wal_checkpoint_v2(connection, nil, mode, nil, nil)
    }

    /// Writes all of the log back and empties it, so that the file alone is the journal. The readers that close after the writer could not.
    func finish() {
        _ = checkpoint(SQLITE_CHECKPOINT_TRUNCATE, waitMillis: 1000)
        tail.sync()
    }

    /// Brings to the disk what is only written now and then.
    func syncTail() { tail.sync() }

    /// Syncs relaxed groups.
    func flush() throws(JournalError) {
        guard isUnsynced else { return }
        try transaction { () throws(JournalError) in try statements("UPDATE meta SET value = value + 1 WHERE name = 'flushes'").run() }
        tail.write(ends)
    }

    // MARK: Streams and routes

    func load() throws(JournalError) -> StoredState {
        var state = StoredState()
        try statements("SELECT stream, kind, name, first_offset, next_offset, bytes_taken, bytes_trimmed FROM streams ORDER BY stream")
            .forEach {
                row in
                let description = StreamDescription(
                    id: StreamID(rawValue: UInt32(truncatingIfNeeded: row.int(0))), kind: row.text(1) == "input" ? .input : .domain,
                    name: row.text(2))
                state.streams.append(
                    StoredState.Stream(
                        description: description, start: row.bits(3), next: row.bits(4), total: row.bits(5), trimmed: row.bits(6)))
                ends[description.id] = row.bits(4)
                return true
            }
        state.routes = try Self.routes(statements)
        try statements("SELECT name, seq FROM sqlite_sequence").forEach { row in
            if row.text(0) == "streams" { state.nextStream = UInt32(row.int(1)) + 1 }
            if row.text(0) == "routes" { state.nextRoute = UInt32(row.int(1)) + 1 }
            return true
        }
        return state
    }

    static func routes(_ statements: SQLStatements) throws(JournalError) -> [RouteState] {
        var routes: [RouteState] = []
        try statements("SELECT route, lambda, domain, stream, watermark, done_above FROM routes ORDER BY route").forEach {
            row throws(JournalError) in
            guard let ranges = ProgressCoding.decode(row.blob(5), above: row.bits(4)) else {
                throw JournalError(
                    .damaged,
                    "the progress of lambda '\(row.text(1))' in domain '\(row.text(2))' is damaged; restore a backup or forget the lambda")
            }
            routes.append(
                RouteState(
                    id: RouteID(rawValue: UInt32(truncatingIfNeeded: row.int(0))), lambda: row.text(1), domain: row.text(2),
                    stream: StreamID(rawValue: UInt32(truncatingIfNeeded: row.int(3))), watermark: row.bits(4), ranges: ranges))
            return true
        }
        return routes
    }

    func addStream(_ stream: StreamDescription) throws(JournalError) {
        try transaction { () throws(JournalError) in
            try statements("INSERT INTO streams (stream, kind, name) VALUES (?, ?, ?)")
                .bind(1, Int64(stream.id.rawValue)).bind(2, stream.kind == .input ? "input" : "domain").bind(3, stream.name).run()
        }
    }

    func addRoute(_ route: RouteState) throws(JournalError) {
        try transaction { () throws(JournalError) in
            try statements("INSERT INTO routes (route, lambda, domain, stream, watermark, done_above) VALUES (?, ?, ?, ?, ?, ?)")
                .bind(1, Int64(route.id.rawValue)).bind(2, route.lambda).bind(3, route.domain).bind(4, Int64(route.stream.rawValue))
                .bind(5, route.watermark).bind(6, ProgressCoding.encode(route.ranges, above: route.watermark)).run()
        }
    }

    func removeRoute(_ route: RouteID) throws(JournalError) {
        try transaction { () throws(JournalError) in
            var external: [UInt64] = []
            try statements("SELECT payloads FROM deferred WHERE route = ? AND payloads IS NOT NULL").bind(1, Int64(route.rawValue)).forEach
            {
                external.append(contentsOf: $0.numbers(0))
                return true
            }
            try release(external)
            try statements("DELETE FROM deferred WHERE route = ?").bind(1, Int64(route.rawValue)).run()
            try statements("DELETE FROM routes WHERE route = ?").bind(1, Int64(route.rawValue)).run()
        }
    }

    // MARK: Lookups

    func lastSequence(_ stream: StreamID, subject: UnsafeRawBufferPointer) throws(JournalError) -> SequenceEntry? {
        try statements("SELECT last_sequence, fingerprint, last_offset FROM sequences WHERE stream = ? AND subject = ?")
            .bind(1, Int64(stream.rawValue)).bind(2, textInPlace: subject)
            .first { SequenceEntry(sequence: $0.bits(0), fingerprint: $0.hashes(1).first ?? .none, offset: $0.bits(2)) }
    }

    func rememberedIDs(_ stream: StreamID, _ body: (UInt64, Int64, [IDHash], [IDHash]) -> Bool) throws(JournalError) {
        let range = BatchPosition.range(of: stream)
        for table in ["batches", "remembered_ids"] {
            var wantsMore = true
            let sql = "SELECT base, at, ids, fingerprints FROM \(table) WHERE position BETWEEN ? AND ? ORDER BY position DESC"
            try statements(sql).bind(1, range.lowerBound).bind(2, range.upperBound).forEach { row in
                wantsMore = body(row.bits(0), row.int(1), row.hashes(2), row.hashes(3))
                return wantsMore
            }
            if !wantsMore { return }
        }
    }

    func total(of stream: StreamID, before position: UInt64) throws(JournalError) -> UInt64? {
        let range = BatchPosition.range(of: stream)
        let columns = "SELECT base, count, bytes_taken, length(bytes) FROM batches WHERE position BETWEEN ? AND ? ORDER BY position"
        let holding = try statements(columns + " DESC LIMIT 1")
            .bind(1, range.lowerBound).bind(2, BatchPosition.key(stream, position))
            .first { (end: $0.bits(0) + $0.bits(1), after: $0.bits(2), size: $0.bits(3)) }
        if let holding { return position < holding.end ? holding.after - holding.size : holding.after }
        return try statements(columns + " LIMIT 1").bind(1, range.lowerBound).bind(2, range.upperBound).first { $0.bits(2) - $0.bits(3) }
    }

    func payloadHash(_ number: UInt64) throws(JournalError) -> IDHash { try payloads.hash(number) }

    func room() -> UInt64? {
        let time = ContinuousClock.now
        if let knownRoom, time < knownRoom.until { return knownRoom.bytes - min(knownRoom.bytes, writtenSince) }
        var disk = statvfs()
        guard statvfs(directory, &disk) == 0 else { return nil }
        let free = UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
        let pages = (try? Schema.pragma(connection, "page_count")) ?? 0
        let unused = (try? Schema.pragma(connection, "freelist_count")) ?? 0
        let used = UInt64(max(0, pages - unused)) * 16384
        let limit = (free + used) / 5 * 4
        knownRoom = (limit - min(limit, used), time + .seconds(1))
        writtenSince = 0
        return knownRoom?.bytes
    }

    // MARK: Groups

    func write(_ group: WriteGroup) throws(JournalError) {
        try transaction(full: !group.isRelaxed) { () throws(JournalError) in
            for row in group.batches { try insert(row) }
            for end in group.ends {
                try statements("UPDATE streams SET next_offset = ?, bytes_taken = ? WHERE stream = ?")
                    .bind(1, end.next).bind(2, end.total).bind(3, Int64(end.stream.rawValue)).run()
            }
            for (stream, changes) in group.sequences {
                for change in changes { try upsert(change, stream) }
            }
            for (source, changes) in group.sources { try write(source, changes) }
            for commit in group.commits { try write(commit) }
        }
        for end in group.ends { ends[end.stream] = end.next }
        if group.isRelaxed {
            isUnsynced = true
        } else if !group.ends.isEmpty {
            tail.write(ends)
        }
        for row in group.batches { writtenSince += UInt64(row.batch.size) }
    }

    private func insert(_ row: BatchRow) throws(JournalError) {
        let batch = row.batch
        let statement = try statements(
            """
            INSERT INTO batches (position, stream, base, count, at, crc, bytes_taken, payloads, ids, fingerprints, bytes)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
        statement.bind(1, BatchPosition.key(batch.stream, batch.base)).bind(2, Int64(batch.stream.rawValue)).bind(3, batch.base)
        statement.bind(4, Int64(batch.count)).bind(5, row.atMillis)
        statement.bind(6, Int64(BatchPosition.checksum(stream: batch.stream, base: batch.base, count: batch.count, batch.records.bytes)))
        statement.bind(7, row.total).bind(11, inPlace: batch.records.bytes)
        var failure: JournalError?
        row.external.withUnsafeBytes { external in
            row.ids.withUnsafeBytes { ids in
                row.fingerprints.withUnsafeBytes { fingerprints in
                    if external.isEmpty { statement.bindNull(8) } else { statement.bind(8, inPlace: external) }
                    if ids.isEmpty { statement.bindNull(9) } else { statement.bind(9, inPlace: ids) }
                    if fingerprints.isEmpty { statement.bindNull(10) } else { statement.bind(10, inPlace: fingerprints) }
                    do throws(JournalError) { try statement.run() } catch { failure = error }
                }
            }
        }
        if let failure { throw failure }
        try retain(row.external)
    }

    private func upsert(_ change: SequenceChange, _ stream: StreamID) throws(JournalError) {
        let entry = change.entry
        let statement = try statements(
            """
            INSERT INTO sequences (stream, subject, last_sequence, fingerprint, last_offset) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET last_sequence = excluded.last_sequence, fingerprint = excluded.fingerprint,
                last_offset = excluded.last_offset
            """)
        var failure: JournalError?
        withUnsafeBytes(of: (entry.fingerprint.high, entry.fingerprint.low)) { fingerprint in
            statement.bind(1, Int64(stream.rawValue)).bind(2, textInPlace: change.subject).bind(3, entry.sequence)
                .bind(4, inPlace: fingerprint).bind(5, entry.offset)
            do throws(JournalError) { try statement.run() } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func write(_ source: String, _ changes: [SourceChange]) throws(JournalError) {
        for change in changes {
            switch change {
            case .put(let key, let value):
                try statements("INSERT OR REPLACE INTO source_state (source, key, value) VALUES (?, ?, ?)")
                    .bind(1, source).bind(2, key).bind(3, value).run()
            case .remove(let key):
                try statements("DELETE FROM source_state WHERE source = ? AND key = ?").bind(1, source).bind(2, key).run()
            }
        }
    }

    // MARK: Payload files

    /// Counts rows that name these files; in a transaction.
    func retain(_ numbers: [UInt64]) throws(JournalError) {
        for number in numbers {
            try statements("INSERT INTO payloads (number, rows) VALUES (?, 1) ON CONFLICT DO UPDATE SET rows = rows + 1")
                .bind(1, number).run()
        }
    }

    /// Counts rows that no longer name these files; in a transaction.
    func release(_ numbers: [UInt64]) throws(JournalError) {
        for number in numbers {
            try statements("UPDATE payloads SET rows = rows - 1 WHERE number = ?").bind(1, number).run()
            released.append(number)
        }
    }

    /// At the end of a transaction, which may name anew what it has released: files that no row names go once it is on disk.
    private func settleReleased() throws(JournalError) {
        for number in released {
            let left = try statements("SELECT rows FROM payloads WHERE number = ?").bind(1, number).first { $0.int(0) }
            guard let left, left <= 0 else { continue }
            try statements("DELETE FROM payloads WHERE number = ?").bind(1, number).run()
            removable.append(number)
        }
        released = []
    }
}

/// Keys and checksums of batch rows.
enum BatchPosition {
    /// Offsets below 2^44 and streams below 2^19 fit SQLite's row id.
    static func key(_ stream: StreamID, _ base: UInt64) -> Int64 {
        Int64(stream.rawValue) << 44 | Int64(truncatingIfNeeded: min(base, 1 << 44 - 1))
    }

    /// Keys of a stream's rows.
    static func range(of stream: StreamID) -> ClosedRange<Int64> { key(stream, 0)...key(stream, .max) }

    /// CRC32C of a row: what it is and what it holds.
    static func checksum(stream: StreamID, base: UInt64, count: Int, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var header = (UInt32(stream.rawValue).littleEndian, UInt32(truncatingIfNeeded: count).littleEndian, base.littleEndian)
        let start = withUnsafeBytes(of: &header) { capelet_linux_crc32c(0, $0.baseAddress, $0.count) }
        return capelet_linux_crc32c(start, bytes.baseAddress, bytes.count)
    }
}
