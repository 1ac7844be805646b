import Glibc
import WorkerProtocol

/// Reads one NDJSON line into an event's parts:
///
///     {"subject": "customer-7", "type": "order.paid", "id": "o-1", "sequence": 3, "time": "2026-03-01T12:00:00Z",
///      "headers": {"tenant": "a"}, "payload": {"total": 12}}
///
/// Only `subject` is required. `payload` is any JSON value, kept byte for byte; `payloadBase64` holds bytes that are not JSON. Keys that
/// are not known are refused, so that a typing error does not lose a part.
enum EventLine {
    static let names = EventEncoder.FieldNames()

    static func parse(_ line: UnsafeRawBufferPointer, limits: EventLimits, scratch: ScratchMemory) throws(EventFault) -> EventParts {
        do {
            return try parse(scanning: line, limits: limits, scratch: scratch)
        } catch let fault as EventFault {
            throw fault
        } catch let fault as JSONFault {
            throw .json(fault)
        } catch {
            throw .malformed(nil, "\(error)")
        }
    }

    private enum Field: Int {
        case subject, type, id, sequence, time, headers, payload, payloadBase64
    }

    @inline(__always)
    private static func equals(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        text.count == name.utf8CodeUnitCount && memcmp(text.baseAddress!, name.utf8Start, text.count) == 0
    }

    private static func field(_ key: UnsafeRawBufferPointer) -> Field? {
        guard key.count > 0 else { return nil }
        switch key[0] {
        case UInt8(ascii: "s"): return equals(key, "subject") ? .subject : equals(key, "sequence") ? .sequence : nil
        case UInt8(ascii: "t"): return equals(key, "type") ? .type : equals(key, "time") ? .time : nil
        case UInt8(ascii: "i"): return equals(key, "id") ? .id : nil
        case UInt8(ascii: "h"): return equals(key, "headers") ? .headers : nil
        case UInt8(ascii: "p"): return equals(key, "payload") ? .payload : equals(key, "payloadBase64") ? .payloadBase64 : nil
        default: return nil
        }
    }

    private static func parse(scanning line: UnsafeRawBufferPointer, limits: EventLimits, scratch: ScratchMemory) throws -> EventParts {
        var scanner = JSONScanner(line)
        var parts = EventParts()
        var seen: UInt32 = 0
        var isFirst = true
        try scanner.enterObject()
        while let key = try scanner.nextKey(&isFirst) {
            let name = try scanner.text(key, scratch)
            guard let field = field(name) else {
                throw EventFault.malformed(
                    String(decoding: name.prefix(64), as: UTF8.self),
                    "an event has no such part; known are subject, type, id, sequence, time, headers, payload, payloadBase64")
            }
            let bit: UInt32 = 1 << UInt32(field.rawValue)
            if seen & bit != 0 { throw EventFault.malformed(String(decoding: name, as: UTF8.self), "given twice") }
            seen |= bit
            let value = try scanner.value()
            func text() throws -> UnsafeRawBufferPointer {
                guard value.kind == .string else { throw EventFault.malformed(String(decoding: name, as: UTF8.self), "has to be a string") }
                return try scanner.text(value, scratch)
            }
            switch field {
            case .subject: parts.subject = try text()
            case .type: parts.type = try text()
            case .id: parts.id = try text()
            case .sequence:
                if value.kind == .null { continue }
                let digits = value.kind == .string ? try text() : scanner.raw(value)
                guard value.kind == .number || value.kind == .string, let sequence = EventText.integer(digits) else {
                    throw EventFault.malformed("sequence", "has to be an integer from 0 to 18446744073709551615")
                }
                guard limits.producerSequence else {
                    throw EventFault.malformed(
                        "sequence", "the host numbers this domain's events; leave it out, or set `sequence: producer` for the domain")
                }
                parts.sequence = sequence
            case .time:
                guard let micros = Timestamp.micros(rfc3339: try text()) else {
                    throw EventFault.malformed("time", "has to be an RFC 3339 time such as 2026-03-01T12:00:00Z")
                }
                parts.timeMicros = micros
            case .headers: try headers(&parts, scanner, value, limits, scratch)
            case .payload: parts.payload = scanner.raw(value)
            case .payloadBase64:
                let encoded = try text()
                guard encoded.count / 4 * 3 <= limits.payloadBytesMax + 2 else {
                    throw EventFault.tooLarge(
                        "payloadBase64",
                        "the payload has about \(encoded.count / 4 * 3) bytes, this domain takes at most \(limits.payloadBytesMax)")
                }
                let decoded = scratch.take(encoded.count / 4 * 3)
                guard let count = Base64.decode(encoded, into: decoded) else {
                    throw EventFault.malformed("payloadBase64", "is not Base64 (RFC 4648, padded)")
                }
                parts.payload = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(decoded)[..<count])
            }
        }
        try scanner.finish()
        if seen & 0b1100_0000 == 0b1100_0000 { throw EventFault.malformed("payloadBase64", "give payload or payloadBase64, not both") }
        return parts
    }

    private static func headers(
        _ parts: inout EventParts, _ scanner: JSONScanner, _ value: JSONToken, _ limits: EventLimits, _ scratch: ScratchMemory
    ) throws {
        guard value.kind == .object else { throw EventFault.malformed("headers", "has to be an object of strings") }
        var inner = JSONScanner(scanner.bytes, at: value.start, end: value.end)
        var isFirst = true
        try inner.enterObject()
        while let key = try inner.nextKey(&isFirst) {
            let name = try inner.text(key, scratch)
            let entry = try inner.value()
            let text: UnsafeRawBufferPointer
            switch entry.kind {
            case .string: text = try inner.text(entry, scratch)
            case .number, .bool: text = inner.raw(entry)
            default: throw EventFault.malformed("headers", "the value of \(EventText.shown(name)) has to be a string")
            }
            try EventText.addHeader(&parts, name: name, value: text, limits: limits, field: "headers")
        }
    }
}

