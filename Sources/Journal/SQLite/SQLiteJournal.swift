import Foundation
import GRDB
import GRDBSQLite
import Glibc
import Synchronization
public import WorkerProtocol

/// The journal in one SQLite file, `journal.sqlite` in the data directory (DESIGN §3, SEMANTICS §1 and §7).
///
/// One writer thread owns the pool's writing connection from opening to closing. It takes everything that waits, writes it in one transaction, and
/// answers after the fsync: under load a group is what came in during the fsync of the one before. When nothing waits it removes what is done with.
///
/// **Relaxed appends.** A group of nothing but relaxed appends is committed without waiting for its fsync, which follows with the next
/// full group or after 100 ms. A crash of the process loses nothing of it; a crash of the machine may lose events answered in its last 100 ms.
/// The file stays consistent either way: what is lost is a tail.
///
/// **Failures.** When writing fails, nobody in the group is acknowledged, and `figures().fault` says why until a group succeeds. After an I/O error a
/// checkpoint has to succeed first, because the kernel may have dropped pages that it could not write. The next tries wait for 10 ms to 1 s.
///
/// Functions that block for a commit may be called on the writer's thread too (from a completion), but should not be.
public final class SQLiteJournal: Journal, Sendable {
    /// How the file is used.
    public struct Options: Sendable {
        /// Bytes of recent batches that `cached` knows.
        public var cacheBytesMax = 64 << 20
        /// Opens a file although acknowledged events are missing from it, saying so in the log; else it is refused.
        public var acceptsLosses = false
        /// The clock, milliseconds since 1970.
        public var now: @Sendable () -> Int64 = { wallClockMillis() }
        /// Called with what an operator should know; any thread.
        public var log: @Sendable (String) -> Void = { _ in }
        /// The defaults.
        public init() {}
    }

    /// The data directory.
    public let directory: String
    /// See `Journal.subjectHash`.
    public let subjectHash: SubjectHash
    private let path: String
    private let pool: DatabasePool
    private let payloads: PayloadFiles
    private let view: JournalView
    private let thread: JournalThread
    private let lock: Mutex<DirectoryLock?>

    /// Opens the journal of a data directory, making it where there is none.
    ///
    /// Throws `inUse` when another process has it, `newerSchema`, `damaged` when acknowledged events are missing, `full` or `failed`.
    public static func open(directory: String, options: Options = Options()) throws(JournalError) -> SQLiteJournal {
        try SQLiteJournal(directory: directory, options: options)
    }

    private init(directory: String, options: Options) throws(JournalError) {
        self.directory = directory
        lock = Mutex(try DirectoryLock(directory: directory))
        let path = directory + "/journal.sqlite"
        self.path = path
        // SQLite gives its other files the mode of this one.
        let made = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if made >= 0 { Glibc.close(made) }
        // Files that were copied here, as from a backup, may be open to others.
        for file in [path, path + "-wal", path + "-shm", directory + "/tail"] { chmod(file, 0o600) }
        let pool = try Self.openPool(path)
        self.pool = pool
        let view = JournalView(cacheBytesMax: options.cacheBytesMax)
        self.view = view
        let opened: (SubjectHash, PayloadFiles) = try Self.mapped("opening \(path)") {
            try pool.writeWithoutTransaction { db in
                guard let connection = db.sqliteConnection else { throw JournalError(.closed, "the journal is closed") }
                return try Self.prepare(connection, directory: directory, path: path, options: options)
            }
        }
        (subjectHash, payloads) = opened
        thread = try JournalThread(pool: pool, directory: directory, payloads: opened.1, view: view, hash: opened.0, now: options.now)
    }

