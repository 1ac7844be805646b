import CapeletJSON
import CapeletSDK
import Foundation

/// Puts out the payload, by way of Foundation.
struct Echo: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        try event.output([UInt8](Data(event.payload)))
        return .success
    }
}

/// Emits the event again as JSON, to the domain `to:` (default `copies`).
struct EmitCopy: AsyncLambda {
    private struct Copy: Codable {
        var text: String
        var time: Date
    }
    private let domain: String

    init(context: Context) { domain = context.config.string("to", default: "copies") }

    func handle(_ event: borrowing Event) async throws -> Outcome {
        try await Task.sleep(for: .milliseconds(1))
        let copy = Copy(text: event.text ?? "", time: Date(timeIntervalSince1970: event.time.seconds))
        try event.emit(Emission(domain: domain, subject: event.subject, type: event.type, encoding: copy))
        return .success
    }
}

private let plugin = Plugin(version: "1.0", .lambda("echo", Echo.self), .lambda("emit-copy", EmitCopy.self))

/// The one function that a plugin exports.
@c(capelet_plugin_v1) public func capeletPlugin() -> PluginTable { plugin.table }
