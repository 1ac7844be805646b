import Dispatch
import Glibc

/// Signals as a stream. They no longer have their usual effect.
final class Signals: @unchecked Sendable {
    /// Each signal that arrives. Equal ones that arrive close together may be one.
    let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init(_ numbers: [Int32]) {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        self.stream = stream
        var sources: [any DispatchSourceSignal] = []
        let queue = DispatchQueue(label: "capelet-signals")
        for number in numbers {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            sources.append(source)
        }
        self.sources = sources
    }
}
