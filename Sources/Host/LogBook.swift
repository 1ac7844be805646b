import Dispatcher
import Foundation
import Frontend
import Synchronization

/// The last lines of every lambda's workers, and those who follow them. Any thread.
final class LogBook: Sendable {
    /// Lines kept for each lambda.
    static let linesMax = 1000

    private struct Contents {
        var lines: [String: [LogLine]] = [:]
        var followers: [Int: (lambda: String?, continuation: AsyncStream<LogLine>.Continuation)] = [:]
        var next = 0
    }

    private let contents = Mutex(Contents())

    /// Adds a line.
    func add(_ line: LogLine) {
        contents.withLock { contents in
            var lines = contents.lines[line.lambda] ?? []
            lines.append(line)
            // Cut in large steps, so that a line costs no copy of all others.
            if lines.count > Self.linesMax * 2 { lines.removeFirst(lines.count - Self.linesMax) }
            contents.lines[line.lambda] = lines
            for (_, follower) in contents.followers where follower.lambda == nil || follower.lambda == line.lambda {
                follower.continuation.yield(line)
            }
        }
    }

    /// The last lines, then, with `follow`, new ones. A slow reader loses the oldest of what it has not read.
    func read(lambda: String?, tail: Int, follow: Bool) -> AsyncStream<LogLine> {
        let (stream, continuation) = AsyncStream.makeStream(of: LogLine.self, bufferingPolicy: .bufferingNewest(10_000))
        contents.withLock { contents in
            let kept: [LogLine]
            if let lambda {
                kept = contents.lines[lambda] ?? []
            } else {
                kept = contents.lines.values.flatMap { $0 }.sorted { $0.atMillis < $1.atMillis }
            }
            for line in kept.suffix(max(tail, 0)) { continuation.yield(line) }
            guard follow else {
                continuation.finish()
                return
            }
            let number = contents.next
            contents.next += 1
            contents.followers[number] = (lambda, continuation)
            continuation.onTermination = { [weak self] _ in _ = self?.contents.withLock { $0.followers.removeValue(forKey: number) } }
        }
        return stream
    }

    /// Ends all streams.
    func close() {
        let followers = contents.withLock { contents in
            defer { contents.followers = [:] }
            return Array(contents.followers.values)
        }
        for follower in followers { follower.continuation.finish() }
    }
}
