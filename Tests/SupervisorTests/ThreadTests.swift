import Glibc
import Testing
import WorkerProtocol

@testable import Supervisor

/// The kernel's death signal follows the thread that made a child, not that thread's process: nothing may hang on one of the host's threads.
@Suite(.serialized) struct ThreadTests {
    @Test func workersOutliveTheThreadThatStartedThem() throws {
        nonisolated(unsafe) var started: TestEngine?
        nonisolated(unsafe) var trouble: (any Error)?
        joinThread {
            do {
                let engine = try TestEngine()
                engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
                try engine.waitForReady(2)
                started = engine
            } catch { trouble = error }
        }
        if let trouble { throw trouble }
        let engine = try #require(started)
        for _ in 0..<5 { try engine.turn() }
        #expect(engine.deaths.isEmpty && engine.living.count == 2)
        for worker in engine.living { #expect(try engine.ask("version", worker) == "1") }
        // So do the processes above them: more can be made.
        engine.supervisor.setPool(try engine.spec("well", workers: 4), nowMillis: Poller.nowMillis)
        try engine.waitForReady(4)
        #expect(engine.deaths.isEmpty)
        try engine.finish()
    }
}

/// Runs something on a thread that has ended when this returns.
private func joinThread(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, threadMain, Unmanaged.passRetained(ThreadBody(body)).toOpaque())
    precondition(code == 0)
    pthread_join(thread, nil)
}

private final class ThreadBody {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func threadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue().body()
    return nil
}