    private static func openPool(_ path: String) throws(JournalError) -> DatabasePool {
        var configuration = Configuration()
        configuration.label = "journal"
        configuration.maximumReaderCount = 4
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            // Of a new file; older ones keep theirs.
            try db.execute(sql: "PRAGMA page_size = 16384")
            try db.execute(sql: "PRAGMA cache_size = -16384")
        }
        return try mapped("opening \(path)") { try DatabasePool(path: path, configuration: configuration) }
    }

    /// Brings the file up to date and checks it, on the writing connection.
    private static func prepare(
        _ connection: OpaquePointer, directory: String, path: String, options: Options
    ) throws(JournalError) -> (SubjectHash, PayloadFiles) {
        try Schema.migrate(connection, path: path)
        // The log is written back by SQLiteStorage, so that a failure of that is seen; it shrinks to this when it begins anew.
        try Schema.execute(connection, "PRAGMA journal_size_limit = \(64 << 20)")
        sqlite3_wal_autocheckpoint(connection, 0)
        let statements = SQLStatements(connection)
        do throws(JournalError) {
            let reads = SQLiteReads(statements: statements)
            try reads.verify(tail: TailFile(path: directory + "/tail").found)
            try reads.verify()
        } catch {
            guard error.code == .damaged, options.acceptsLosses else { throw error }
            options.log("opened all the same, as asked: \(error.message)")
        }
        let key = try statements("SELECT value FROM meta WHERE name = 'subject_key'").first { $0.numbers(0) } ?? []
        guard key.count == 2 else { throw JournalError(.damaged, "\(path) has no key for subjects; restore a backup") }
        let hash = SubjectHash(key0: key[0], key1: key[1])
        let payloads = try PayloadFiles(directory: directory + "/payloads", hasher: IDHasher(hash)) { number throws(JournalError) in
            try statements("SELECT 1 FROM payloads WHERE number = ? AND rows > 0").bind(1, number).first { _ in true } ?? false
        }
        payloads.reserve(upTo: try statements("SELECT ifnull(max(number), 0) FROM payloads").first { $0.bits(0) } ?? 0)
        return (hash, payloads)
    }

    deinit { close() }

    // MARK: Writing

    /// See `Journal.append`.
    public func append(_ request: AppendRequest) { thread.hand(.append(request)) }

    /// See `Journal.commit`.
    public func commit(_ commit: JournalCommit, completion: @escaping @Sendable (Result<Void, JournalError>) -> Void) {
        thread.hand(.commit(commit, completion: completion))
    }

    /// See `Journal.setObserver`.
    public func setObserver(_ observer: @escaping @Sendable ([StreamAdvance]) -> Void) { view.setObserver(observer) }

    /// See `Journal.storePayload`.
    public func storePayload(_ payload: UnsafeRawBufferPointer) throws(JournalError) -> UInt64 { try payloads.store(payload) }

    /// See `Journal.close`.
    public func close() {
        // On the writer's own thread (the last reference went in a completion) the pool closes when it goes.
        if thread.stop() { try? pool.close() }
        lock.withLock { $0 = nil }
    }

    // MARK: Streams and routes

    /// See `Journal.stream`.
    public func stream(_ kind: StreamKind, named name: String) throws(JournalError) -> StreamID {
        if let known = view.stream(kind, named: name) { return known }
        return try thread.perform { writer, _ throws(JournalError) in try writer.stream(kind, named: name) }
    }

    /// See `Journal.streams`.
    public func streams() -> [StreamDescription] { view.descriptions }

    /// See `Journal.configure`.
    public func configure(_ stream: StreamID, _ settings: StreamSettings) {
        thread.post { writer, _ in writer.configure(stream, settings) }
    }

    /// See `Journal.route`.
    public func route(lambda: String, domain: String, stream: StreamID, start: RouteStart) throws(JournalError) -> RouteState {
        try thread.perform { writer, _ throws(JournalError) in
            try writer.route(lambda: lambda, domain: domain, stream: stream, start: start)
        }
    }

    /// See `Journal.routes`.
    public func routes() throws(JournalError) -> [RouteState] {
        try read { reads throws(JournalError) in try SQLiteStorage.routes(reads.statements) }
    }

    /// See `Journal.setLive`.
    public func setLive(_ routes: [RouteID]) { thread.post { writer, _ in writer.setLive(routes) } }

    /// See `Journal.forget`.
    public func forget(_ route: RouteID) throws(JournalError) {
        try thread.perform { writer, _ throws(JournalError) in try writer.forget(route) }
    }

    // MARK: Reading

    /// See `Journal.end`.
    public func end(of stream: StreamID) -> UInt64 { view.end(of: stream) }
    /// See `Journal.start`.
    public func start(of stream: StreamID) -> UInt64 { view.start(of: stream) }
    /// See `Journal.cached`.
    public func cached(_ stream: StreamID, at position: UInt64) -> EventBatch? { view.cached(stream, at: position) }

    /// See `Journal.read`.
    public func read(_ stream: StreamID, from position: UInt64, maximumBytes: Int) throws(JournalError) -> [EventBatch] {
        let name = view.descriptions.first { $0.id == stream }?.name ?? "stream \(stream.rawValue)"
        return try read { reads throws(JournalError) in try reads.batches(stream, name: name, from: position, maximumBytes: maximumBytes) }
    }

    /// See `Journal.deferredHeads`.
    public func deferredHeads(_ route: RouteID) throws(JournalError) -> [DeferredHead] {
        try read { reads throws(JournalError) in try reads.deferredHeads(route) }
    }

    /// See `Journal.deferredRows`.
    public func deferredRows(
        _ route: RouteID, subjectHash: UInt64, after: Int64, maximumBytes: Int
    ) throws(JournalError) -> [DeferredRow] {
        try read { reads throws(JournalError) in
            try reads.deferredRows(route, subjectHash: subjectHash, after: after, maximumBytes: maximumBytes)
        }
    }

    /// See `Journal.nextRowID`.
    public func nextRowID() throws(JournalError) -> Int64 { try read { reads throws(JournalError) in try reads.nextRowID() } }

    /// See `Journal.blocked`.
    public func blocked(_ query: RowQuery) throws(JournalError) -> [BlockedEvent] {
        try read { reads throws(JournalError) in try reads.blocked(query) }
    }

    /// See `Journal.deadLetters`.
    public func deadLetters(_ query: RowQuery) throws(JournalError) -> [DeadLetter] {
        try read { reads throws(JournalError) in try reads.deadLetters(query) }
    }

    /// See `Journal.rowCounts`.
    public func rowCounts() throws(JournalError) -> [RouteID: RowCounts] {
        try read { reads throws(JournalError) in try reads.rowCounts() }
    }

    /// See `Journal.joinParts`.
    public func joinParts(_ stream: StreamID, position: UInt64) throws(JournalError) -> [JoinPart] {
        try read { reads throws(JournalError) in try reads.joinParts(stream, position: position) }
    }

    /// See `Journal.allJoins`.
    public func allJoins() throws(JournalError) -> [JoinPart] { try read { reads throws(JournalError) in try reads.allJoins() } }

    /// See `Journal.sourceState`.
    public func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError) {
        try read { reads throws(JournalError) in try reads.sourceState(source, body) }
    }

    /// See `Journal.externalPayload`.
    public func externalPayload(_ number: UInt64) throws(JournalError) -> [UInt8] { try payloads.load(number) }

    /// See `Journal.figures`.
    public func figures() -> JournalFigures {
        var figures = view.figures()
        figures.databaseBytes = Self.fileSize(path)
        figures.walBytes = Self.fileSize(path + "-wal")
        return figures
    }

    /// See `Journal.backup`.
    public func backup(to target: String) throws(JournalError) {
        // An empty file is what SQLite takes as well as none; made here, so that nobody else can read it from the first byte on.
        let made = Glibc.open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard made >= 0 else {
            if errno == EEXIST { throw JournalError(.failed, "\(target) exists; a backup is not written over it") }
            throw JournalError(.failed, "\(target) cannot be made: \(String(cString: strerror(errno)))")
        }
        Glibc.close(made)
        var isDone = false
        defer { if !isDone { unlink(target) } }
        // On a reader, so that writing goes on (the write-ahead log grows meanwhile); compact, because VACUUM leaves out what was freed.
        try Self.mapped("backup to \(target)") {
            try pool.unsafeRead { db in
                guard let connection = db.sqliteConnection else { throw JournalError(.closed, "the journal is closed") }
                try SQLStatement(connection, "VACUUM INTO ?").bind(1, target).run()
            }
        }
        isDone = true
    }

    /// Runs `body` on one consistent state of the file.
    private func read<T>(_ body: (SQLiteReads) throws(JournalError) -> T) throws(JournalError) -> T {
        try Self.mapped("reading") {
            try pool.read { db in
                guard let connection = db.sqliteConnection else { throw JournalError(.closed, "the journal is closed") }
                return try body(SQLiteReads(statements: SQLStatements(connection)))
            }
        }
    }

    /// The value of a pragma on the writing connection.
    func writerPragma(_ name: String) throws(JournalError) -> Int64 {
        try thread.perform { _, storage throws(JournalError) in try Schema.pragma(storage.connection, name) }
    }

    /// Runs a statement on the writing connection, for tests that damage what is stored.
    func execute(_ sql: String) throws(JournalError) {
        try thread.perform { _, storage throws(JournalError) in try Schema.execute(storage.connection, sql) }
    }

    /// As after an I/O error, for tests.
    func setDoubtful() throws(JournalError) {
        try thread.perform { _, storage throws(JournalError) in storage.isDoubtful = true }
    }

    private static func fileSize(_ path: String) -> UInt64 {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_size) : 0
    }

    private static func mapped<T>(_ what: String, _ body: () throws -> T) throws(JournalError) -> T {
        do {
            return try body()
        } catch let error as JournalError {
            throw error
        } catch let error as DatabaseError {
            if error.resultCode == .SQLITE_MISUSE { throw JournalError(.closed, "the journal is closed") }
            throw JournalError(sqlite: error.extendedResultCode.rawValue, on: nil, doing: "\(what): \(error)")
        } catch {
            throw JournalError(.failed, "the journal's database, \(what): \(error)")
        }
    }
}
