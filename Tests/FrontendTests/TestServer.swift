import Foundation
import Frontend
import Journal
import Logging
import Routing
import Synchronization
import Telemetry
import Testing
import WorkerProtocol

/// A host as the Frontend sees it, for tests: everything it is asked to do is written down.
final class FakeControl: HostControl {
    struct State {
        var table: RouteTable
        var streams: [String: StreamID] = [:]
        var closed: String?
        var calls: [String] = []
        var reloadAccepted = true
        var logLines: [LogLine] = []
    }

    let state: Mutex<State>

    init(_ table: RouteTable) { state = Mutex(State(table: table)) }

    var calls: [String] { state.withLock { $0.calls } }
    private func note(_ call: String) { state.withLock { $0.calls.append(call) } }

    func routes() -> RouteTable { state.withLock { $0.table } }
    func stream(ofDomain domain: String) -> StreamID? { state.withLock { $0.streams[domain] } }
    func closedReason() -> String? { state.withLock { $0.closed } }
    func notReadyReason() -> String? { state.withLock { $0.closed } }

    func status() async throws -> HostStatus {
        HostStatus(
            version: "0.1.0", pid: 42, startedAtMillis: 1_000, uptimeSeconds: 9, configPath: "/etc/capelet.yaml", dataPath: "/data",
            generation: 3,
            domains: [DomainStatus(name: "orders", end: 7)],
            lambdas: [
                LambdaStatus(name: "charge", domain: "orders", plugin: "shop", workers: [WorkerStatus(id: 0, pid: 77, state: "ready")])
            ])
    }

    func deaths(lambda: String?, limit: Int) async throws -> [WorkerDeath] {
        [
            WorkerDeath(
                atMillis: 5, lambda: lambda ?? "any", plugin: "p", generation: 1, pid: 9, verdict: "memory", message: "limit \(limit)",
                domain: "orders", offset: 17, subject: "customer-7", eventMillis: 3, openEvents: 4, memoryPeakBytes: 250 << 20,
                memoryLimitBytes: 256 << 20, cpuMicros: 1_500, livedMillis: 61_000)
        ]
    }

    func metrics() async -> String { "# HELP a b\n# TYPE a counter\na 1\n" }

    func redrive(_ selection: RowSelection) async throws -> RowsChanged {
        note("redrive \(selection.ids) \(selection.lambda ?? "-") \(selection.all)")
        return RowsChanged(changed: selection.ids.count)
    }

    func drop(_ selection: RowSelection) async throws -> RowsChanged {
        note("drop \(selection.ids)")
        return RowsChanged(changed: selection.ids.count, refused: ["9: no such row"])
    }

    func reload() async throws -> ReloadReport {
        state.withLock { state in
            state.calls.append("reload")
            return state.reloadAccepted
                ? ReloadReport(accepted: true, generation: 4, changes: ["lambda charge: workers 1 → 2"])
                : ReloadReport(accepted: false, generation: 3, errors: ["capelet.yaml:3:1: unknown key"])
        }
    }

    func rollback(lambda: String, undo: Bool) async throws -> RollbackReport {
        guard lambda == "charge" else { throw ControlError(.conflict, "no generation of \(lambda) from before is kept") }
        note("rollback \(lambda)\(undo ? " undo" : "")")
        return RollbackReport(lambda: lambda, plugin: "shop", from: 4, to: undo ? 4 : 3, undone: undo, millis: 7)
    }

    func forget(lambda: String) async throws -> ForgetReport {
        guard lambda == "old" else { throw ControlError(.conflict, "\(lambda) is still in use") }
        return ForgetReport(lambda: lambda, domains: ["orders"], deferred: 2)
    }

    func pause(lambda: String) async throws {
        guard lambda == "charge" else { throw ControlError(.unknown, "there is no lambda \(lambda)") }
        note("pause \(lambda)")
    }

    func resume(lambda: String) async throws { note("resume \(lambda)") }

    func logs(lambda: String?, tail: Int, follow: Bool) async throws -> AsyncStream<LogLine> {
        let lines = state.withLock { $0.logLines }
        return AsyncStream { continuation in
            for line in lines.suffix(tail) { continuation.yield(line) }
            if !follow { continuation.finish() }
        }
    }
}

/// A running Frontend over a journal in memory, on a free port and a socket of its own.
final class TestServer: Sendable {
    let control: FakeControl
    let journal: MemoryJournal
    let metrics = HostMetrics()
    let server: FrontendServer
    let addresses: FrontendAddresses
    let folder: String

    /// Runs `body` with a server that is stopped afterwards.
    static func with(
        manual: Bool = false, configure: (inout RouteTable) -> Void = { _ in }, settings: (MemoryJournal, StreamID) -> Void = { _, _ in },
        listening: (inout FrontendSettings) throws -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        var table = RouteTable(
            plugins: "/plugins", data: "/data", domains: ["orders": DomainRoute(name: "orders", lambdas: ["charge"])],
            lambdas: ["charge": LambdaRoute(name: "charge")])
        configure(&table)
        let server = try await TestServer(table, manual: manual, settings: settings, listening: listening)
        do {
            try await body(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private init(
        _ table: RouteTable, manual: Bool, settings: (MemoryJournal, StreamID) -> Void, listening: (inout FrontendSettings) throws -> Void
    ) async throws {
        journal = MemoryJournal(manual: manual)
        control = FakeControl(table)
        for name in table.domains.keys {
            let stream = try journal.stream(.domain, named: name)
            control.state.withLock { $0.streams[name] = stream }
            settings(journal, stream)
        }
        folder = NSTemporaryDirectory() + "capelet-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var frontend = FrontendSettings(http: "127.0.0.1:0", socketPath: folder + "/capelet.sock")
        try listening(&frontend)
        server = FrontendServer(control: control, journal: journal, metrics: metrics, settings: frontend, logger: logger)
        addresses = try await server.start()
    }

    func stop() async {
        await server.stop(within: .milliseconds(500))
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Everything that is in the domain `orders`.
    func events(_ domain: String = "orders") throws -> [(subject: String, type: String, id: String, payload: String)] {
        let stream = control.stream(ofDomain: domain)!
        guard journal.end(of: stream) > journal.start(of: stream) else { return [] }
        return try journal.read(stream, from: 0, maximumBytes: .max).flatMap { batch in
            (0..<batch.count).map { index in
                let view = batch.records.view(index)
                return (view.subjectText, view.typeText, view.idText, String(decoding: view.payloadSection, as: UTF8.self))
            }
        }
    }

    /// Headers of the event with this offset.
    func headers(_ offset: UInt64, _ domain: String = "orders") throws -> [String: String] {
        let batch = try journal.read(control.stream(ofDomain: domain)!, from: offset, maximumBytes: 1)[0]
        var headers: [String: String] = [:]
        batch.records.view(Int(offset - batch.base)).forEachHeader {
            headers[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self)
        }
        return headers
    }
}
