// swift-fixture: a Swift plugin for tests with real workers. Built with the tests, as a dynamic library beside the test binary
// (libswift-fixture.so).
//
//   echo         output = payload
//   emit-copy    emits the event again, to the domain in `to:` (default `copies`)
//   outcome      ends as the payload says: success, retry, fatal, throw, trap, exit
//   async-echo   output = payload, after the milliseconds that the payload is
//   batch-echo   output = payload, in batches
//   describe     output = what the lambda sees of event and worker, one `name=value` in a line
//   heartbeat    extends its deadline every 50 ms for the milliseconds that the payload is

public import CapeletSDK

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

private let plugin = Plugin(
    version: "1.2.3",
    .lambda("echo", Echo.self, summary: "Puts out the payload"),
    .lambda("emit-copy", EmitCopy.self),
    .lambda("outcome", OutcomeOnDemand.self),
    .lambda("async-echo", AsyncEcho.self),
    .lambda("batch-echo", BatchEcho.self),
    .lambda("describe", Describe.self),
    .lambda("heartbeat", Heartbeat.self))

/// The plugin's entry point.
@c(capelet_plugin_v1) public func swiftFixture() -> PluginTable { plugin.table }

struct Echo: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        try event.withPayload { try event.output($0) }
        return .success
    }
}

struct EmitCopy: Lambda {
    private let domain: String

    init(context: Context) { domain = context.config.string("to", default: "copies") }

    func handle(_ event: borrowing Event) throws -> Outcome {
        try event.emit(Emission(domain: domain, subject: event.subject, type: event.type, payload: event.payload))
        return .success
    }
}

struct OutcomeOnDemand: Lambda {
    struct Thrown: Error {}

    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        switch event.text {
        case "success": return .success
        case "retry": return .retry("asked to", after: .milliseconds(20))
        case "throw": throw Thrown()
        case "trap": fatalError("asked to")
        case "exit": exit(0)
        default: return .fatal("asked to")
        }
    }
}

struct AsyncEcho: AsyncLambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) async throws -> Outcome {
        try await Task.sleep(for: .milliseconds(event.text.flatMap { Int($0) } ?? 0))
        try event.output(event.payload)
        return .success
    }
}

struct BatchEcho: BatchLambda {
    init(context: Context) {}

    func handle(_ batch: borrowing Batch) {
        batch.forEach { event in
            try event.output(event.payload)
            return .success
        }
    }
}

struct Describe: Lambda {
    private let context: Context

    init(context: Context) { self.context = context }

    func handle(_ event: borrowing Event) throws -> Outcome {
        var lines = [
            "lambda=\(context.lambda)", "entry=\(context.entry)", "worker=\(context.workerIndex)", "state=\(context.stateDirectory)",
            "config=\(String(decoding: context.configJSON, as: UTF8.self))", "pid=\(getpid())", "domain=\(event.domain)",
            "subject=\(event.subject)", "sequence=\(event.sequence)", "offset=\(event.offset)", "type=\(event.type)", "id=\(event.id)",
            "time=\(event.time)", "attempt=\(event.attempt)", "redriven=\(event.isRedriven)", "replayed=\(event.isReplayed)",
        ]
        lines += event.headers.map { "header.\($0.name)=\($0.value)" }
        lines += event.inputNames.map { "input.\($0)=\(String(decoding: event.input(from: $0) ?? [], as: UTF8.self))" }
        lines.append("payload=\(event.text ?? "\(event.payloadSize) bytes")")
        try event.output(lines.joined(separator: "\n"))
        event.log.info("described \(event.subject)")
        return .success
    }
}

struct Heartbeat: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        let end = ContinuousClock.now + .milliseconds(event.text.flatMap { Int($0) } ?? 0)
        while ContinuousClock.now < end {
            if event.isCancelled { return .retry("cancelled") }
            try event.extend(by: .milliseconds(200))
            usleep(50_000)
        }
        return .success
    }
}
