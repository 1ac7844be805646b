import Glibc
import WorkerProtocol

// CloudEvents 1.0.2 (https://github.com/cloudevents/spec) and its HTTP binding, mapped on events:
//
//   subject          → subject; required here
//   type             → type
//   source and id    → id: "SOURCE ID". The pair is what is unique, and neither a URI reference nor this joint can contain a space before
// the id
//   source           → header ce-source;   dataschema → header ce-dataschema;   datacontenttype → header content-type
//   time             → time
//   sequence         → sequence where the domain has `sequence: producer`, else a header
//   other extensions → headers of their names (traceparent and tracestate among them)
//   data             → payload: JSON values byte for byte, strings of a type that is not JSON as their text, data_base64 as bytes

/// Collects a CloudEvent's attributes, from HTTP headers or from JSON, and makes an event's parts of them.
struct CloudEventAttributes {
    var parts = EventParts()
    /// Put before an attribute's name in errors: `ce-` for the binary mode.
    let prefix: String
    private var hasVersion = false
    private var id = UnsafeRawBufferPointer(start: nil, count: 0)
    private var source = UnsafeRawBufferPointer(start: nil, count: 0)
    private var hasType = false
    /// `datacontenttype`; nil: not given.
    private(set) var contentType: UnsafeRawBufferPointer?

    init(prefix: String) { self.prefix = prefix }

    /// The names for errors.
    var names: EventEncoder.FieldNames {
        EventEncoder.FieldNames(
            subject: prefix + "subject", type: prefix + "type", id: prefix + "id", headers: "extension attributes",
            sequence: prefix + "sequence",
            payload: "data")
    }

    /// Takes one attribute. `value` is its text, valid until the event is written.
    mutating func add(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, limits: EventLimits) throws(EventFault) {
        let key = String(decoding: name.prefix(300), as: UTF8.self)
        let field = prefix + key
        guard !key.isEmpty, name.count <= 256, key.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) }) else {
            throw .malformed(field, "names of CloudEvents attributes have only the characters a-z and 0-9")
        }
        switch key {
        case "specversion":
            guard value.elementsEqual("1.0".utf8) else {
                throw .malformed(field, "only CloudEvents 1.0 is understood, not \(EventText.shown(value))")
            }
            hasVersion = true
        case "id":
            guard !value.isEmpty else { throw .malformed(field, "must not be empty") }
            id = value
        case "source":
            guard !value.isEmpty, !value.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
                throw .malformed(field, "has to be a URI reference, without spaces")
            }
            source = value
            try header("ce-source", value, limits, field)
        case "type":
            guard !value.isEmpty else { throw .malformed(field, "must not be empty") }
            parts.type = value
            hasType = true
        case "subject": parts.subject = value
        case "time":
            guard let micros = Timestamp.micros(rfc3339: value) else {
                throw .malformed(field, "has to be an RFC 3339 time such as 2026-03-01T12:00:00Z")
            }
            parts.timeMicros = micros
        case "datacontenttype":
            contentType = value
            try header("content-type", value, limits, field)
        case "dataschema": try header("ce-dataschema", value, limits, field)
        case "sequence" where limits.producerSequence:
            guard let sequence = EventText.integer(value) else {
                throw .malformed(
                    field, "has to be an integer from 0 to 18446744073709551615: the producers of this domain number its events")
            }
            parts.sequence = sequence
        case "data", "database64":
            throw .malformed(field, "is not a name that an attribute can have")
        default: try EventText.addHeader(&parts, name: name, value: value, limits: limits, field: field)
        }
    }

    private mutating func header(_ name: StaticString, _ value: UnsafeRawBufferPointer, _ limits: EventLimits, _ field: String)
        throws(EventFault)
    {
        try EventText.addHeader(
            &parts, name: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value: value, limits: limits,
            field: field)
    }

    /// Checks that everything required is there and joins source and id.
    mutating func finish(_ scratch: ScratchMemory) throws(EventFault) -> EventParts {
        if !hasVersion { throw .malformed(prefix + "specversion", "is missing: it has to be 1.0") }
        if id.isEmpty { throw .malformed(prefix + "id", "is missing: it makes an event unique within its source") }
        if source.isEmpty { throw .malformed(prefix + "source", "is missing: it says where the event comes from") }
        if !hasType { throw .malformed(prefix + "type", "is missing") }
        if parts.subject.isEmpty {
            throw .malformed(prefix + "subject", "is missing: Capelet keeps events in order by it, so it is required here")
        }
        let joined = scratch.take(source.count + 1 + id.count)
        joined.copyMemory(from: source)
        joined[source.count] = 0x20
        UnsafeMutableRawBufferPointer(rebasing: joined[(source.count + 1)...]).copyMemory(from: id)
        parts.id = UnsafeRawBufferPointer(joined)
        return parts
    }

    /// Whether `datacontenttype` says JSON; so it is when it is not given.
    var isJSON: Bool {
        guard let contentType else { return true }
        let type = String(decoding: contentType.prefix(200), as: UTF8.self).lowercased().prefix { $0 != ";" && $0 != " " }
        return type.hasSuffix("/json") || type.hasSuffix("+json")
    }
}

