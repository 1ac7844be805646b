internal import CWorkerProtocol

/// An event that a worker wants to come about, decoded from the body of an `emit` frame. Views into that body: valid as long as it is.
public struct WorkerEmit {
    /// Name of the domain to emit to; not empty.
    public let domain: UnsafeRawBufferPointer
    /// Valid UTF-8 of 1 to 1,024 bytes.
    public let subject: UnsafeRawBufferPointer
    /// Valid UTF-8; may be empty.
    public let type: UnsafeRawBufferPointer
    /// Valid UTF-8; empty: the host makes one.
    public let id: UnsafeRawBufferPointer
    /// Encoded as in a record; checked.
    public let headers: UnsafeRawBufferPointer
    /// Number of headers.
    public let headerCount: Int
    /// The payload; may be empty.
    public let payload: UnsafeRawBufferPointer

    /// Largest subject, type or id, in bytes.
    public static let nameBytesMax = 1024
    /// Most bytes of headers.
    public static let headersBytesMax = 16 << 10
    /// Largest payload.
    public static let payloadBytesMax = 16 << 20

    /// Decodes and checks.
    ///
    /// - Parameter body: private to the caller.
    /// - Throws: when the body is not what the worker's side of the protocol lets through, whatever the plugin does.
    public init(checking body: UnsafeRawBufferPointer) throws(ChannelViolation) {
        let fixed = MemoryLayout<capelet_frame_emit>.size
        guard body.count >= fixed else { throw ChannelViolation("an emitted event of \(body.count) bytes") }
        let sizes = body.loadUnaligned(as: capelet_frame_emit.self)
        var at = fixed
        func section(_ name: StaticString, _ size: Int, atMost limit: Int) throws(ChannelViolation) -> UnsafeRawBufferPointer {
            guard size <= limit, size <= body.count - at else {
                throw ChannelViolation(
                    "an emitted event whose \(name) has \(size) bytes, where \(min(limit, body.count - at)) are possible")
            }
            defer { at += size }
            return UnsafeRawBufferPointer(rebasing: body[at..<at + size])
        }
        domain = try section("domain", Int(sizes.domain_size), atMost: Self.nameBytesMax)
        subject = try section("subject", Int(sizes.subject_size), atMost: Self.nameBytesMax)
        type = try section("type", Int(sizes.type_size), atMost: Self.nameBytesMax)
        id = try section("id", Int(sizes.id_size), atMost: Self.nameBytesMax)
        headers = try section("headers", Int(sizes.headers_size), atMost: Self.headersBytesMax)
        payload = try section("payload", Int(sizes.payload_size), atMost: Self.payloadBytesMax)
        headerCount = Int(sizes.header_count)
        guard at == body.count else { throw ChannelViolation("an emitted event with \(body.count - at) bytes too many") }
        guard !domain.isEmpty, !subject.isEmpty else { throw ChannelViolation("an emitted event without a domain or a subject") }
        // Every pair has at least 6 bytes, so a count that agrees with the size fits the 16 bits that a record has for it.
        guard capelet_record_pairs_check(headers.baseAddress, UInt32(headers.count), sizes.header_count) else {
            throw ChannelViolation("an emitted event whose headers are not well formed")
        }
        for text in [domain, subject, type, id] where !Self.isUTF8(text) {
            throw ChannelViolation("an emitted event whose domain, subject, type or id is not UTF-8")
        }
    }

    /// Whether the bytes are valid UTF-8. Does not allocate.
    static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var iterator = bytes.makeIterator()
        var decoder = UTF8()
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue: continue
            case .emptyInput: return true
            case .error: return false
            }
        }
    }
}
