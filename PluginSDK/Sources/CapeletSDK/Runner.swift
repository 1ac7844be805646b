internal import CCapelet

/// What stands behind the `state` of a worker: calls a lambda for the C functions in Plugin.swift.
///
/// Invariant: `handle`, `handleBatch` and `stop` are called from the worker's one thread, so a subclass needs no lock for the lambda;
/// `cancel` comes from another thread, and only AsyncRunner overrides it. Hence Sendable.
class Runner: @unchecked Sendable {
    let host: Host

    init(host: Host) { self.host = host }

    func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        preconditionFailure("this lambda takes batches")
    }

    func handleBatch(
        _ events: UnsafePointer<UnsafePointer<capelet_event>?>, _ count: Int, _ statuses: UnsafeMutablePointer<Int32>,
        _ results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>
    ) {
        preconditionFailure("this lambda takes single events")
    }

    func cancel(_ token: UInt64) {}

    func stop() {}
}

/// Runs a `Lambda`.
final class LambdaRunner<L: Lambda>: Runner, @unchecked Sendable {
    private var lambda: L

    init(starting host: Host) throws {
        lambda = try L(context: Context(host: host))
        super.init(host: host)
    }

    override func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        do {
            let outcome = try lambda.handle(Event(viewing: event, host: host))
            return outcome.write(to: result)
        } catch {
            return Outcome(throwing: error).write(to: result)
        }
    }

    override func stop() { lambda.stop() }
}

/// Runs a `BatchLambda`.
final class BatchRunner<L: BatchLambda>: Runner, @unchecked Sendable {
    private var lambda: L

    init(starting host: Host) throws {
        lambda = try L(context: Context(host: host))
        super.init(host: host)
    }

    override func handleBatch(
        _ events: UnsafePointer<UnsafePointer<capelet_event>?>, _ count: Int, _ statuses: UnsafeMutablePointer<Int32>,
        _ results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>
    ) {
        statuses.update(repeating: Outcome.success.write(to: nil), count: count)
        let batch = Batch(events: events, count: count, statuses: statuses, results: results, host: host)
        do {
            try lambda.handle(batch)
        } catch {
            batch.setOutcomes(Outcome(throwing: error))
        }
    }

    override func stop() { lambda.stop() }
}
