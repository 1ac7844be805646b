import CapeletSDK
import Synchronization
import Testing

/// Ends each event as its payload says; fails as a whole after an event with the payload `rollback`.
struct BatchOnDemand: BatchLambda {
    static var batchMax: Int { 10 }
    private var handled: [String] = []
    private let log: LambdaLog

    init(context: Context) { log = context.log }

    mutating func handle(_ batch: borrowing Batch) throws {
        var rollback = false
        batch.forEach { event in
            handled.append("\(event.subject)/\(event.sequence)")
            try event.output(event.payload)
            switch event.text {
            case "retry": return .retry("no", after: .seconds(1))
            case "throw": throw LambdaError.fatal("thrown")
            case "rollback": rollback = true
            default: break
            }
            return .success
        }
        if rollback { throw LambdaError.retry("rolled back") }
    }

    mutating func stop() { log.info(handled.joined(separator: " ")) }
}

@Suite("BatchLambda")
struct BatchTests {
    private func event(_ subject: String, _ sequence: UInt64, _ payload: String) -> FakeEvent {
        FakeEvent(token: sequence, subject: subject, sequence: sequence, payload: Array(payload.utf8))
    }

    @Test("every event has its own outcome, and a failure leaves out the later ones of its subject")
    func outcomes() {
        let host = FakeHost(testPlugin.table, "batch")
        #expect(host.start() == nil)
        let ended = host.handleBatch([
            event("a", 1, "ok"), event("b", 2, "retry"), event("a", 3, "throw"), event("b", 4, "ok"), event("c", 5, "ok"),
            event("a", 6, "ok"),
        ])
        #expect(ended.map(\.status) == [Status.success, Status.retry, Status.fatal, Status.retry, Status.success, Status.retry])
        #expect(ended[1] == .init(status: Status.retry, message: "no", retryAfterMillis: 1_000))
        #expect(ended[2].message == "thrown")
        #expect(ended[3].message == "an earlier event of this subject did not succeed")
        #expect(host.output(of: 5) == "ok" && host.output(of: 4) == nil)
        host.stop()
        #expect(host.record.withLock { $0.lines.map(\.text) } == ["a/1 b/2 a/3 c/5"])
    }

    @Test("an error of the whole batch is the outcome of every event")
    func wholeBatch() {
        let host = FakeHost(testPlugin.table, "batch")
        #expect(host.start() == nil)
        let ended = host.handleBatch([event("a", 1, "ok"), event("b", 2, "rollback"), event("c", 3, "throw")])
        #expect(ended.allSatisfy { $0 == .init(status: Status.retry, message: "rolled back", retryAfterMillis: 0) })
        host.stop()
    }
}
