// CloudEvents: the three modes of the HTTP binding. The first byte chooses: `b` binary, with header fields as lines up to an empty one and the
// body behind it; `a` a batch; all else structured.
//
// Always: as for Events. A batch is read as all of it, or refused as a whole.

import FuzzSupport
import WorkerProtocol

@testable import Frontend

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    var input = FuzzInput(UnsafeRawBufferPointer(start: start, count: size))
    let mode = input.byte()
    for trip in trips {
        var input = input
        do throws(EventFault) {
            switch mode {
            case UInt8(ascii: "b"): try binary(&input, trip)
            case UInt8(ascii: "a"): try batch(input.rest(), trip)
            default: try structured(input.rest(), trip)
            }
        } catch {
            always(!error.message.isEmpty, "an event that is refused for no reason")
        }
    }
    return 0
}

private let trips = [EventRoundTrip(producerSequence: false), EventRoundTrip(producerSequence: true)]

private func binary(_ input: inout FuzzInput, _ trip: EventRoundTrip) throws(EventFault) {
    var fields: [(name: String, value: String)] = []
    while !input.isAtEnd {
        let line = input.piece(until: UInt8(ascii: "\n"))
        if line.isEmpty { break }
        // As the server hands them over: a name is ASCII in lower case, a value any text.
        var parts = FuzzInput(line)
        let name = String(decoding: parts.piece(until: UInt8(ascii: ":")).map { $0 & 0x7F }, as: UTF8.self).lowercased()
        fields.append((name, String(decoding: parts.rest().drop { $0 == 0x20 }, as: UTF8.self)))
    }
    let scratch = ScratchMemory()
    var attributes = try CloudEventHeader.attributes(of: fields, limits: trip.encoder.limits, scratch: scratch)
    var event = try attributes.finish(scratch)
    event.payload = input.rest()
    try trip.encoder.check(event, names: attributes.names)
    trip.check(event)
    withExtendedLifetime(scratch) {}
}

private func structured(_ bytes: UnsafeRawBufferPointer, _ trip: EventRoundTrip) throws(EventFault) {
    try withExactCopy(bytes) { bytes in
        Result { () throws(EventFault) in
            let scratch = ScratchMemory()
            var scanner = JSONScanner(bytes)
            let (parts, names) = try CloudEventJSON.parse(&scanner, limits: trip.encoder.limits, scratch: scratch)
            do throws(JSONFault) { try scanner.finish() } catch { throw EventFault.json(error) }
            try trip.encoder.check(parts, names: names)
            trip.check(parts)
            withExtendedLifetime(scratch) {}
        }
    }.get()
}

private func batch(_ bytes: UnsafeRawBufferPointer, _ trip: EventRoundTrip) throws(EventFault) {
    try withExactCopy(bytes) { bytes in
        Result { () throws(EventFault) in
            let batch: CloudEventBatch
            do throws(CloudEventBatch.Refusal) {
                batch = try CloudEventBatch(bytes, encoder: trip.encoder, acceptedMicros: 1_700_000_000_000_000)
            } catch {
                throw error.fault
            }
            // No payload here is allowed to be as long as one that has a file.
            always(batch.large.isEmpty, "a payload above the domain's limit")
            let records = batch.records
            always(records.count <= EventLimits.batchCountMax, "a batch of \(records.count) events")
            if records.count > 0 {
                always(RecordBuffer(checking: records.bytes, count: records.count) != nil, "a batch that makes broken records")
            }
        }
    }.get()
}
