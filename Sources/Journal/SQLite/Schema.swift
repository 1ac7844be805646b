import GRDBSQLite

/// The tables, and how older files come up to them. `PRAGMA user_version` is the number of migrations that a file has seen.
enum Schema {
    /// "Cape": tells our files from other people's.
    static let applicationID: Int64 = 0x4361_7065

    /// Migrations in their order. Never change one that was released: add another.
    static let migrations = [
        """
        CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

        -- A log: a domain's events, or the input of a lambda with `after:`.
        CREATE TABLE streams (
            stream INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,                      -- domain, input
            name TEXT NOT NULL,
            first_offset INTEGER NOT NULL DEFAULT 0, -- oldest kept
            next_offset INTEGER NOT NULL DEFAULT 0,
            bytes_taken INTEGER NOT NULL DEFAULT 0,  -- ever
            bytes_trimmed INTEGER NOT NULL DEFAULT 0,
            UNIQUE (kind, name)
        );

        -- Events of one stream and one group of appends; contiguous.
        CREATE TABLE batches (
            position INTEGER PRIMARY KEY,  -- stream << 44 | base
            stream INTEGER NOT NULL,
            base INTEGER NOT NULL,         -- offset of the first event
            count INTEGER NOT NULL,
            at INTEGER NOT NULL,           -- milliseconds since 1970
            crc INTEGER NOT NULL,          -- CRC32C of stream, count, base and bytes
            bytes_taken INTEGER NOT NULL,  -- by the stream, up to and with this row
            payloads BLOB,                 -- numbers of payload files, 8 bytes each
            ids BLOB,                      -- hashes of ids, 16 bytes each
            fingerprints BLOB,             -- hashes of numbered events, 16 bytes each
            bytes BLOB NOT NULL            -- event records
        );

        -- Ids of events that were trimmed before their time in the duplicate window was over.
        CREATE TABLE remembered_ids (
            position INTEGER PRIMARY KEY,
            base INTEGER NOT NULL,
            at INTEGER NOT NULL,
            ids BLOB,
            fingerprints BLOB
        );

        -- The last event of each subject where producers number.
        CREATE TABLE sequences (
            stream INTEGER NOT NULL,
            subject TEXT NOT NULL,
            last_sequence INTEGER NOT NULL,
            fingerprint BLOB NOT NULL,
            last_offset INTEGER NOT NULL,
            PRIMARY KEY (stream, subject)
        ) WITHOUT ROWID;

        -- How far each lambda has come.
        CREATE TABLE routes (
            route INTEGER PRIMARY KEY AUTOINCREMENT,
            lambda TEXT NOT NULL,
            domain TEXT NOT NULL,
            stream INTEGER NOT NULL,
            watermark INTEGER NOT NULL,  -- everything below is done
            done_above BLOB NOT NULL,    -- ranges: gap and length, varints
            UNIQUE (lambda, domain, stream)
        );

        -- Events set aside: waiting for a retry, parked, open for long, or behind such a one of their subject.
        CREATE TABLE deferred (
            id INTEGER PRIMARY KEY,
            route INTEGER NOT NULL,
            subject_hash INTEGER NOT NULL,
            subject TEXT NOT NULL,
            first_offset INTEGER NOT NULL,  -- of the first event left
            events INTEGER NOT NULL,
            done INTEGER NOT NULL,
            bytes_left INTEGER NOT NULL,
            state TEXT NOT NULL,            -- deferred, parked, open, behind
            due INTEGER NOT NULL,           -- milliseconds since 1970
            attempts INTEGER NOT NULL,
            crashes INTEGER NOT NULL,
            external_kills INTEGER NOT NULL,
            since INTEGER NOT NULL,
            last INTEGER NOT NULL,
            error TEXT NOT NULL,
            payloads BLOB,
            places BLOB,                    -- of several events: where each begins and its offset, 8 bytes each
            bytes BLOB NOT NULL             -- event records
        );
        CREATE INDEX deferred_by_subject ON deferred (route, subject_hash, id, state, due, events, done, bytes_left);

        -- Events given up on.
        CREATE TABLE dead (
            id INTEGER PRIMARY KEY,
            route INTEGER NOT NULL,
            lambda TEXT NOT NULL,
            domain TEXT NOT NULL,
            subject TEXT NOT NULL,
            event_offset INTEGER NOT NULL,
            at INTEGER NOT NULL,
            reason TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            crashes INTEGER NOT NULL,
            external_kills INTEGER NOT NULL,
            since INTEGER NOT NULL,
            last INTEGER NOT NULL,
            error TEXT NOT NULL,
            payloads BLOB,
            bytes BLOB NOT NULL
        );
        CREATE INDEX dead_by_route ON dead (route);

        -- Upstreams' parts of events that wait for others (`after: [a, b]`).
        CREATE TABLE joins (
            stream INTEGER NOT NULL,
            event_offset INTEGER NOT NULL,
            lambda TEXT NOT NULL,
            succeeded INTEGER NOT NULL,
            output BLOB NOT NULL,
            PRIMARY KEY (stream, event_offset, lambda)
        );

        -- What event sources keep with their events: catalogs, cursors.
        CREATE TABLE source_state (
            source TEXT NOT NULL,
            key BLOB NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (source, key)
        ) WITHOUT ROWID;

        -- Files in payloads/ and how many rows name them.
        CREATE TABLE payloads (
            number INTEGER PRIMARY KEY,
            rows INTEGER NOT NULL
        );

        -- Highest id of a deferred row or dead letter.
        INSERT INTO meta VALUES ('last_row_id', 0);
        INSERT INTO meta VALUES ('flushes', 0);
        """,
        """
        -- Whether the first event left runs alone in its worker, because one died that had it.
        ALTER TABLE deferred ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0;
        """,
    ]

