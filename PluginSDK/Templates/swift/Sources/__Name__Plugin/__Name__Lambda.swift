import CapeletSDK

/// Greets the subject of every event.
///
/// There is one instance in each worker process. It is made, used and stopped on one thread, so it may keep state without locks.
struct __Name__Lambda: Lambda {
    private let greeting: String
    private var count = 0

    /// Called once in each worker, before the first event. Read the configuration, open files and connections here; a thrown error is a
    /// failed start, and `capelet status` shows it.
    init(context: Context) throws {
        greeting = context.config.string("greeting", default: "Hello")
        // Also: int, bool, double, duration, byteCount, strings, requiredString; context.stateDirectory is a folder of your own.
        context.log.info("\(context.lambda) starts in worker \(context.workerIndex)")
    }

    /// Called for every event. The same event can come more than once: after a crash, a timeout or a retry.
    ///
    /// A thrown error means that the event is tried again later; `throw LambdaError.fatal("why")` that it is given up on.
    mutating func handle(_ event: borrowing Event) throws -> Outcome {
        count += 1
        guard let text = event.text else { return .fatal("the payload is not text") }
        event.log.info("event \(count): \(event.type) of \(event.subject), attempt \(event.attempt): \(text)")

        // What the lambdas that come `after:` this one get. Kept only if this run succeeds.
        try event.output("\(greeting), \(event.subject)!")

        // A new event, committed together with this run's success:
        // try event.emit(Emission(domain: "greetings", subject: event.subject, type: "greeted", text: text))
        return .success
    }

    /// Called once when the worker ends in good order.
    mutating func stop() {}
}

/// The plugin: its version and its lambdas. One plugin may have several. A lambda with an async handler is an `AsyncLambda`, one that takes
/// many events at once a `BatchLambda`.
private let plugin = Plugin(
    version: "0.1.0",
    .lambda("__name__", __Name__Lambda.self, summary: "Greets the subject of every event"))

/// The one function that a plugin exports. It has to be public.
@c(capelet_plugin_v1) public func capeletPlugin() -> PluginTable { plugin.table }
