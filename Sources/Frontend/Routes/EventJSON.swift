import CWorkerProtocol
import WorkerProtocol

/// Writes stored events as JSON. The parts have the names of the NDJSON input, so that an event can be sent again as it was read.
enum EventJSON {
    /// Writes one event. `externalPayload` gives the payload that lies in a file of its own.
    static func write(
        _ view: RecordView, domain: String, to json: inout JSONText, payloadBytesMax: Int = .max,
        externalPayload: (UInt64) throws -> [UInt8]
    ) throws {
        let header = view.header.pointee
        json.raw("{\"domain\":")
        json.string(domain)
        json.raw(",\"offset\":")
        json.number(header.offset)
        json.raw(",\"sequence\":")
        json.number(header.sequence)
        json.raw(",\"subject\":")
        json.string(utf8: view.subject)
        json.raw(",\"type\":")
        json.string(utf8: view.type)
        json.raw(",\"id\":")
        json.string(utf8: view.id)
        json.raw(",\"time\":")
        json.string(Timestamp.rfc3339(micros: header.time_micros))
        json.raw(",\"accepted\":")
        json.string(Timestamp.rfc3339(micros: header.accepted_micros))
        json.raw(",\"hops\":")
        json.number(header.hops)
        json.raw(",\"headers\":{")
        var isFirst = true
        view.forEachHeader { name, value in
            if !isFirst { json.raw(",") }
            isFirst = false
            json.string(utf8: name)
            json.raw(":")
            json.string(utf8: value)
        }
        json.raw("},\"payloadSize\":")
        json.number(header.payload_size)
        if header.payload_size > 0, Int(header.payload_size) <= payloadBytesMax {
            if let number = view.externalNumber {
                try externalPayload(number).withUnsafeBytes { payload($0, &json) }
            } else {
                payload(view.payloadSection, &json)
            }
        }
        json.raw("}")
    }

    /// The payload as JSON where it is JSON without line breaks, else in Base64.
    private static func payload(_ bytes: UnsafeRawBufferPointer, _ json: inout JSONText) {
        var scanner = JSONScanner(bytes)
        let isJSON: Bool
        do {
            _ = try scanner.value()
            try scanner.finish()
            isJSON = !bytes.contains(0x0A) && !bytes.contains(0x0D)
        } catch {
            isJSON = false
        }
        if isJSON {
            json.raw(",\"payload\":")
            json.raw(bytes)
        } else {
            json.raw(",\"payloadBase64\":\"")
            Base64.encode(bytes).withUnsafeBytes { json.raw($0) }
            json.raw("\"")
        }
    }
}
