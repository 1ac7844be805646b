import Foundation
import GRDB
import Synchronization
import WorkerProtocol

/// The writer thread of a SQLiteJournal: takes what waits, has it written as groups, answers; in between it trims, syncs relaxed groups and runs
/// controls.
final class JournalThread: @unchecked Sendable {
    /// A transaction is closed at this size, so that answers do not wait without bound.
    private static let groupBytesMax = 16 << 20
    /// Relaxed groups are synced after this time.
    private static let relaxedNanos: Int64 = 100_000_000
    /// How often it looks for what may be trimmed.
    private static let trimNanos: Int64 = 1_000_000_000
    /// Bytes trimmed at once.
    private static let trimBytes = 4 << 20

    private let mailbox = WriterMailbox()
    private let view: JournalView
    private let ended = DispatchSemaphore(value: 0)
    private let identity = Mutex<pthread_t?>(nil)

    // Used on the writer's thread only, between start and end.
    private var writer: JournalWriter?
    private var storage: SQLiteStorage?
    private var flushAt: Int64?
    private var trimAt: Int64 = 0
    private var retryAt: Int64 = 0
    private var backoffNanos: Int64 = 0
    private var isFailing = false

    /// Starts the thread; returns when it has loaded what is stored.
    init(
        pool: DatabasePool, directory: String, payloads: PayloadFiles, view: JournalView, hash: SubjectHash,
        now: @escaping @Sendable () -> Int64
    ) throws(JournalError) {
        self.view = view
        let started = Answered<Result<Void, JournalError>>()
        let thread = Thread { [self] in
            identity.withLock { $0 = pthread_self() }
            // The one call that owns the connection from now on.
            pool.writeWithoutTransaction { db in
                do throws(JournalError) {
                    try load(db, directory: directory, payloads: payloads, hash: hash, now: now)
                } catch {
                    started.give(.failure(error))
                    return
                }
                started.give(.success(()))
                run()
                storage?.finish()
                writer = nil
                storage = nil
            }
            ended.signal()
        }
        thread.name = "journal"
        thread.stackSize = 1 << 20
        thread.start()
        try started.wait().get()
    }

    private func load(
        _ db: Database, directory: String, payloads: PayloadFiles, hash: SubjectHash, now: @escaping @Sendable () -> Int64
    ) throws(JournalError) {
        guard let connection = db.sqliteConnection else { throw JournalError(.closed, "the journal is closed") }
        let tail = try TailFile(path: directory + "/tail")
        let storage = try SQLiteStorage(connection: connection, directory: directory, payloads: payloads, tail: tail)
        writer = try JournalWriter(storage: storage, view: view, hasher: IDHasher(hash), now: now)
        self.storage = storage
    }

    // MARK: From any thread

    /// Hands an operation over; refuses it at once when the journal is closed.
    func hand(_ operation: JournalOperation) {
        guard !mailbox.put(.operation(operation)) else { return }
        switch operation {
        case .append(let request): request.completion(.failure(Self.closed))
        case .commit(_, let completion): completion(.failure(Self.closed))
        }
    }

    /// Runs `body` on the writer's thread, later.
    func post(_ body: @escaping @Sendable (JournalWriter, SQLiteStorage) -> Void) {
        _ = mailbox.put(
            .control { [self] in
                if let writer, let storage { body(writer, storage) }
            })
    }

    /// Runs `body` on the writer's thread and waits for it.
    func perform<T: Sendable>(
        _ body: @escaping @Sendable (JournalWriter, SQLiteStorage) throws(JournalError) -> T
    ) throws(JournalError) -> T {
        func run() -> Result<T, JournalError> {
            guard let writer, let storage else { return .failure(Self.closed) }
            do throws(JournalError) { return .success(try body(writer, storage)) } catch { return .failure(error) }
        }
        if let identity = identity.withLock({ $0 }), pthread_equal(identity, pthread_self()) != 0 { return try run().get() }
        let answered = Answered<Result<T, JournalError>>()
        guard mailbox.put(.control { answered.give(run()) }) else { throw Self.closed }
        return try answered.wait().get()
    }

