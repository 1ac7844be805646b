/// The event that `capelet test` gives to a lambda.
public struct LambdaTestEvent: Sendable, Equatable {
    /// Domain; empty: the first that the lambda is in.
    public var domain: String
    /// Subject.
    public var subject: String
    /// Type.
    public var type: String
    /// Id.
    public var id: String
    /// Headers in their order.
    public var headers: [(name: String, value: String)]
    /// Payload.
    public var payload: [UInt8]

    /// Makes an event.
    public init(
        domain: String = "", subject: String = "test", type: String = "", id: String = "", headers: [(name: String, value: String)] = [],
        payload: [UInt8] = []
    ) {
        self.domain = domain
        self.subject = subject
        self.type = type
        self.id = id
        self.headers = headers
        self.payload = payload
    }

    /// Structural equality.
    public static func == (left: LambdaTestEvent, right: LambdaTestEvent) -> Bool {
        left.domain == right.domain && left.subject == right.subject && left.type == right.type && left.id == right.id
            && left.payload == right.payload && left.headers.count == right.headers.count
            && zip(left.headers, right.headers).allSatisfy { $0 == $1 }
    }
}

/// What came of one event run through a real worker without a journal (`capelet test`).
public struct LambdaTestReport: Codable, Sendable, Equatable {
    /// An event that the lambda emitted.
    public struct Emit: Codable, Sendable, Equatable {
        /// Its domain.
        public var domain: String
        /// Its subject.
        public var subject: String
        /// Its type.
        public var type: String
        /// Its payload as text where it is UTF-8, else in Base64 behind `base64:`.
        public var payload: String
        /// Makes an emit.
        public init(domain: String, subject: String, type: String, payload: String) {
            self.domain = domain
            self.subject = subject
            self.type = type
            self.payload = payload
        }
    }

    /// `success`, `retry`, `fatal`, or the verdict of the worker's death.
    public var outcome: String
    /// What the lambda said about it, or how the worker died.
    public var message: String
    /// With `retry`: the delay that it asked for, milliseconds.
    public var delayMillis: Int64?
    /// Its output, as `Emit.payload` is written; nil: none.
    public var output: String?
    /// What it emitted.
    public var emits: [Emit]
    /// What it logged, and wrote to stdout and stderr.
    public var logs: [LogLine]
    /// Microseconds that the handler ran.
    public var runMicros: UInt64
    /// Microseconds from starting the keeper to the worker's readiness.
    public var startMicros: UInt64

    /// Makes a report.
    public init(
        outcome: String, message: String = "", delayMillis: Int64? = nil, output: String? = nil, emits: [Emit] = [], logs: [LogLine] = [],
        runMicros: UInt64 = 0, startMicros: UInt64 = 0
    ) {
        self.outcome = outcome
        self.message = message
        self.delayMillis = delayMillis
        self.output = output
        self.emits = emits
        self.logs = logs
        self.runMicros = runMicros
        self.startMicros = startMicros
    }

    /// Whether the lambda succeeded.
    public var isSuccess: Bool { outcome == "success" }
}
