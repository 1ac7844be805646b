import Synchronization
public import WorkerProtocol

#if canImport(Glibc)
    import Glibc
#endif

/// A journal that keeps everything in memory and forgets it when it goes: for tests and simulation. Same rules as the real one; no threads.
///
/// `append` and `commit` are done when they return (or, called from within a completion, when the outermost call returns), and their completions
/// are called on the caller's thread. A manual journal does nothing before `step()`.
public final class MemoryJournal: Journal, @unchecked Sendable {
    // Everything below is guarded by `lock`; completions are called outside of it.
    private let lock = Mutex(())
    private let storage: MemoryStorage
    private var writer: JournalWriter
    private let view: JournalView
    private let isManual: Bool
    private let now: @Sendable () -> Int64
    private var queue: [JournalOperation] = []
    private var isDraining = false
    private var isClosed = false
    private var failure: JournalError?

    /// An empty journal.
    ///
    /// - Parameters:
    ///   - manual: appends and commits wait for `step()`.
    ///   - seed: makes the key of the subject hash; equal seeds hash equally.
    ///   - cacheBytesMax: bytes of recent batches that `cached` knows.
    ///   - now: the clock, milliseconds since 1970; nil: the real one.
    public convenience init(
        manual: Bool = false, seed: UInt64 = 1, cacheBytesMax: Int = 64 << 20, now: (@Sendable () -> Int64)? = nil
    ) {
        let hash = SubjectHash(key0: seed &* 0x9e37_79b9_7f4a_7c15, key1: ~seed)
        self.init(
            storage: MemoryStorage(subjectHash: hash), manual: manual, cacheBytesMax: cacheBytesMax, now: now ?? { wallClockMillis() })
    }

    private let cacheBytesMax: Int

    private init(storage: MemoryStorage, manual: Bool, cacheBytesMax: Int, now: @escaping @Sendable () -> Int64) {
        self.storage = storage
        self.now = now
        self.cacheBytesMax = cacheBytesMax
        isManual = manual
        view = JournalView(cacheBytesMax: cacheBytesMax)
        do throws(JournalError) {
            writer = try JournalWriter(storage: storage, view: view, hasher: IDHasher(storage.subjectHash), now: now)
        } catch {
            preconditionFailure("memory cannot be read: \(error)")
        }
    }

    // MARK: Manual steps

    /// Operations that wait for `step()`.
    public var pendingCount: Int { lock.withLock { _ in queue.count } }

    /// Runs what waits as one group, at most `count` operations; returns whether there was anything. For manual journals.
    @discardableResult
    public func step(_ count: Int = .max) -> Bool { runGroup(maximumCount: count) }

    /// Makes every group fail with this error until it is set to nil: nothing of it is written, its completions are told.
    public func setFailure(_ error: JournalError?) {
        lock.withLock { _ in
            failure = error
            view.publish(fault: error?.message)
        }
    }

    /// What a kill -9 would leave: everything not stepped is gone and never answered. Returns the journal as it is after the restart; this one
    /// is closed.
    public func crash() -> MemoryJournal {
        lock.withLock { _ in
            queue = []
            isClosed = true
        }
        return MemoryJournal(storage: storage, manual: isManual, cacheBytesMax: cacheBytesMax, now: now)
    }

    // MARK: Writing

    /// See `Journal.append`.
    public func append(_ request: AppendRequest) { hand(.append(request)) }

    /// See `Journal.commit`.
    public func commit(_ commit: JournalCommit, completion: @escaping @Sendable (Result<Void, JournalError>) -> Void) {
        hand(.commit(commit, completion: completion))
    }

    private func hand(_ operation: JournalOperation) {
        let isRefused = lock.withLock { _ in
            if !isClosed { queue.append(operation) }
            return isClosed
        }
        if isRefused {
            switch operation {
            case .append(let request): request.completion(.failure(Self.closed))
            case .commit(_, let completion): completion(.failure(Self.closed))
            }
        } else if !isManual {
            while runGroup(maximumCount: .max) {}
        }
    }

    private static let closed = JournalError(.closed, "the journal is closed")

    /// Runs one group; false when there is none, or somebody further up the stack or another thread is at it.
    private func runGroup(maximumCount: Int) -> Bool {
        let outcome: GroupOutcome? = lock.withLock { _ in
            guard !isDraining, !queue.isEmpty, !isClosed else { return nil }
            isDraining = true
            let operations = Array(queue.prefix(maximumCount))
            queue.removeFirst(operations.count)
            if let failure {
                var builder = GroupBuilder(hasher: IDHasher(storage.subjectHash), storage: storage, nowMillis: now())
                for operation in operations { builder.refuse(operation, failure) }
                return GroupOutcome(answers: builder.answers, failure: failure, ends: [])
            }
            let outcome = writer.write(operations)
            // Trimming needs nothing that could fail here.
            while (try? writer.trim(bytes: .max)) == true {}
            return outcome
        }
        guard let outcome else { return false }
        outcome.give()
        view.notify(outcome.ends)
        lock.withLock { _ in isDraining = false }
        return true
    }

    /// See `Journal.setObserver`.
    public func setObserver(_ observer: @escaping @Sendable ([StreamAdvance]) -> Void) { view.setObserver(observer) }

    /// Finishes what was handed in, then closes.
    public func close() {
        while runGroup(maximumCount: .max) {}
        lock.withLock { _ in isClosed = true }
    }

    // MARK: Streams and routes

