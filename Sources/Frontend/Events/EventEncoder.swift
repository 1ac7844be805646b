import Glibc
import WorkerProtocol

/// The parts of one event as they lie in a request. The memory is the request's or the scratch's.
struct EventParts {
    var subject = UnsafeRawBufferPointer(start: nil, count: 0)
    var type = UnsafeRawBufferPointer(start: nil, count: 0)
    var id = UnsafeRawBufferPointer(start: nil, count: 0)
    var headers = EncodedPairs.empty
    var headersSize = 0
    var sequence: UInt64?
    var timeMicros: Int64?
    var payload = UnsafeRawBufferPointer(start: nil, count: 0)
}

/// An event whose payload goes to a file of its own: copied out of the request, since storing it takes a while.
struct LargeEvent: Sendable {
    var subject: [UInt8]
    var type: [UInt8]
    var id: [UInt8]
    var headers: EncodedPairs
    var sequence: UInt64?
    var timeMicros: Int64?
    var payload: [UInt8]
}

/// Checks events against a domain's limits and writes them as records.
struct EventEncoder: Sendable {
    /// The domain's number.
    let domain: UInt32
    let subjectHash: SubjectHash
    let limits: EventLimits

    /// Names of the parts as the producer's format calls them, for errors.
    struct FieldNames: Sendable {
        var subject = "subject"
        var type = "type"
        var id = "id"
        var headers = "headers"
        var sequence = "sequence"
        var payload = "payload"
    }

    static func nowMicros() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    }

    /// Checks every limit; throws naming the part.
    func check(_ parts: EventParts, names: FieldNames) throws(EventFault) {
        if parts.subject.isEmpty { throw .malformed(names.subject, "the subject is missing: every event names the entity that changed") }
        if parts.subject.count > limits.subjectBytesMax {
            throw .malformed(names.subject, "the subject has \(parts.subject.count) bytes, at most \(limits.subjectBytesMax) are allowed")
        }
        if memchr(parts.subject.baseAddress!, 0, parts.subject.count) != nil {
            throw .malformed(names.subject, "the subject contains a NUL character")
        }
        if parts.type.count > limits.typeBytesMax {
            throw .malformed(names.type, "the type has \(parts.type.count) bytes, at most \(limits.typeBytesMax) are allowed")
        }
        if parts.id.count > limits.idBytesMax {
            throw .malformed(names.id, "the id has \(parts.id.count) bytes, at most \(limits.idBytesMax) are allowed")
        }
        if parts.headersSize > limits.headersBytesMax {
            throw .malformed(
                names.headers, "the headers have \(parts.headersSize) bytes in all, at most \(limits.headersBytesMax) are allowed")
        }
        if parts.payload.count > limits.payloadBytesMax {
            throw .tooLarge(
                names.payload,
                "the payload has \(parts.payload.count) bytes, this domain takes at most \(limits.payloadBytesMax) (payload-max)")
        }
        if limits.producerSequence, parts.sequence == nil {
            throw .malformed(names.sequence, "the sequence is missing: the producers of this domain number its events (sequence: producer)")
        }
    }

    /// Writes an event that has passed `check` and whose payload is small.
    @inline(__always)
    func append(_ parts: EventParts, to records: RecordBuffer, acceptedMicros: Int64) {
        records.append(
            domain: domain, subjectHash: subjectHash(parts.subject), subject: parts.subject, type: parts.type, id: parts.id,
            headers: parts.headers,
            payload: parts.payload, sequence: parts.sequence ?? 0, timeMicros: parts.timeMicros ?? acceptedMicros,
            acceptedMicros: acceptedMicros)
    }

    /// A copy of an event that has passed `check` and whose payload is large.
    func copy(_ parts: EventParts) -> LargeEvent {
        LargeEvent(
            subject: Array(parts.subject), type: Array(parts.type), id: Array(parts.id), headers: parts.headers, sequence: parts.sequence,
            timeMicros: parts.timeMicros, payload: Array(parts.payload))
    }

    /// Writes an event whose payload has been stored under `number`.
    func append(_ event: LargeEvent, storedAs number: UInt64, to records: RecordBuffer, acceptedMicros: Int64) {
        event.subject.withUnsafeBytes { subject in
            event.type.withUnsafeBytes { type in
                event.id.withUnsafeBytes { id in
                    withUnsafeBytes(of: number.littleEndian) { payload in
                        records.append(
                            domain: domain, subjectHash: subjectHash(subject), subject: subject, type: type, id: id, headers: event.headers,
                            payload: payload, externalSize: UInt32(event.payload.count), sequence: event.sequence ?? 0,
                            timeMicros: event.timeMicros ?? acceptedMicros, acceptedMicros: acceptedMicros)
                    }
                }
            }
        }
    }
}