/// Small pieces that every event format needs.
enum EventText {
    /// A decimal integer without sign.
    static func integer(_ digits: UnsafeRawBufferPointer) -> UInt64? {
        guard !digits.isEmpty, digits.count <= 20 else { return nil }
        var value: UInt64 = 0
        for byte in digits {
            let digit = byte &- 0x30
            guard digit < 10 else { return nil }
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, overSum) = product.addingReportingOverflow(UInt64(digit))
            if over || overSum { return nil }
            value = sum
        }
        return value
    }

    static func shown(_ bytes: UnsafeRawBufferPointer) -> String { "`\(String(decoding: bytes.prefix(64), as: UTF8.self))`" }

    /// Adds a header; names are 1 to 256 bytes without control characters, given once.
    static func addHeader(
        _ parts: inout EventParts, name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, limits: EventLimits, field: String
    ) throws(EventFault) {
        guard (1...256).contains(name.count), !name.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw .malformed(field, "a header's name has 1 to 256 bytes and no control characters: \(shown(name))")
        }
        if memchr(value.baseAddress ?? name.baseAddress!, 0, value.count) != nil {
            throw .malformed(field, "the value of \(shown(name)) contains a NUL character")
        }
        parts.headersSize += name.count + value.count
        guard parts.headersSize <= limits.headersBytesMax else {
            throw .malformed(field, "the headers have more than \(limits.headersBytesMax) bytes in all")
        }
        guard parts.headers.count < EventLimits.headerCountMax else {
            throw .malformed(field, "an event has at most \(EventLimits.headerCountMax) headers")
        }
        if parts.headers.count > 0, parts.headers.contains(name: name) {
            throw .malformed(field, "the header \(shown(name)) is given twice")
        }
        parts.headers.append(name: name, value: value)
    }
}

extension EncodedPairs {
    fileprivate func contains(name wanted: UnsafeRawBufferPointer) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var at = 0
            while at + 6 <= bytes.count {
                let name = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self))
                let value = Int(bytes.loadUnaligned(fromByteOffset: at + 2, as: UInt32.self))
                if name == wanted.count, memcmp(bytes.baseAddress! + at + 6, wanted.baseAddress!, name) == 0 { return true }
                at += 6 + name + value
            }
            return false
        }
    }
}