    /// Finishes what was handed in and ends the thread; returns whether it has ended, which it cannot while it is the caller. May be called again.
    func stop() -> Bool {
        mailbox.close()
        if let identity = identity.withLock({ $0 }), pthread_equal(identity, pthread_self()) != 0 { return false }
        ended.wait()
        ended.signal()
        return true
    }

    private static let closed = JournalError(.closed, "the journal is closed")

    // MARK: On the writer's thread

    private func run() {
        trimAt = monotonicNanos() + Self.trimNanos
        while true {
            waitForRetry()
            let (items, isClosed) = mailbox.take(deadlineNanos: min(flushAt ?? .max, trimAt))
            process(items)
            flushIfDue(orNow: isClosed)
            if isClosed, items.isEmpty { return }
            trimIfDue(isIdle: items.isEmpty)
            storage?.checkpointIfDue()
        }
    }

    /// After a failure the next try waits a little.
    private func waitForRetry() {
        while monotonicNanos() < retryAt {
            if mailbox.take(deadlineNanos: retryAt, leaving: true).isClosed { return }
        }
    }

    /// Writes operations in groups, in their order, and runs controls between them.
    private func process(_ items: [WriterMailbox.Item]) {
        var group: [JournalOperation] = []
        var bytes = 0
        func writeGroup() {
            guard !group.isEmpty else { return }
            write(group)
            group.removeAll(keepingCapacity: true)
            bytes = 0
        }
        for item in items {
            switch item {
            case .operation(let operation):
                group.append(operation)
                bytes += operation.size
                if bytes >= Self.groupBytesMax { writeGroup() }
            case .control(let body):
                writeGroup()
                body()
            }
        }
        writeGroup()
    }

    private func write(_ operations: [JournalOperation]) {
        guard let writer, let storage else { return }
        let outcome = writer.write(operations)
        note(outcome.failure)
        outcome.give()
        view.notify(outcome.ends)
        if storage.isUnsynced {
            flushAt = flushAt ?? monotonicNanos() + Self.relaxedNanos
        } else {
            flushAt = nil
        }
    }

    /// Keeps the fault that figures show, and when to try again.
    private func note(_ failure: JournalError?) {
        if let failure {
            backoffNanos = min(max(backoffNanos * 2, 10_000_000), 1_000_000_000)
            retryAt = monotonicNanos() + backoffNanos
            isFailing = true
            view.publish(fault: failure.message)
        } else if isFailing {
            isFailing = false
            backoffNanos = 0
            view.publish(fault: nil)
        }
    }

    private func flushIfDue(orNow now: Bool) {
        guard let flushAt, let storage, now || monotonicNanos() >= flushAt else { return }
        do throws(JournalError) {
            try storage.flush()
            self.flushAt = nil
            note(nil)
        } catch {
            self.flushAt = monotonicNanos() + Self.relaxedNanos
            note(error)
        }
    }

    private func trimIfDue(isIdle: Bool) {
        guard let writer, isIdle || monotonicNanos() >= trimAt else { return }
        storage?.syncTail()
        // Failing to trim is no fault of its own: what it needs, writing needs too.
        let hasMore = (try? writer.trim(bytes: Self.trimBytes)) ?? false
        trimAt = monotonicNanos() + (hasMore ? Self.trimNanos / 100 : Self.trimNanos)
    }
}

/// A value that one thread waits for and another gives.
private final class Answered<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let semaphore = DispatchSemaphore(value: 0)

    func give(_ value: Value) {
        self.value.withLock { $0 = value }
        semaphore.signal()
    }

    func wait() -> Value {
        semaphore.wait()
        guard let value = value.withLock({ $0 }) else { preconditionFailure("signalled without a value") }
        return value
    }
}
