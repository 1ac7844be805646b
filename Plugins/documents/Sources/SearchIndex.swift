internal import CapeletSDK

/// The full-text index: one SQLite file that several workers write, one transaction at a time.
///
/// Tables
///   files      one row for each path that was ever seen; the row of a deleted one stays, so that an older event cannot bring it back
///   documents  FTS5 over path and text; its rowid is the file's id. Only text files have a row here
///   present    view: the files that are there
///
/// Invariant: for every path, `files` holds the facts of the highest sequence that was applied, and `documents` the text of the same.
final class SearchIndex {
    private static let schemaVersion: Int64 = 1
    private static let schema = """
        CREATE TABLE files(
            id INTEGER PRIMARY KEY,
            path TEXT NOT NULL UNIQUE,
            offset INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            size INTEGER NOT NULL,
            mtime INTEGER NOT NULL,
            kind TEXT NOT NULL,
            hash TEXT NOT NULL
        );
        CREATE VIRTUAL TABLE documents USING fts5(path, text, tokenize = 'unicode61 remove_diacritics 2');
        CREATE VIEW present AS SELECT path, size, mtime, kind, hash FROM files WHERE kind IN ('text', 'binary');
        PRAGMA user_version = 1;
        """

    private let database: Database

    /// Opens or makes the index. `isFullySynchronous`: a commit waits for the disk, so that not even a power failure undoes it.
    init(path: String, isFullySynchronous: Bool, busyTimeout: Duration) throws {
        database = try Database(path: path, busyTimeout: busyTimeout)
        try database.useWriteAheadLog(within: busyTimeout)
        try database.execute("PRAGMA synchronous = \(isFullySynchronous ? "FULL" : "NORMAL")")
        try transaction {
            let version = try version()
            guard version <= Self.schemaVersion else {
                throw LambdaError.fatal("\(path): made by a newer version of this plugin (schema \(version), known \(Self.schemaVersion))")
            }
            if version == 0 { try database.execute(Self.schema) }
        }
    }

    private func version() throws -> Int64 {
        let statement = try database.statement("PRAGMA user_version")
        defer { statement.reset() }
        return try statement.step() ? statement.int(0) : 0
    }

    /// Runs `body` in a transaction that is rolled back if it throws. It takes the write lock first: a transaction that reads and then
    /// wants to write fails at once when another has written in between, without waiting.
    func transaction(_ body: () throws -> Void) throws {
        try database.execute("BEGIN IMMEDIATE")
        do {
            try body()
            try database.execute("COMMIT")
        } catch {
            if database.isInTransaction { try? database.execute("ROLLBACK") }
            throw error
        }
    }

    /// Brings the index up to what an event says about `path`. Does nothing if a later event of the path was applied before. Within a
    /// transaction.
    ///
    /// The text of a file whose hash has not changed is left as it is, unless `rewrites`; a file without a hash counts as changed.
    func apply(_ extraction: Extraction, path: String, sequence: UInt64, offset: UInt64, rewrites: Bool = false) throws {
        // SQLite has no unsigned integers; sequences and offsets stay far below 2^63.
        let sequence = Int64(clamping: sequence), offset = Int64(clamping: offset)
        let known = try knownFile(path)
        if let known, known.sequence > sequence { return }

        let id: Int64
        let values = [offset, sequence, extraction.size, extraction.mtime]
        if let known {
            id = known.id
            let update = try database.statement(
                "UPDATE files SET offset = ?, sequence = ?, size = ?, mtime = ?, kind = ?, hash = ? WHERE id = ?")
            for value in values { try update.bind(value) }
            try update.bind(extraction.kind.rawValue)
            try update.bind(extraction.hash)
            try update.bind(id)
            try update.run()
        } else {
            let insert = try database.statement(
                "INSERT INTO files(offset, sequence, size, mtime, kind, hash, path) VALUES (?, ?, ?, ?, ?, ?, ?)")
            for value in values { try insert.bind(value) }
            try insert.bind(extraction.kind.rawValue)
            try insert.bind(extraction.hash)
            try insert.bind(path)
            try insert.run()
            id = database.lastInsertedRow
        }

        let hadText = known?.kind == Extraction.Kind.text.rawValue
        let hasText = extraction.kind == .text
        if hadText, hasText, known?.hash == extraction.hash, !extraction.hash.isEmpty, !rewrites { return }
        if hadText {
            let delete = try database.statement("DELETE FROM documents WHERE rowid = ?")
            try delete.bind(id)
            try delete.run()
        }
        if hasText {
            let insert = try database.statement("INSERT INTO documents(rowid, path, text) VALUES (?, ?, ?)")
            try insert.bind(id)
            try insert.bind(path)
            try insert.bind(extraction.text)
            try insert.run()
        }
    }

    /// Ends the connection.
    func close() { database.close() }

    private struct KnownFile {
        let id: Int64
        let sequence: Int64
        let kind: String
        let hash: String
    }

    private func knownFile(_ path: String) throws -> KnownFile? {
        let select = try database.statement("SELECT id, sequence, kind, hash FROM files WHERE path = ?")
        defer { select.reset() }
        try select.bind(path)
        guard try select.step() else { return nil }
        return KnownFile(id: select.int(0), sequence: select.int(1), kind: select.text(2), hash: select.text(3))
    }
}