    /// See `Journal.subjectHash`.
    public var subjectHash: SubjectHash { storage.subjectHash }

    /// See `Journal.stream`.
    public func stream(_ kind: StreamKind, named name: String) throws(JournalError) -> StreamID {
        try locked { () throws(JournalError) in try writer.stream(kind, named: name) }
    }

    /// See `Journal.streams`.
    public func streams() -> [StreamDescription] { view.descriptions }

    /// See `Journal.configure`.
    public func configure(_ stream: StreamID, _ settings: StreamSettings) { lock.withLock { _ in writer.configure(stream, settings) } }

    /// See `Journal.route`.
    public func route(lambda: String, domain: String, stream: StreamID, start: RouteStart) throws(JournalError) -> RouteState {
        try locked { () throws(JournalError) in try writer.route(lambda: lambda, domain: domain, stream: stream, start: start) }
    }

    /// See `Journal.routes`.
    public func routes() throws(JournalError) -> [RouteState] {
        try locked { writer.routes.values.sorted { $0.id.rawValue < $1.id.rawValue } }
    }

    /// See `Journal.setLive`.
    public func setLive(_ routes: [RouteID]) {
        lock.withLock { _ in
            writer.setLive(routes)
            while (try? writer.trim(bytes: .max)) == true {}
        }
    }

    /// See `Journal.forget`.
    public func forget(_ route: RouteID) throws(JournalError) {
        try locked { () throws(JournalError) in try writer.forget(route) }
    }

    // MARK: Reading

    /// See `Journal.end`.
    public func end(of stream: StreamID) -> UInt64 { view.end(of: stream) }
    /// See `Journal.start`.
    public func start(of stream: StreamID) -> UInt64 { view.start(of: stream) }
    /// See `Journal.cached`.
    public func cached(_ stream: StreamID, at position: UInt64) -> EventBatch? { view.cached(stream, at: position) }
    /// See `Journal.figures`.
    public func figures() -> JournalFigures { view.figures() }

    /// See `Journal.read`.
    public func read(_ stream: StreamID, from position: UInt64, maximumBytes: Int) throws(JournalError) -> [EventBatch] {
        try locked {
            guard let stream = storage.streams[stream] else { return [] }
            var index = stream.row(at: position)
            var batches: [EventBatch] = []
            var bytes = 0
            while index < stream.rows.count, batches.isEmpty || bytes < maximumBytes {
                batches.append(stream.rows[index].batch)
                bytes += stream.rows[index].batch.size
                index += 1
            }
            return batches
        }
    }

    /// See `Journal.deferredHeads`.
    public func deferredHeads(_ route: RouteID) throws(JournalError) -> [DeferredHead] { try locked { storage.deferredHeads(route) } }

    /// See `Journal.deferredRows`.
    public func deferredRows(
        _ route: RouteID, subjectHash: UInt64, after: Int64, maximumBytes: Int
    ) throws(JournalError) -> [DeferredRow] {
        try locked { storage.deferredRows(route, subjectHash: subjectHash, after: after, maximumBytes: maximumBytes) }
    }

    /// See `Journal.nextRowID`.
    public func nextRowID() throws(JournalError) -> Int64 { try locked { storage.lastRowID + 1 } }
    /// See `Journal.blocked`.
    public func blocked(_ query: RowQuery) throws(JournalError) -> [BlockedEvent] { try locked { storage.blocked(query) } }
    /// See `Journal.deadLetters`.
    public func deadLetters(_ query: RowQuery) throws(JournalError) -> [DeadLetter] { try locked { storage.deadLetters(query) } }
    /// See `Journal.rowCounts`.
    public func rowCounts() throws(JournalError) -> [RouteID: RowCounts] { try locked { storage.rowCounts() } }

    /// See `Journal.joinParts`.
    public func joinParts(_ stream: StreamID, position: UInt64) throws(JournalError) -> [JoinPart] {
        try locked { storage.joins[JoinKey(stream: stream, offset: position)] ?? [] }
    }

    /// See `Journal.allJoins`.
    public func allJoins() throws(JournalError) -> [JoinPart] {
        try locked {
            storage.joins.values.flatMap { $0 }.sorted { ($0.key.stream.rawValue, $0.key.offset) < ($1.key.stream.rawValue, $1.key.offset) }
        }
    }

    /// See `Journal.sourceState`.
    public func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError) {
        let state = try locked { storage.sources[source] ?? [:] }
        for (key, value) in state.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            key.withUnsafeBytes { key in value.withUnsafeBytes { body(key, $0) } }
        }
    }

    /// See `Journal.externalPayload`.
    public func externalPayload(_ number: UInt64) throws(JournalError) -> [UInt8] {
        guard let payload = try locked({ storage.externalPayload(number) }) else {
            throw JournalError(.unknown, "there is no payload \(number)")
        }
        return payload
    }

    /// See `Journal.storePayload`.
    public func storePayload(_ payload: UnsafeRawBufferPointer) throws(JournalError) -> UInt64 {
        try locked { storage.storePayload(payload) }
    }

    /// Always fails: there is no file.
    public func backup(to path: String) throws(JournalError) {
        throw JournalError(.failed, "a journal in memory cannot be written to '\(path)'")
    }

    private func locked<T>(_ body: () throws(JournalError) -> T) throws(JournalError) -> T {
        let result: Result<T, JournalError> = lock.withLock { _ in
            if isClosed { return .failure(Self.closed) }
            do throws(JournalError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

/// The wall clock, milliseconds since 1970.
func wallClockMillis() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
