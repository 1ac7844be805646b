/// A lambda that handles one event at a time.
///
/// ```swift
/// struct Hello: Lambda {
///     init(context: Context) throws {}
///
///     func handle(_ event: borrowing Event) throws -> Outcome {
///         event.log.info("\(event.type) of \(event.subject)")
///         return .success
///     }
/// }
/// ```
///
/// There is one instance in each worker process. It is made, used and stopped on one thread, so it may keep state without locks.
public protocol Lambda: SendableMetatype {
    /// Called once in each worker, before the first event: read the configuration, open files and connections. An error is a failed
    /// start; its description is shown to the operator.
    init(context: Context) throws

    /// Handles one event. A thrown error counts as `.retry` with its description, unless it is an `OutcomeError`, which says itself
    /// what it counts as.
    ///
    /// The same event can come more than once: an effect outside of Capelet should be harmless when repeated.
    mutating func handle(_ event: borrowing Event) throws -> Outcome

    /// Called once when the worker ends in good order. Not called when it is killed. Does nothing by default.
    mutating func stop()
}

extension Lambda {
    /// Does nothing.
    public mutating func stop() {}
}

/// A lambda that handles several events at once, for instance in one transaction of a database.
///
/// There is one instance in each worker process. It is made, used and stopped on one thread, so it may keep state without locks.
public protocol BatchLambda: SendableMetatype {
    /// The most events in one call, 1 to 1,024. By default 64.
    static var batchMax: Int { get }

    /// Called once in each worker, before the first event: see `Lambda.init(context:)`.
    init(context: Context) throws

    /// Handles the events of `batch`, usually with `Batch.forEach`. An event that is given no outcome has succeeded. A thrown error is the
    /// outcome of every event of the batch.
    mutating func handle(_ batch: borrowing Batch) throws

    /// Called once when the worker ends in good order. Not called when it is killed. Does nothing by default.
    mutating func stop()
}

extension BatchLambda {
    /// 64.
    public static var batchMax: Int { 64 }

    /// Does nothing.
    public mutating func stop() {}
}

/// A lambda whose handler is `async`: one worker can wait for many events at once, as many as the lambda's `concurrency:` allows.
///
/// There is one instance in each worker process; several events are handled in it at the same time, on Swift's global executor. Events
/// of one subject still come one after another. The handler's task is cancelled when its result is no longer wanted (deadline,
/// shutdown). Nothing may wait for the main actor: a worker does not run one.
public protocol AsyncLambda: Sendable {
    /// Called once in each worker, before the first event: see `Lambda.init(context:)`.
    init(context: Context) async throws

    /// Handles one event. Errors count as they do in `Lambda.handle(_:)`.
    func handle(_ event: borrowing Event) async throws -> Outcome

    /// Called once when the worker ends in good order, after all handlers have ended. Does nothing by default.
    func stop() async
}

extension AsyncLambda {
    /// Does nothing.
    public func stop() async {}
}
