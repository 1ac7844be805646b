import Frontend
import Synchronization

/// Reloads run one at a time. Requests that come while one runs share the next one: the newest state wins.
final class ReloadQueue: Sendable {
    private struct Contents {
        var isRunning = false
        var waiting: [CheckedContinuation<ReloadReport, Never>] = []
    }

    private let contents = Mutex(Contents())

    /// Runs `body`, or waits for a run that begins after this call.
    func run(_ body: @escaping @Sendable () async -> ReloadReport) async -> ReloadReport {
        await withCheckedContinuation { continuation in
            let mustStart = contents.withLock { contents in
                contents.waiting.append(continuation)
                defer { contents.isRunning = true }
                return !contents.isRunning
            }
            if mustStart { Task { await drain(body) } }
        }
    }

    private func drain(_ body: @Sendable () async -> ReloadReport) async {
        while true {
            let served = contents.withLock { contents in
                defer { contents.waiting = [] }
                if contents.waiting.isEmpty { contents.isRunning = false }
                return contents.waiting
            }
            if served.isEmpty { return }
            let report = await body()
            for continuation in served { continuation.resume(returning: report) }
        }
    }
}
