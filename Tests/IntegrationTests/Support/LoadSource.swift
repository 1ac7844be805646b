import Foundation
import Synchronization

/// A producer that goes on whatever happens: what is not answered is sent again under the same id.
final class LoadSource: Sendable {
    struct Sent: Sendable {
        var id: String
        var subject: String
        var offset: UInt64
        var number: Int

        var event: RunRecord.Event { RunRecord.Event(subject: subject, sequence: offset) }
    }

    private struct Contents {
        var sent: [Sent] = []
        var isStopped = false
    }

    private let host: TestHost
    private let domain: String
    private let subjects: Int
    private let batch: Int
    private let payload: @Sendable (Int) -> String
    private let contents = Mutex(Contents())

    /// - Parameter payload: an event's payload as JSON, by its number.
    init(
        host: TestHost, domain: String, subjects: Int, batch: Int = 16, payload: @escaping @Sendable (Int) -> String = { "\"e-\($0)\"" }
    ) {
        self.payload = payload
        self.host = host
        self.domain = domain
        self.subjects = subjects
        self.batch = batch
    }

    /// Everything that was acknowledged.
    var sent: [Sent] { contents.withLock { $0.sent } }

    func stop() { contents.withLock { $0.isStopped = true } }

    /// Sends until it is stopped; what it has begun it brings to its end.
    func run() async throws {
        var number = 0
        while !contents.withLock({ $0.isStopped }) {
            let events = (number..<number + batch).map { (number: $0, id: "e-\($0)", subject: "s\(($0 &* 7) % subjects)") }
            let lines = events.map { #"{"subject":"\#($0.subject)","id":"\#($0.id)","payload":\#(payload($0.number))}"# }
            let deadline = ContinuousClock.now + patience * 3
            while true {
                do {
                    let answers = try await host.send(lines, to: domain)
                    let done = zip(events, answers).map {
                        Sent(id: $0.id, subject: $0.subject, offset: $1.offset ?? .max, number: $0.number)
                    }
                    contents.withLock { $0.sent += done }
                    break
                } catch {
                    if ContinuousClock.now > deadline { throw error }
                    await pause(.milliseconds(5))
                }
            }
            number += batch
            await pause(.milliseconds(5))
            if number % (batch * 16) == 0 { await waitForRoom() }
        }
    }

    /// So that a slow machine does not end up with a backlog that takes longer than the test.
    private func waitForRoom() async {
        _ = await eventually(within: .seconds(5), every: .milliseconds(20)) {
            if self.contents.withLock({ $0.isStopped }) { return true }
            return try await self.host.status().lambdas.allSatisfy { $0.lag < 1500 }
        }
    }
}
