internal import CCapelet

/// One event, lent to a handler.
///
/// An event is a view of bytes that lie in memory shared with the host: reading a property makes the value then, so keep what you use more
/// than once. It cannot be copied or kept; take what you need out of it. All of it may be used from any thread.
public struct Event: ~Copyable, @unchecked Sendable {
    let raw: UnsafePointer<capelet_event>
    let host: Host
    /// The memory that holds `raw` and all it points to, where this event owns a copy.
    private let storage: UnsafeMutableRawPointer?

    /// A view of an event that lives until its handler returns.
    init(viewing raw: UnsafePointer<capelet_event>, host: Host) {
        self.raw = raw
        self.host = host
        self.storage = nil
    }

    /// An event that owns its bytes, and frees them.
    init(owning copy: EventCopy, host: Host) {
        self.raw = copy.event
        self.host = host
        self.storage = copy.storage
    }

    deinit { storage?.deallocate() }
}

extension Event {
    /// The domain that the event belongs to.
    public var domain: String { String(raw.pointee.domain) }

    /// The entity that changed. Order is kept within one subject.
    public var subject: String { String(raw.pointee.subject) }

    /// Increasing within the subject; gaps are legal. An event with a sequence that you have already seen for its subject is a repeat.
    public var sequence: UInt64 { raw.pointee.sequence }

    /// The event's position in the journal of its domain.
    public var offset: UInt64 { raw.pointee.offset }

    /// What happened, as the producer named it.
    public var type: String { String(raw.pointee.type) }

    /// The producer's id of the event; the same for every repeat.
    public var id: String { String(raw.pointee.id) }

    /// When it happened.
    public var time: EventTime { EventTime(microseconds: raw.pointee.time_micros) }

    /// 1 for the first run of this event by this lambda, then 2, 3 and so on.
    public var attempt: Int { Int(raw.pointee.attempt) }

    /// Whether an operator took this event out of the dead letters. It may come out of the order of its subject.
    public var isRedriven: Bool { raw.pointee.flags & UInt32(CAPELET_EVENT_REDRIVEN) != 0 }

    /// Whether an operator asked for this event to be delivered again. It may come out of the order of its subject.
    public var isReplayed: Bool { raw.pointee.flags & UInt32(CAPELET_EVENT_REPLAYED) != 0 }

    /// Names this run of the event within the worker; never used again.
    public var token: UInt64 { raw.pointee.token }

    /// Whether the event has exactly this type. Does not make a string.
    public func isType(_ type: String) -> Bool { raw.pointee.type.equals(type) }

    /// The size of the payload in bytes.
    public var payloadSize: Int { raw.pointee.payload.size }

    /// A copy of the payload.
    public var payload: [UInt8] { [UInt8](raw.pointee.payload.buffer) }

    /// The payload as text, or nil if it is not UTF-8.
    public var text: String? { String(validating: raw.pointee.payload.buffer, as: UTF8.self) }

    /// Lends the payload without copying it. The buffer is valid only within `body`.
    public func withPayload<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(raw.pointee.payload.buffer)
    }

    /// Lends the bytes of the subject without making a string. The buffer is valid only within `body`.
    public func withSubject<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(raw.pointee.subject.buffer)
    }
}

// MARK: - Headers

extension Event {
    /// The value of a header, or nil. Names are lower case.
    public func header(_ name: String) -> String? {
        rawHeader(name).map { String($0) }
    }

    /// The bytes of a header's value, or nil: for values that need not be text.
    public func headerBytes(_ name: String) -> [UInt8]? {
        rawHeader(name).map { [UInt8]($0.buffer) }
    }

    /// All headers, in the producer's order.
    public var headers: [(name: String, value: String)] {
        rawHeaders.map { (name: String($0.name), value: String($0.value)) }
    }

    private var rawHeaders: UnsafeBufferPointer<capelet_header> {
        UnsafeBufferPointer(start: raw.pointee.headers, count: raw.pointee.headers == nil ? 0 : Int(raw.pointee.header_count))
    }

    private func rawHeader(_ name: String) -> capelet_bytes? {
        for header in rawHeaders where header.name.equals(name) { return header.value }
        return nil
    }
}

// MARK: - Inputs

extension Event {
    /// The names of the upstream lambdas (`after:`) whose outputs came with this event.
    public var inputNames: [String] { rawInputs.map { String($0.lambda) } }

    /// The output of the upstream lambda called `lambda`, or nil where there is none.
    public func input(from lambda: String) -> [UInt8]? {
        rawInput(from: lambda).map { [UInt8]($0.buffer) }
    }

    /// Lends the output of the upstream lambda called `lambda` without copying it; nil where there is none. The buffer is valid only
    /// within `body`.
    public func withInput<Result, Failure: Error>(
        from lambda: String, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let input = rawInput(from: lambda) else { return nil }
        return try body(input.buffer)
    }

    private var rawInputs: UnsafeBufferPointer<capelet_input> {
        UnsafeBufferPointer(start: raw.pointee.inputs, count: raw.pointee.inputs == nil ? 0 : Int(raw.pointee.input_count))
    }

    private func rawInput(from lambda: String) -> capelet_bytes? {
        for input in rawInputs where input.lambda.equals(lambda) { return input.output }
        return nil
    }
}
