// Events: lines of NDJSON, as `POST /v1/domains/{domain}/events` takes them.
//
// Always: what is accepted makes a well-formed record; what is shown of that can be sent again, and is the same event then. Each line is read
// with and without sequences of the producer's.

import FuzzSupport

@testable import Frontend

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    var input = FuzzInput(UnsafeRawBufferPointer(start: start, count: size))
    while !input.isAtEnd {
        withExactCopy(input.piece(until: UInt8(ascii: "\n"))) { line in
            for trip in trips {
                let scratch = ScratchMemory()
                do throws(EventFault) {
                    let parts = try EventLine.parse(line, limits: trip.encoder.limits, scratch: scratch)
                    try trip.encoder.check(parts, names: EventLine.names)
                    trip.check(parts)
                } catch {
                    always(!error.message.isEmpty, "an event that is refused for no reason")
                }
                withExtendedLifetime(scratch) {}
            }
        }
    }
    return 0
}

private let trips = [EventRoundTrip(producerSequence: false), EventRoundTrip(producerSequence: true)]
