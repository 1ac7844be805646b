// Channel: the host's end of the channel to one worker, and a worker at the other that is honest or lies.
//
// The input is a program for both (`ChannelProgram`). Always: nothing out of bounds and nothing without end, whatever the worker does; between
// the host and a worker that keeps to the rules every event and every frame arrives as it was sent, in order, once, and no violation is seen.

import FuzzSupport
import WorkerProtocol

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    var program = ChannelProgram(FuzzInput(UnsafeRawBufferPointer(start: start, count: size)))
    do throws(ChannelViolation) {
        try program.run()
        if !program.hasLied { try program.finish() }
    } catch {
        always(program.hasLied, "an honest worker is accused: \(error)")
    }
    return 0
}
