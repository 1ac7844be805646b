import CapeletSDK

/// Puts out the payload.
struct Echo: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        try event.output(event.payload)
        return .success
    }
}

/// Emits the event again, to the domain `to:` (default `copies`).
struct EmitCopy: AsyncLambda {
    private let domain: String

    init(context: Context) { domain = context.config.string("to", default: "copies") }

    func handle(_ event: borrowing Event) async throws -> Outcome {
        try await Task.sleep(for: .milliseconds(1))
        try event.emit(Emission(domain: domain, subject: event.subject, type: event.type, payload: event.payload))
        return .success
    }
}

private let plugin = Plugin(version: "1.0", .lambda("echo", Echo.self), .lambda("emit-copy", EmitCopy.self))

/// The one function that a plugin exports.
@c(capelet_plugin_v1) public func capeletPlugin() -> PluginTable { plugin.table }
