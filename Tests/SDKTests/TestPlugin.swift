import CapeletSDK

/// The lambdas of these tests, as a plugin would export them.
let testPlugin = Plugin(
    version: "2.5",
    .lambda("echo", Echo.self, summary: "Says it again"),
    .lambda("outcome", OutcomeOnDemand.self),
    .lambda("describe", Describe.self),
    .lambda("effects", Effects.self),
    .lambda("counter", Counter.self),
    .lambda("needy", Needy.self),
    .lambda("patient", Patient.self),
    .lambda("config", ReadConfig.self),
    .lambda("batch", BatchOnDemand.self),
    .lambda("async", AsyncOnDemand.self),
    .lambda("json", JSONOrder.self),
    .lambda("json-config", JSONConfig.self))

struct Echo: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        try event.output(event.payload)
        return .success
    }
}

enum PlainError: Error { case plain(Int) }

struct OwnError: OutcomeError {
    var outcome: Outcome { .fatal("mine") }
}

/// Ends as the payload says.
struct OutcomeOnDemand: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        switch event.text {
        case "success": return .success
        case "retry": return .retry("busy", after: .microseconds(1_500_001))
        case "retry-plain": return .retry("busy")
        case "fatal": return .fatal("never")
        case "throw-retry": throw LambdaError.retry("later", after: .seconds(2), cause: PlainError.plain(3))
        case "throw-fatal": throw LambdaError.fatal("broken")
        case "throw-own": throw OwnError()
        case "long": return .fatal("x" + String(repeating: "é", count: 600))
        default: throw PlainError.plain(9)
        }
    }
}

struct Describe: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        let facts: [String] = [
            event.domain, event.subject, "\(event.sequence)", "\(event.offset)", event.type, event.id, "\(event.time)", "\(event.attempt)",
            "\(event.isRedriven)", "\(event.isReplayed)",
        ]
        let headers = event.headers.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        let input = event.withInput(from: "extract") { String(decoding: $0, as: UTF8.self) }
        let lent = event.withPayload { $0.count } == event.payloadSize && event.withSubject { $0.elementsEqual("a.txt".utf8) }
        try event.output(
            """
            \(facts.joined(separator: " "))
            \(headers)
            \(event.header("traceparent") ?? "nil") \(event.header("other") ?? "nil") \(event.headerBytes("raw") ?? [])
            \(event.inputNames) \(input ?? "nil") \(event.input(from: "nobody").map { "\($0)" } ?? "nil")
            \(event.payloadSize) \(event.text ?? "nil") \(lent && event.isType("created")) \(event.isType("create"))
            """)
        return .success
    }
}

struct Effects: Lambda {
    init(context: Context) { context.log.info("started") }

    func handle(_ event: borrowing Event) throws -> Outcome {
        try event.output("first")
        try event.output(Array("second".utf8))
        try event.extend(by: .seconds(90))
        try event.emit(
            Emission(
                domain: "mail", subject: "s", type: "t", headers: [.init(name: "a", value: "1"), .init(name: "empty", value: "")],
                text: "text"))
        try event.emit(Emission(domain: "mail", subject: "s2", type: "t2", id: "own"))
        event.log.warning("careful")
        event.log.trace("")
        return .success
    }
}

struct Counter: Lambda {
    private let context: Context
    private var count = 0

    init(context: Context) {
        self.context = context
        let json = String(decoding: context.configJSON, as: UTF8.self)
        context.log.info("\(context.lambda) \(context.entry) \(context.workerIndex) \(context.stateDirectory) \(json)")
    }

    mutating func handle(_ event: borrowing Event) throws -> Outcome {
        count += 1
        try event.output("\(count)")
        return .success
    }

    mutating func stop() { context.log.info("stopped at \(count)") }
}

struct Needy: Lambda {
    init(context: Context) throws { _ = try context.config.requiredString("url") }

    func handle(_ event: borrowing Event) -> Outcome { .success }
}

struct Patient: Lambda {
    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        if event.isCancelled { throw CancellationError() }
        return .success
    }
}
