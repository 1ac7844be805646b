import Routing

/// What one domain takes (SEMANTICS §9).
struct EventLimits: Sendable, Equatable {
    /// Largest payload, bytes.
    var payloadBytesMax: Int
    /// Largest subject, bytes.
    var subjectBytesMax: Int
    /// Largest headers of an event in all, names and values, bytes.
    var headersBytesMax: Int
    /// Largest type, bytes.
    var typeBytesMax = 1024
    /// Largest id, bytes. A CloudEvent's is its source and its id.
    var idBytesMax = 4096
    /// Whether every event has to bring its sequence.
    var producerSequence: Bool

    /// Payloads above this lie in files of their own (SEMANTICS §1.6).
    static let inlinePayloadMax = 256 << 10
    /// Headers of one event. A record counts them in 16 bits, and each is compared with those before it.
    static let headerCountMax = 1_024
    /// Events in one CloudEvents batch.
    static let batchCountMax = 10_000

    init(domain: DomainRoute, limits: HostLimits) {
        payloadBytesMax = domain.payloadBytesMax
        subjectBytesMax = limits.subjectBytesMax
        headersBytesMax = limits.headersBytesMax
        producerSequence = domain.sequence == .producer
    }

    /// The most that one event's JSON text can need: payload in Base64 or escaped, everything else escaped, and some space.
    var textBytesMax: Int {
        let rest = 6 * (subjectBytesMax + headersBytesMax + typeBytesMax + idBytesMax)
        return payloadBytesMax * 2 + rest + 16 << 10
    }
}
