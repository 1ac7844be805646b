import CapeletSDK
import Synchronization
import Testing

/// Ends as the payload says, from a task.
final class AsyncOnDemand: AsyncLambda {
    private let context: Context
    private let waiting = Mutex<CheckedContinuation<Void, Never>?>(nil)

    init(context: Context) async throws {
        await Task.yield()
        if context.config.string("broken") != nil { throw LambdaError.fatal("cannot connect") }
        self.context = context
    }

    func handle(_ event: borrowing Event) async throws -> Outcome {
        await Task.yield()
        switch event.text {
        case "echo":
            try await Task.sleep(for: .milliseconds(5))
            try event.output(event.payload + Array(" \(event.subject) \(event.header("h") ?? "") \(event.inputNames)".utf8))
            return .success
        case "fatal": throw LambdaError.fatal("no")
        case "retry": return .retry("again", after: .seconds(3))
        case "first":
            await withCheckedContinuation { continuation in waiting.withLock { $0 = continuation } }
            return .success
        case "second":
            var next: CheckedContinuation<Void, Never>?
            while next == nil {
                next = waiting.withLock { $0.take() }
                await Task.yield()
            }
            next?.resume()
            return .success
        default:
            try await Task.sleep(for: .seconds(3600))
            return .success
        }
    }

    func stop() async {
        await Task.yield()
        context.log.info("stopped")
    }
}

@Suite("AsyncLambda")
struct AsyncTests {
    private func started(_ config: [String: String] = [:]) async -> FakeHost {
        let host = FakeHost(testPlugin.table, "async", config: config)
        #expect(await onThread { host.start() } == nil)
        return host
    }

    private func event(_ token: UInt64, _ payload: String) -> FakeEvent {
        FakeEvent(token: token, headers: [("h", Array("v".utf8))], inputs: [("up", [])], payload: Array(payload.utf8))
    }

    @Test("a run is pending, then completed; its event outlives the call")
    func completes() async throws {
        let host = await started()
        #expect(host.handle(event(1, "echo")).status == Status.pending)
        #expect(try await host.completion(of: 1) == .init(status: Status.success, message: "", retryAfterMillis: 0))
        #expect(host.output(of: 1) == #"echo a.txt v ["up"]"#)
        await onThread { host.stop() }
        #expect(host.record.withLock { $0.lines.map(\.text) } == ["stopped"])
    }

    @Test("errors and outcomes complete the run")
    func errors() async throws {
        let host = await started()
        #expect(host.handle(event(1, "fatal")).status == Status.pending)
        #expect(host.handle(event(2, "retry")).status == Status.pending)
        #expect(try await host.completion(of: 1) == .init(status: Status.fatal, message: "no", retryAfterMillis: 0))
        #expect(try await host.completion(of: 2) == .init(status: Status.retry, message: "again", retryAfterMillis: 3_000))
        await onThread { host.stop() }
    }

    @Test("a run that waits does not hold up the next")
    func overlaps() async throws {
        let host = await started()
        #expect(host.handle(event(1, "first")).status == Status.pending)
        #expect(host.handle(event(2, "second")).status == Status.pending)
        #expect(try await host.completion(of: 1).status == Status.success)
        #expect(try await host.completion(of: 2).status == Status.success)
        await onThread { host.stop() }
    }

    @Test("cancelling a run cancels its task, and stop cancels those that are left")
    func cancels() async throws {
        let host = await started()
        for token in UInt64(1)...3 { #expect(host.handle(event(token, "for ever")).status == Status.pending) }
        host.cancel(2)
        #expect(try await host.completion(of: 2) == .init(status: Status.retry, message: "cancelled", retryAfterMillis: 0))
        #expect(host.record.withLock { $0.completed.count } == 1)
        await onThread { host.stop() }
        #expect(host.record.withLock { $0.completed.keys.sorted() } == [1, 2, 3])
    }

    @Test("an error of an async init is a failed start")
    func failedStart() async {
        let host = FakeHost(testPlugin.table, "async", config: ["broken": "1"])
        #expect(await onThread { host.start() } == "cannot connect")
    }

    @Test("many at once all complete")
    func many() async throws {
        let host = await started()
        for token in UInt64(1)...500 { _ = host.handle(event(token, "echo")) }
        for token in UInt64(1)...500 { #expect(try await host.completion(of: token).status == Status.success) }
        await onThread { host.stop() }
    }
}
