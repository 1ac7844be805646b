import Routing
import HTTPTypes
import Hummingbird
import Journal
import NIOCore
import Telemetry
import WorkerProtocol

/// `POST /v1/domains/{domain}/events`: picks the decoder for the content type, appends, answers after the commit.
struct EventRoutes: Sendable {
    let control: any HostControl
    let journal: any Journal
    let metrics: HostMetrics

    func add(to router: Router<FrontendContext>) {
        router.post("/v1/domains/:domain/events") { request, context in try await post(request, context) }
    }

    private func post(_ request: Request, _ context: FrontendContext) async throws -> Response {
        let name = try context.parameters.require("domain")
        let domain = name.removingURLPercentEncoding() ?? name
        try context.caller.requireSending(to: domain)
        let door = try EventDoor(domain, control: control, journal: journal, metrics: metrics)
        let type = MediaName(request.headers[.contentType])
        do {
            switch type?.essence {
            case "application/x-ndjson", "application/ndjson", "application/jsonl":
                let control = control
                return await NDJSONIngest(door: door, closedReason: { control.closedReason() }).respond(to: request, context: context)
            case "application/cloudevents+json": return try await structured(request, context, door)
            case "application/cloudevents-batch+json": return try await batch(request, context, door)
            default:
                if request.headers.contains(where: { $0.name.canonicalName.hasPrefix("ce-") }) {
                    return try await binary(request, context, door)
                }
                throw Problem(
                    .unsupportedMediaType, "unsupported-media-type", "Unsupported media type",
                    """
                    the content type is \(type.map { "`\($0.essence)`" } ?? "missing"); send application/x-ndjson (one event a line), \
                    application/cloudevents+json, application/cloudevents-batch+json, or a CloudEvent with ce- headers
                    """)
            }
        } catch let fault as EventFault {
            door.metrics.refused[.malformed]?.addShared()
            throw Problem(fault)
        }
    }

    // MARK: one event

    private func binary(_ request: Request, _ context: FrontendContext, _ door: EventDoor) async throws -> Response {
        let limits = door.encoder.limits
        let body = try await BodyReader.collect(request, upTo: limits.payloadBytesMax, of: "the domain \(door.domain.name)", context)
        let prepared = try prepareBinary(request.headers, body, door)
        return try await appendOne(prepared, door)
    }

    private func structured(_ request: Request, _ context: FrontendContext, _ door: EventDoor) async throws -> Response {
        let limits = door.encoder.limits
        let body = try await BodyReader.collect(request, upTo: limits.textBytesMax, of: "the domain \(door.domain.name)", context)
        let prepared = try body.withUnsafeReadableBytes { bytes in
            let scratch = ScratchMemory()
            var scanner = JSONScanner(bytes)
            let (parts, names) = try CloudEventJSON.parse(&scanner, limits: limits, scratch: scratch)
            do throws(JSONFault) { try scanner.finish() } catch { throw EventFault.json(error) }
            return try prepare(parts, names, door)
        }
        return try await appendOne(prepared, door)
    }

    /// An event that is ready for the journal, but for a large payload.
    private enum Prepared: Sendable {
        case small(RecordBuffer)
        case large(LargeEvent)
    }

    private func prepare(_ parts: EventParts, _ names: EventEncoder.FieldNames, _ door: EventDoor) throws(EventFault) -> Prepared {
        try door.encoder.check(parts, names: names)
        if parts.payload.count > EventLimits.inlinePayloadMax { return .large(door.encoder.copy(parts)) }
        let records = RecordBuffer(capacity: 512 + parts.payload.count, count: 1)
        door.encoder.append(parts, to: records, acceptedMicros: EventEncoder.nowMicros())
        return .small(records)
    }

    private func prepareBinary(_ headers: HTTPFields, _ body: ByteBuffer, _ door: EventDoor) throws(EventFault) -> Prepared {
        let limits = door.encoder.limits
        let scratch = ScratchMemory()
        var attributes = try CloudEventHeader.attributes(
            of: headers.map { ($0.name.canonicalName, $0.value) }, limits: limits, scratch: scratch)
        var parts = try attributes.finish(scratch)
        var names = attributes.names
        names.payload = "body"
        let result: Result<Prepared, EventFault> = body.withUnsafeReadableBytes { bytes in
            parts.payload = bytes
            do throws(EventFault) {
                return .success(try prepare(parts, names, door))
            } catch {
                return .failure(error)
            }
        }
        return try withExtendedLifetime(scratch) { () throws(EventFault) in try result.get() }
    }

