import GRDBSQLite
import Glibc

/// A prepared statement on one connection, for the rates at which GRDB's own would cost more than SQLite: blobs are bound without a copy and
/// nothing is allocated for a row. Used by one thread, which also ends it before the connection closes.
final class SQLStatement {
    private let handle: OpaquePointer
    private let connection: OpaquePointer

    /// Prepares `sql`.
    init(_ connection: OpaquePointer, _ sql: String) throws(JournalError) {
        self.connection = connection
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { throw JournalError(sqlite: code, on: connection, doing: sql) }
        self.handle = handle
    }

    deinit { sqlite3_finalize(handle) }

    /// Binds a number; indices begin at 1.
    @discardableResult
    func bind(_ index: Int32, _ value: Int64) -> Self {
        sqlite3_bind_int64(handle, index, value)
        return self
    }

    /// Binds a number's bits.
    @discardableResult
    func bind(_ index: Int32, _ value: UInt64) -> Self { bind(index, Int64(bitPattern: value)) }

    /// Binds a text, copying it.
    @discardableResult
    func bind(_ index: Int32, _ value: String) -> Self {
        var value = value
        value.withUTF8 { bytes in
            // A null pointer would bind NULL.
            let start = bytes.baseAddress ?? UnsafePointer(bitPattern: 1)
            _ = sqlite3_bind_text(
                handle, index, UnsafeRawPointer(start)?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), sqliteTransient)
        }
        return self
    }

    /// Binds bytes as text without copying: they must stay until the statement has run.
    @discardableResult
    func bind(_ index: Int32, textInPlace bytes: UnsafeRawBufferPointer) -> Self {
        sqlite3_bind_text(handle, index, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), nil)
        return self
    }

    /// Binds bytes without copying: they must stay until the statement has run. No bytes bind NULL.
    @discardableResult
    func bind(_ index: Int32, inPlace bytes: UnsafeRawBufferPointer) -> Self {
        sqlite3_bind_blob64(handle, index, bytes.baseAddress, UInt64(bytes.count), nil)
        return self
    }

    /// Binds bytes, copying them. No bytes bind an empty blob.
    @discardableResult
    func bind(_ index: Int32, _ bytes: [UInt8]) -> Self {
        if bytes.isEmpty {
            sqlite3_bind_zeroblob(handle, index, 0)
        } else {
            _ = bytes.withUnsafeBytes { sqlite3_bind_blob64(handle, index, $0.baseAddress, UInt64($0.count), sqliteTransient) }
        }
        return self
    }

    /// Binds NULL.
    @discardableResult
    func bindNull(_ index: Int32) -> Self {
        sqlite3_bind_null(handle, index)
        return self
    }

    /// Runs a statement that returns no rows.
    func run() throws(JournalError) {
        // SQLite 3.40 forgets the system's error number of a failed write; the thread's own still has it.
        errno = 0
        let code = sqlite3_step(handle)
        let system = errno
        sqlite3_reset(handle)
        if code != SQLITE_DONE, code != SQLITE_ROW { throw JournalError(sqlite: code, on: connection, doing: "writing", system: system) }
    }

    /// Calls `body` for each row until it returns false.
    func forEach(_ body: (SQLRow) throws(JournalError) -> Bool) throws(JournalError) {
        defer { sqlite3_reset(handle) }
        while true {
            let code = sqlite3_step(handle)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw JournalError(sqlite: code, on: connection, doing: "reading") }
            if try !body(SQLRow(handle: handle)) { return }
        }
    }

    /// What `body` makes of the first row; nil when there is none.
    func first<T>(_ body: (SQLRow) throws(JournalError) -> T) throws(JournalError) -> T? {
        var found: T?
        try forEach { row throws(JournalError) in
            found = try body(row)
            return false
        }
        return found
    }
}

/// The row a statement stands at; indices begin at 0. Pointers are valid until the next row.
struct SQLRow {
    fileprivate let handle: OpaquePointer

    func int(_ index: Int32) -> Int64 { sqlite3_column_int64(handle, index) }
    func bits(_ index: Int32) -> UInt64 { UInt64(bitPattern: sqlite3_column_int64(handle, index)) }
    func isNull(_ index: Int32) -> Bool { sqlite3_column_type(handle, index) == SQLITE_NULL }

    func blob(_ index: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(handle, index)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, index)))
    }

    func text(_ index: Int32) -> String {
        guard let start = sqlite3_column_text(handle, index) else { return "" }
        return String(decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, index))), as: UTF8.self)
    }

    /// 16-byte hashes.
    func hashes(_ index: Int32) -> [IDHash] {
        let bytes = blob(index)
        return (0..<bytes.count / 16).map {
            IDHash(
                high: bytes.loadUnaligned(fromByteOffset: $0 * 16, as: UInt64.self),
                low: bytes.loadUnaligned(fromByteOffset: $0 * 16 + 8, as: UInt64.self))
        }
    }

    /// 8-byte numbers.
    func numbers(_ index: Int32) -> [UInt64] {
        let bytes = blob(index)
        return (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
    }
}

/// Tells SQLite to copy what is bound.
private let sqliteTransient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

/// The statements of one connection, each prepared once.
final class SQLStatements {
    let connection: OpaquePointer
    private var prepared: [String: SQLStatement] = [:]

    init(_ connection: OpaquePointer) { self.connection = connection }

    func callAsFunction(_ sql: String) throws(JournalError) -> SQLStatement {
        if let known = prepared[sql] { return known }
        let new = try SQLStatement(connection, sql)
        prepared[sql] = new
        return new
    }
}

extension JournalError {
    /// What SQLite said.
    ///
    /// - Parameter system: the system's error number, when the caller knows better than SQLite.
    init(sqlite code: Int32, on connection: OpaquePointer?, doing what: String, system: Int32 = 0) {
        let text = connection.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
        let system = system != 0 ? system : connection.map { sqlite3_system_errno($0) } ?? 0
        let isIO = code & 0xff == SQLITE_IOERR
        if code & 0xff == SQLITE_FULL || isIO && [ENOSPC, EFBIG, EDQUOT].contains(system) {
            self.init(.full, "the journal's disk is full (\(text)): make room; writing is tried again by itself")
        } else if code & 0xff == SQLITE_CORRUPT || code & 0xff == SQLITE_NOTADB {
            self.init(.damaged, "the journal's file is damaged (\(text)); restore a backup, or copy what `sqlite3 FILE .recover` can read")
        } else {
            let errno = isIO && system != 0 ? ", system error \(system)" : ""
            self.init(.failed, "the journal's database, \(what): \(text) (SQLite \(code)\(errno))")
        }
    }
}
