internal import CCapelet

extension Event {
    /// The lambda's log, with lines tied to this event.
    public var log: LambdaLog { LambdaLog(host: host, token: token) }

    /// Whether this run's result is no longer wanted (deadline, shutdown). Look at it in long loops, and end as soon as you can.
    public var isCancelled: Bool { host.isCancelled(token) }

    /// Asks for `duration` from now before this run counts as timed out. The host grants it up to the lambda's `timeout-max`.
    public func extend(by duration: Duration) throws(LambdaError) {
        try host.extend(token, millis: duration.millisecondsRoundedUp)
    }

    /// Sets the event's output: the input of the lambdas that come `after:` this one. A second call replaces the first. Up to 1 MiB.
    /// Kept only if the run succeeds.
    public func output(_ bytes: UnsafeRawBufferPointer) throws(LambdaError) {
        try host.output(token) { $0(bytes) }
    }

    /// Sets the event's output: see `output(_:)` of raw bytes.
    public func output(_ bytes: [UInt8]) throws(LambdaError) {
        try host.output(token) { body in bytes.withUnsafeBytes { body($0) } }
    }

    /// Sets the event's output to UTF-8 text: see `output(_:)` of raw bytes.
    public func output(_ text: String) throws(LambdaError) {
        try host.output(token) { text.withBytes($0) }
    }

    /// Emits an event. It is committed with this run's success, exactly once, or not at all. At most 1,000 in one run, and 16 MiB in all.
    /// A domain that the routing file does not have makes the run fail as fatal when it ends.
    public func emit(_ emission: Emission) throws(LambdaError) {
        try host.emit(token, emission)
    }
}

/// An event that a lambda wants to come about. The host gives it offset and sequence and, where absent, id and time.
public struct Emission: Sendable, Equatable {
    /// One header.
    public struct Header: Sendable, Equatable {
        /// Lower case.
        public var name: String
        /// Text without line breaks.
        public var value: String

        /// A header.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The domain to emit to. It has to be in the routing file.
    public var domain: String
    /// The entity that changes.
    public var subject: String
    /// What happens to it.
    public var type: String
    /// Nil: the host makes an id from the emitting event and the number of the emit, so that a repeat is recognised.
    public var id: String?
    /// Headers, in order.
    public var headers: [Header]
    /// The payload.
    public var payload: [UInt8]

    /// An event with a payload of bytes.
    public init(domain: String, subject: String, type: String, id: String? = nil, headers: [Header] = [], payload: [UInt8] = []) {
        self.domain = domain
        self.subject = subject
        self.type = type
        self.id = id
        self.headers = headers
        self.payload = payload
    }

    /// An event with a payload of UTF-8 text.
    public init(domain: String, subject: String, type: String, id: String? = nil, headers: [Header] = [], text: String) {
        self.init(domain: domain, subject: subject, type: type, id: id, headers: headers, payload: Array(text.utf8))
    }
}
