import Dispatch
import Foundation

/// How much longer than on an idle machine everything may take.
let patience: Duration = .seconds(40)

/// Polls a condition until it holds or the time is over. Errors count as "not yet".
func eventually(
    within limit: Duration = patience, every interval: Duration = .milliseconds(10), _ condition: () async throws -> Bool
) async -> Bool {
    let deadline = ContinuousClock.now + limit
    while true {
        let isLast = ContinuousClock.now > deadline
        if (try? await condition()) == true { return true }
        if isLast { return false }
        await pause(interval)
    }
}

/// Waits for a while, whatever goes on in the cooperative pool.
func pause(_ duration: Duration) async {
    let nanos = Int(duration / .nanoseconds(1))
    await withCheckedContinuation { continuation in
        clock.asyncAfter(deadline: .now() + .nanoseconds(nanos)) { continuation.resume() }
    }
}

private let clock = DispatchQueue(label: "capelet-test-clock")

/// Runs blocking code on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

/// A number from the environment, for the long runs.
func setting(_ name: String, default fallback: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? fallback
}