    private func appendOne(_ prepared: Prepared, _ door: EventDoor) async throws -> Response {
        let records: RecordBuffer
        switch prepared {
        case .small(let made): records = made
        case .large(let event):
            let number = try await door.store(event.payload)
            records = RecordBuffer(capacity: 512, count: 1)
            door.encoder.append(event, storedAs: number, to: records, acceptedMicros: EventEncoder.nowMicros())
        }
        let receipt = try await door.append(records, isAtomic: true).get()
        var json = JSONText()
        let entry = receipt.entries.first ?? .accepted(offset: receipt.firstOffset)
        try Self.write(entry, to: &json)
        var status = HTTPResponse.Status.created
        if case .duplicate = entry { status = .ok }
        return .json(json, status: status)
    }

    // MARK: batch

    private func batch(_ request: Request, _ context: FrontendContext, _ door: EventDoor) async throws -> Response {
        let limits = door.encoder.limits
        // A batch is one group in memory: at most 32 MiB, or one largest event.
        let bytesMax = max(32 << 20, limits.textBytesMax)
        let body = try await BodyReader.collect(request, upTo: bytesMax, of: "a batch", context)
        let parsed = try parseBatch(body, door)
        var records = parsed.records
        let large = parsed.large
        if !large.isEmpty {
            // Large payloads are stored first, then everything is written again in its order.
            let whole = RecordBuffer(capacity: records.size + 4096, count: records.count + large.count)
            var small = 0
            var next = 0
            for place in 0..<(records.count + large.count) {
                if next < large.count, large[next].place == place {
                    let number = try await door.store(large[next].event.payload)
                    door.encoder.append(large[next].event, storedAs: number, to: whole, acceptedMicros: EventEncoder.nowMicros())
                    next += 1
                } else {
                    whole.append(copying: records.record(small))
                    small += 1
                }
            }
            records = whole
        }
        var json = JSONText(capacity: 32 * records.count)
        json.raw("{\"results\":[")
        if records.count > 0 {
            let receipt = try await door.append(records, isAtomic: true).get()
            for index in 0..<receipt.count {
                if index > 0 { json.raw(",") }
                let entry =
                    receipt.entries.isEmpty ? AppendEntry.accepted(offset: receipt.firstOffset + UInt64(index)) : receipt.entries[index]
                try Self.write(entry, to: &json)
            }
        }
        json.raw("]}")
        return .json(json, status: .ok)
    }

    private func parseBatch(_ body: ByteBuffer, _ door: EventDoor) throws(Problem) -> CloudEventBatch {
        let accepted = EventEncoder.nowMicros()
        let result: Result<CloudEventBatch, CloudEventBatch.Refusal> = body.withUnsafeReadableBytes { bytes in
            do throws(CloudEventBatch.Refusal) {
                return .success(try CloudEventBatch(bytes, encoder: door.encoder, acceptedMicros: accepted))
            } catch {
                return .failure(error)
            }
        }
        do throws(CloudEventBatch.Refusal) {
            return try result.get()
        } catch {
            door.metrics.refused[.malformed]?.addShared()
            throw Problem(error.fault, line: error.line)
        }
    }

    private static func write(_ entry: AppendEntry, to json: inout JSONText) throws(Problem) {
        switch entry {
        case .accepted(let offset):
            json.raw("{\"offset\":")
            json.number(offset)
            json.raw(",\"duplicate\":false}")
        case .duplicate(let offset):
            json.raw("{\"offset\":")
            json.number(offset)
            json.raw(",\"duplicate\":true}")
        case .outOfOrder(let last):
            throw Problem(
                .conflict, "out-of-order", "Out of order", "the subject's last sequence is \(last); a new event's has to be above it",
                field: "sequence")
        }
    }
}
