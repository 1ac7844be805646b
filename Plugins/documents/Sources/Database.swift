internal import CSQLite
internal import CapeletSDK

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// One SQLite connection; errors of SQLite become retries with SQLite's words.
///
/// Thread: the worker's.
final class Database {
    /// Thrown while another connection writes; the worker tries again.
    struct Failure: OutcomeError, CustomStringConvertible {
        let code: Int32
        let description: String
        var outcome: Outcome { .retry(description) }
        /// Whether another connection was in the way.
        var isBusy: Bool { code & 0xFF == SQLITE_BUSY || code & 0xFF == SQLITE_LOCKED }
    }

    private var connection: OpaquePointer?
    private let path: String
    private var statements: [String: Statement] = [:]

    /// Opens or makes the file. `busyTimeout`: how long a statement waits for other connections.
    init(path: String, busyTimeout: Duration) throws(Failure) {
        self.path = path
        let code = sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK else {
            let failure = failure(code, "open")
            sqlite3_close_v2(connection)
            connection = nil
            throw failure
        }
        sqlite3_extended_result_codes(connection, 1)
        sqlite3_busy_timeout(
            connection, Int32(clamping: busyTimeout.components.seconds * 1000 + busyTimeout.components.attoseconds / 1_000_000_000_000_000))
    }

    deinit { close() }

    /// Ends the connection; later calls fail.
    func close() {
        statements.removeAll()
        sqlite3_close_v2(connection)
        connection = nil
    }

    /// Runs statements that have no parameters and whose rows nobody wants.
    func execute(_ sql: String) throws(Failure) {
        let code = sqlite3_exec(connection, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code, sql) }
    }

    /// Switches to WAL. That needs the file alone, and fails at once when two workers do it with a new file: the busy timeout does not
    /// cover it.
    func useWriteAheadLog(within limit: Duration) throws(Failure) {
        let deadline = ContinuousClock.now + limit
        while true {
            let code = sqlite3_exec(connection, "PRAGMA journal_mode = WAL", nil, nil, nil)
            if code == SQLITE_OK { return }
            let failure = failure(code, "journal_mode")
            guard failure.isBusy, ContinuousClock.now < deadline else { throw failure }
            usleep(UInt32.random(in: 1_000...20_000))
        }
    }

    /// A statement, prepared once and reset.
    func statement(_ sql: String) throws(Failure) -> Statement {
        if let statement = statements[sql] {
            statement.reset()
            return statement
        }
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { throw failure(code, sql) }
        let statement = Statement(handle, sql: sql, database: self)
        statements[sql] = statement
        return statement
    }

    /// Whether a transaction is open.
    var isInTransaction: Bool { sqlite3_get_autocommit(connection) == 0 }

    /// The key of the row that was inserted last.
    var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(connection) }

    fileprivate func failure(_ code: Int32, _ what: String) -> Failure {
        let words = connection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? "error \(code)"
        return Failure(code: code, description: "\(path): \(words) (\(what.prefix(60)))")
    }
}

/// A prepared statement. Belongs to its `Database`.
final class Statement {
    private let handle: OpaquePointer
    private let sql: String
    private unowned let database: Database
    private var bound: Int32 = 0

    fileprivate init(_ handle: OpaquePointer, sql: String, database: Database) {
        self.handle = handle
        self.sql = sql
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    /// Binds the next parameter.
    func bind(_ number: Int64) throws(Database.Failure) {
        bound += 1
        try check(sqlite3_bind_int64(handle, bound, number))
    }

    /// Binds the next parameter.
    func bind(_ text: String) throws(Database.Failure) {
        bound += 1
        // SQLITE_TRANSIENT: SQLite makes its own copy.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        var text = text
        let code = text.withUTF8 { utf8 in
            let start = UnsafeRawPointer(utf8.baseAddress)?.assumingMemoryBound(to: CChar.self)
            return sqlite3_bind_text64(handle, bound, start, UInt64(utf8.count), transient, UInt8(SQLITE_UTF8))
        }
        try check(code)
    }

    /// Goes to the next row; false when there is none.
    func step() throws(Database.Failure) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw database.failure(code, sql)
        }
    }

    /// Runs to the end.
    func run() throws(Database.Failure) {
        defer { reset() }
        while try step() {}
    }

    /// A number of the row.
    func int(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// A text of the row.
    func text(_ column: Int32) -> String { sqlite3_column_text(handle, column).map { String(cString: $0) } ?? "" }

    /// Ready to be bound and run again.
    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
        bound = 0
    }

    private func check(_ code: Int32) throws(Database.Failure) {
        guard code == SQLITE_OK else { throw database.failure(code, sql) }
    }
}
