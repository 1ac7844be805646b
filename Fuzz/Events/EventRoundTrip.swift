import CWorkerProtocol
import FuzzSupport
import Routing
import WorkerProtocol

@testable import Frontend

/// Writes accepted events as the host shows them, and takes them in again.
struct EventRoundTrip {
    static let domain = "fuzz"
    let encoder: EventEncoder

    /// - Parameter producerSequence: whether events bring their sequence.
    init(producerSequence: Bool) {
        var domain = DomainRoute(name: Self.domain, lambdas: [])
        domain.payloadBytesMax = 3000
        domain.sequence = producerSequence ? .producer : .host
        encoder = EventEncoder(
            domain: 7, subjectHash: SubjectHash(key0: 1, key1: 2), limits: EventLimits(domain: domain, limits: HostLimits()))
    }

    /// Checks an accepted event, which must have passed the encoder's check.
    func check(_ parts: EventParts) {
        for part in [parts.subject, parts.type, parts.id, parts.payload] { touch(part) }
        always(encoder.subjectHash(parts.subject) == encoder.subjectHash(parts.subject), "a hash that changes")
        let records = RecordBuffer()
        encoder.append(parts, to: records, acceptedMicros: 1_700_000_000_000_000)
        always(RecordBuffer(checking: records.bytes, count: 1) != nil, "an event that makes a broken record")
        // What has a file of its own for its payload differs in nothing else.
        let large = RecordBuffer()
        encoder.append(encoder.copy(parts), storedAs: 5, to: large, acceptedMicros: 1_700_000_000_000_000)
        always(RecordBuffer(checking: large.bytes, count: 1) != nil, "a large event that makes a broken record")
        always(large.view(0).headersSection.elementsEqual(records.view(0).headersSection), "other headers in a large event")
        let line = sentAgain(records.view(0))
        line.withUnsafeBytes { line in
            let scratch = ScratchMemory()
            let again = RecordBuffer()
            do throws(EventFault) {
                let parts = try EventLine.parse(line, limits: encoder.limits, scratch: scratch)
                try encoder.check(parts, names: EventLine.names)
                encoder.append(parts, to: again, acceptedMicros: 1_700_000_000_000_000)
            } catch {
                fatalError("an event that is shown cannot be sent again: \(error): \(String(decoding: line, as: UTF8.self))")
            }
            always(
                again.bytes.elementsEqual(records.bytes),
                "an event that is another when sent again: \(String(decoding: line, as: UTF8.self))")
        }
    }

    /// The line that sends the event again: the parts that can be sent, out of what is shown.
    private func sentAgain(_ view: RecordView) -> [UInt8] {
        var shown = JSONText()
        do {
            try EventJSON.write(view, domain: Self.domain, to: &shown) { _ in fatalError("no payload of this event has a file") }
        } catch {
            fatalError("an event that cannot be shown: \(error)")
        }
        return shown.bytes.withUnsafeBytes { bytes in
            always(JSONValidity.isLine(bytes), "an event that is shown as something else than JSON")
            var sendable: Set<String> = ["subject", "type", "id", "time", "headers", "payload", "payloadBase64"]
            if encoder.limits.producerSequence { sendable.insert("sequence") }
            var line = JSONText()
            var scanner = JSONScanner(bytes)
            let scratch = ScratchMemory()
            do {
                var isFirst = true
                try scanner.enterObject()
                line.raw("{")
                while let key = try scanner.nextKey(&isFirst) {
                    let value = try scanner.value()
                    let name = String(decoding: try scanner.text(key, scratch), as: UTF8.self)
                    guard sendable.contains(name) else { continue }
                    if line.bytes.count > 1 { line.raw(",") }
                    line.string(name)
                    line.raw(":")
                    line.raw(scanner.raw(value))
                }
                line.raw("}")
            } catch {
                fatalError("an event that is shown as broken JSON: \(error)")
            }
            return line.bytes
        }
    }
}
