import WorkerProtocol

/// A batch of CloudEvents (JSON batch format 1.0.2), decoded and checked: all of it, or nothing.
struct CloudEventBatch {
    /// Those whose payload is small, in their order.
    let records: RecordBuffer
    /// Those whose payload goes to a file of its own, with their places in the batch.
    private(set) var large: [(place: Int, event: LargeEvent)] = []

    /// Why a batch is refused.
    struct Refusal: Error, Equatable {
        var fault: EventFault
        /// The element that is wrong, from 1; nil: the array itself.
        var line: Int?
    }

    /// Decodes the array that is the whole of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer, encoder: EventEncoder, acceptedMicros: Int64) throws(Refusal) {
        records = RecordBuffer(capacity: bytes.count, count: 64)
        let scratch = ScratchMemory()
        var scanner = JSONScanner(bytes)
        var isFirst = true
        var place = 0
        do throws(JSONFault) { try scanner.enterArray() } catch { throw Refusal(fault: .json(error)) }
        while true {
            do throws(JSONFault) {
                guard try scanner.nextElement(&isFirst) else { break }
            } catch {
                throw Refusal(fault: .json(error))
            }
            guard place < EventLimits.batchCountMax else {
                throw Refusal(
                    fault: .tooLarge(
                        nil,
                        "a batch has at most \(EventLimits.batchCountMax) events; send several, or a stream as application/x-ndjson"))
            }
            scratch.reset()
            do throws(EventFault) {
                let (parts, names) = try CloudEventJSON.parse(&scanner, limits: encoder.limits, scratch: scratch)
                try encoder.check(parts, names: names)
                if parts.payload.count > EventLimits.inlinePayloadMax {
                    large.append((place, encoder.copy(parts)))
                } else {
                    encoder.append(parts, to: records, acceptedMicros: acceptedMicros)
                }
            } catch {
                throw Refusal(fault: error, line: place + 1)
            }
            place += 1
        }
        do throws(JSONFault) { try scanner.finish() } catch { throw Refusal(fault: .json(error)) }
    }
}