    /// Brings a file up to date.
    static func migrate(_ connection: OpaquePointer, path: String) throws(JournalError) {
        let application = try pragma(connection, "application_id")
        let version = try pragma(connection, "user_version")
        let tables = try SQLStatement(connection, "SELECT count(*) FROM sqlite_master").first { $0.int(0) } ?? 0
        if application != applicationID, tables > 0 {
            throw JournalError(.damaged, "\(path) is a SQLite file, but no journal of Capelet's; choose another `data:`")
        }
        guard version <= migrations.count else {
            throw JournalError(
                .newerSchema,
                "\(path) has schema \(version), this program knows up to \(migrations.count): it was written by a newer Capelet; use that one, "
                    + "or another `data:`")
        }
        for number in Int(version)..<migrations.count {
            try execute(connection, "BEGIN IMMEDIATE")
            do throws(JournalError) {
                try execute(connection, migrations[number])
                if number == 0 { try addKey(connection) }
                try execute(connection, "PRAGMA user_version = \(number + 1); PRAGMA application_id = \(applicationID)")
                try execute(connection, "COMMIT")
            } catch {
                sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
                throw error
            }
        }
    }

    /// Runs statements that return nothing.
    static func execute(_ connection: OpaquePointer, _ sql: String) throws(JournalError) {
        let code = sqlite3_exec(connection, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw JournalError(sqlite: code, on: connection, doing: sql) }
    }

    /// The value of a pragma.
    static func pragma(_ connection: OpaquePointer, _ name: String) throws(JournalError) -> Int64 {
        try SQLStatement(connection, "PRAGMA \(name)").first { $0.int(0) } ?? 0
    }

    /// The key under which this data directory hashes subjects and ids.
    private static func addKey(_ connection: OpaquePointer) throws(JournalError) {
        var generator = SystemRandomNumberGenerator()
        let key = withUnsafeBytes(of: (generator.next() as UInt64, generator.next() as UInt64)) { Array($0) }
        try SQLStatement(connection, "INSERT INTO meta VALUES ('subject_key', ?)").bind(1, key).run()
    }
}
