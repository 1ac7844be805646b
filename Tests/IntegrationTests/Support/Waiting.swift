import Foundation

/// How much longer than on an idle machine everything may take.
let patience: Duration = .seconds(40)

/// Polls a condition until it holds or the time is over. Errors count as "not yet".
func eventually(within limit: Duration = patience, every pause: Duration = .milliseconds(10), _ condition: () async throws -> Bool) async
    -> Bool
{
    let deadline = ContinuousClock.now + limit
    while true {
        if (try? await condition()) == true { return true }
        if ContinuousClock.now > deadline { return false }
        try? await Task.sleep(for: pause)
    }
}

/// Runs blocking code outside of the cooperative pool.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

/// A number from the environment, for the long runs.
func setting(_ name: String, default fallback: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? fallback
}
