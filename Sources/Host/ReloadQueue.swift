import Frontend
import Synchronization

/// What changes the host's state runs one at a time. Requests for a reload that come while something runs share the next one: the newest
/// state wins.
final class ReloadQueue: Sendable {
    private typealias Reload = @Sendable () async -> ReloadReport

    private struct Contents {
        var isRunning = false
        var waiting: [CheckedContinuation<ReloadReport, Never>] = []
        var reload: Reload?
        /// Other changes, in order. They come first: none is lost by waiting.
        var changes: [@Sendable () async -> Void] = []
    }

    private let contents = Mutex(Contents())

    /// Runs `body`, or waits for a run that begins after this call.
    func run(_ body: @escaping @Sendable () async -> ReloadReport) async -> ReloadReport {
        await withCheckedContinuation { continuation in
            start {
                $0.waiting.append(continuation)
                $0.reload = body
            }
        }
    }

    /// Runs `body` when nothing else does.
    func change<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            start {
                $0.changes.append {
                    do { continuation.resume(returning: try await body()) } catch { continuation.resume(throwing: error) }
                }
            }
        }
    }

    private func start(_ add: (inout Contents) -> Void) {
        let mustStart = contents.withLock { contents in
            add(&contents)
            defer { contents.isRunning = true }
            return !contents.isRunning
        }
        if mustStart { Task { await drain() } }
    }

    private enum Work {
        case change(@Sendable () async -> Void)
        case reload(Reload, [CheckedContinuation<ReloadReport, Never>])
    }

    private func drain() async {
        while let work = next() {
            switch work {
            case .change(let body): await body()
            case .reload(let body, let served):
                let report = await body()
                for continuation in served { continuation.resume(returning: report) }
            }
        }
    }

    private func next() -> Work? {
        contents.withLock { contents in
            if !contents.changes.isEmpty { return .change(contents.changes.removeFirst()) }
            guard let reload = contents.reload else {
                contents.isRunning = false
                return nil
            }
            defer {
                contents.waiting = []
                contents.reload = nil
            }
            return .reload(reload, contents.waiting)
        }
    }
}
