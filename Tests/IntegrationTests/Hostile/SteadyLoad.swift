import Foundation
import Synchronization

/// Events for the neighbour at a steady rate, whatever goes on beside it.
final class SteadyLoad: Sendable {
    private struct Contents {
        var accepted: [RunRecord.Event] = []
        var isPaused = false
        var isStopped = false
        var isSending = false
        var refusal: String?
    }

    /// Four subjects; two events each 20 ms.
    static let subjects = 4
    private let host: TestHost
    private let contents = Mutex(Contents())

    init(host: TestHost) { self.host = host }

    /// What was accepted so far.
    var accepted: [RunRecord.Event] { contents.withLock { $0.accepted } }
    /// The first answer that was not an acceptance.
    var refusal: String? { contents.withLock { $0.refusal } }

    /// Sends until it is stopped.
    func run() async {
        var number = 0
        while !contents.withLock({ $0.isStopped }) {
            let mayGo = contents.withLock {
                $0.isSending = !$0.isPaused
                return $0.isSending
            }
            if mayGo {
                await sendTwo(from: number)
                number += 2
            }
            await pause(.milliseconds(20))
        }
    }

    private func sendTwo(from number: Int) async {
        let subjects = [number, number + 1].map { "calm-\($0 % Self.subjects)" }
        do {
            let answers = try await host.send(subjects.map { #"{"subject":"\#($0)","payload":"calm"}"# }, to: "calm")
            let events = zip(subjects, answers).compactMap { subject, answer in
                answer.offset.map { RunRecord.Event(subject: subject, sequence: $0) }
            }
            contents.withLock {
                $0.accepted += events
                $0.isSending = false
            }
        } catch {
            contents.withLock {
                if $0.refusal == nil { $0.refusal = "\(error)" }
                $0.isSending = false
            }
        }
    }

    /// No request is open when this returns, and none begins until `resume`.
    func halt() async {
        contents.withLock { $0.isPaused = true }
        _ = await eventually(every: .milliseconds(1)) { self.contents.withLock { !$0.isSending } }
    }

    func resume() { contents.withLock { $0.isPaused = false } }

    func stop() { contents.withLock { $0.isStopped = true } }
}