/// Reads a CloudEvent in JSON (structured mode, and each element of a batch).
enum CloudEventJSON {
    /// Reads the object that `scanner` stands on.
    static func parse(
        _ scanner: inout JSONScanner, limits: EventLimits, scratch: ScratchMemory
    ) throws(EventFault) -> (parts: EventParts, names: EventEncoder.FieldNames) {
        do {
            return try parse(scanning: &scanner, limits: limits, scratch: scratch)
        } catch let fault as EventFault {
            throw fault
        } catch let fault as JSONFault {
            throw .json(fault)
        } catch {
            throw .malformed(nil, "\(error)")
        }
    }

    private static func parse(
        scanning scanner: inout JSONScanner, limits: EventLimits, scratch: ScratchMemory
    ) throws -> (parts: EventParts, names: EventEncoder.FieldNames) {
        var attributes = CloudEventAttributes(prefix: "")
        var names: Set<String> = []
        var data: JSONToken?
        var dataBase64: JSONToken?
        var isFirst = true
        try scanner.enterObject()
        while let key = try scanner.nextKey(&isFirst) {
            let name = try scanner.text(key, scratch)
            let shown = String(decoding: name.prefix(300), as: UTF8.self)
            guard names.insert(shown).inserted else { throw EventFault.malformed(shown, "given twice") }
            let value = try scanner.value()
            if shown == "data" {
                data = value
            } else if shown == "data_base64" {
                dataBase64 = value
            } else {
                switch value.kind {
                case .null: continue
                case .string: try attributes.add(name: name, value: try scanner.text(value, scratch), limits: limits)
                case .bool, .number: try attributes.add(name: name, value: scanner.raw(value), limits: limits)
                case .object, .array:
                    throw EventFault.malformed(
                        shown, "an attribute's value is a string, a number or a boolean; what is structured belongs into data")
                }
            }
        }
        var parts = try attributes.finish(scratch)
        if let dataBase64, dataBase64.kind != .null {
            guard data == nil || data?.kind == .null else {
                throw EventFault.malformed("data_base64", "give data or data_base64, not both")
            }
            guard dataBase64.kind == .string else { throw EventFault.malformed("data_base64", "has to be a string") }
            let text = try scanner.text(dataBase64, scratch)
            let decoded = scratch.take(text.count / 4 * 3)
            guard let count = Base64.decode(text, into: decoded) else {
                throw EventFault.malformed("data_base64", "is not Base64 (RFC 4648, padded)")
            }
            parts.payload = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(decoded)[..<count])
        } else if let data {
            parts.payload = data.kind == .string && !attributes.isJSON ? try scanner.text(data, scratch) : scanner.raw(data)
        }
        return (parts, attributes.names)
    }
}

/// Decodes header values of the binary mode (HTTP binding 1.0.2, §3.1.3.2).
enum CloudEventHeader {
    /// The attributes that a request's header fields carry: those with `ce-` before their names, the content type, and the trace context,
    /// which may come without `ce-`. All others are the transport's.
    ///
    /// - Parameter fields: names in lower case, values as they came.
    static func attributes(
        of fields: [(name: String, value: String)], limits: EventLimits, scratch: ScratchMemory
    ) throws(EventFault) -> CloudEventAttributes {
        var attributes = CloudEventAttributes(prefix: "ce-")
        var seen: Set<String> = []
        for (key, text) in fields {
            let name: Substring
            if key.hasPrefix("ce-") {
                name = key.dropFirst(3)
            } else if key == "content-type" {
                name = "datacontenttype"
            } else if (key == "traceparent" || key == "tracestate") && !fields.contains(where: { $0.name == "ce-" + key }) {
                name = key[...]
            } else {
                continue
            }
            guard seen.insert(String(name)).inserted else { throw .malformed(key, "given twice") }
            if key == "ce-datacontenttype" { throw .malformed(key, "in the binary mode the content type is the Content-Type header") }
            guard let value = decode(text, scratch) else { throw .malformed(key, "is not UTF-8 after percent-decoding") }
            let label = scratch.take(name.utf8.count)
            label.copyBytes(from: name.utf8)
            try attributes.add(name: UnsafeRawBufferPointer(label), value: value, limits: limits)
        }
        return attributes
    }

    /// The attribute's text: quotes around it taken off, `%XX` decoded once. A percent sign that two hexadecimal digits do not follow
    /// stays. Nil when the result is not UTF-8.
    static func decode(_ value: String, _ scratch: ScratchMemory) -> UnsafeRawBufferPointer? {
        var source = Array(value.utf8)
        if source.count >= 2, source.first == UInt8(ascii: "\""), source.last == UInt8(ascii: "\"") {
            var plain: [UInt8] = []
            var isEscaped = false
            for byte in source.dropFirst().dropLast() {
                if byte == UInt8(ascii: "\\"), !isEscaped {
                    isEscaped = true
                } else {
                    plain.append(byte)
                    isEscaped = false
                }
            }
            source = plain
        }
        let out = scratch.take(source.count)
        var written = 0
        var index = 0
        while index < source.count {
            if source[index] == UInt8(ascii: "%"), index + 2 < source.count, let high = JSONScanner.hexDigit(source[index + 1]),
                let low = JSONScanner.hexDigit(source[index + 2])
            {
                out[written] = high << 4 | low
                index += 3
            } else {
                out[written] = source[index]
                index += 1
            }
            written += 1
        }
        let text = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(out)[..<written])
        return String(validating: text, as: UTF8.self) == nil ? nil : text
    }
}
