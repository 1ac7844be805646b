internal import CCapelet
internal import Synchronization

/// Runs an `AsyncLambda`: every event in a task of its own, completed from there.
///
/// The first task of the process is made in `start`, after the fork: Swift's executor and its threads belong to the worker.
final class AsyncRunner<L: AsyncLambda>: Runner, @unchecked Sendable {
    private let lambda: L
    private let runs = Mutex(Runs())

    private struct Runs {
        var tasks: [UInt64: Task<Void, Never>] = [:]
        /// Opened when the last task has ended, once `stop` waits for that.
        var allEnded: Latch?
    }

    init(starting host: Host) throws {
        let context = Context(host: host)
        lambda = try blockingWait { try await L(context: context) }
        super.init(host: host)
    }

    override func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        let token = event.pointee.token
        let copy = EventCopy(of: event)
        runs.withLock { runs in
            // The task cannot be forgotten before it is remembered: that needs the lock.
            runs.tasks[token] = Task { await self.run(token, copy) }
        }
        return Int32(bitPattern: CAPELET_PENDING.rawValue)
    }

    private func run(_ token: UInt64, _ copy: EventCopy) async {
        let event = Event(owning: copy, host: host)
        let outcome: Outcome
        do {
            outcome = try await lambda.handle(event)
        } catch {
            outcome = Outcome(throwing: error)
        }
        host.complete(token, outcome)
        forget(token)
    }

    private func forget(_ token: UInt64) {
        runs.withLock { runs in
            runs.tasks[token] = nil
            if runs.tasks.isEmpty { runs.allEnded?.open() }
        }
    }

    override func cancel(_ token: UInt64) {
        let task = runs.withLock { $0.tasks[token] }
        task?.cancel()
    }

    /// Ends when all tasks have. One that does not heed its cancellation holds this up until the host's deadline ends the worker: the
    /// host's functions must not be called once `stop` has returned.
    override func stop() {
        let allEnded = Latch()
        let open = runs.withLock { runs in
            if runs.tasks.isEmpty { allEnded.open() } else { runs.allEnded = allEnded }
            return Array(runs.tasks.values)
        }
        for task in open { task.cancel() }
        allEnded.wait()
        let lambda = lambda
        try? blockingWait { await lambda.stop() }
    }
}

/// Runs `body` in a task and blocks the calling thread until it has ended. Only for the worker's own thread, which is none of Swift's
/// executor.
private func blockingWait<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let ended = Latch()
    let value = Slot<Result<Value, any Error>>()
    Task {
        do {
            value.put(.success(try await body()))
        } catch {
            value.put(.failure(error))
        }
        ended.open()
    }
    ended.wait()
    return try value.take().get()
}

/// A place for one value that is put in before it is taken.
private final class Slot<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    func put(_ value: Value) { self.value.withLock { $0 = value } }

    func take() -> Value {
        guard let value = value.withLock({ $0 }) else { preconditionFailure("taken before it was put in") }
        return value
    }
}
