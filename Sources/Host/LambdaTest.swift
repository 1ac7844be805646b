import CWorkerProtocol
import Dispatcher
import Foundation
public import Frontend
import Journal
import Logging
import Routing
import Supervisor
import Synchronization
import Telemetry
import WorkerProtocol

/// The event that `capelet test` gives to a lambda.
public struct LambdaTestEvent: Sendable {
    /// The domain; nil: the first that the lambda is in.
    public var domain: String?
    /// The subject.
    public var subject = "test"
    /// The type.
    public var type = "test"
    /// The id.
    public var id = "test-1"
    /// Headers.
    public var headers: [(String, String)] = []
    /// The payload.
    public var payload: [UInt8] = []
    /// An event with nothing particular.
    public init() {}
}

/// What came of it.
public struct LambdaTestReport: Codable, Sendable {
    /// An event that the lambda emitted.
    public struct Emit: Codable, Sendable {
        /// Where to.
        public var domain: String
        /// Its subject.
        public var subject: String
        /// Its type.
        public var type: String
        /// Its payload, as text.
        public var payload: String
    }

    /// Whether the run succeeded.
    public var isSuccess = false
    /// `success`, `retry`, `fatal` or the verdict of the worker's death.
    public var outcome = ""
    /// What the lambda said, or how the worker died.
    public var message = ""
    /// The delay that the lambda asked for.
    public var delayMillis: Int64?
    /// From the event's way into the worker to its end, microseconds.
    public var runMicros: UInt64 = 0
    /// From the beginning until a worker was ready, microseconds.
    public var startMicros: UInt64 = 0
    /// What it logged or wrote.
    public var logs: [LogLine] = []
    /// What it emitted; committed with a success only.
    public var emits: [Emit] = []
    /// Its output, as text.
    public var output: String?
}

/// Runs one event through a real worker. Nothing is stored: the journal is in memory, the state folder is a temporary one.
public enum LambdaTest {
    /// Runs it. Throws when the routing file is wrong or the lambda cannot be served.
    public static func run(configPath: String, lambda name: String, event: LambdaTestEvent) async throws -> LambdaTestReport {
        let table = try RoutingFile.load(path: configPath)
        guard var route = table.lambdas[name] else {
            throw ControlError(
                .unknown, "the routing file has no lambda '\(name)'; it has: \(table.lambdas.keys.sorted().joined(separator: ", "))")
        }
        let domain = event.domain ?? table.domains.values.filter { $0.lambdas.contains(name) }.map(\.name).min() ?? "test"
        let folder = FileManager.default.temporaryDirectory.path + "/capelet-test-\(getpid())"
        try FileManager.default.createDirectory(
            atPath: folder + "/state", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let worker = try WorkerExecutable.find()
        var logger = Logger(label: "capelet-test")
        logger.logLevel = .critical
        let (groups, report) = ControlGroups.open()
        let planner = SandboxPlanner(
            support: SandboxSupport(executable: worker, user: table.limits.users.lowerBound), data: folder, users: table.limits.users,
            groups: report)
        let store = GenerationStore(
            plugins: table.plugins, data: folder, workerExecutable: worker, generationsKept: 1, boot: route.limits.boot, logger: logger,
            sandbox: planner.planDescription(libraries: table.libraries))
        var searched = table
        searched.data = folder
        // Its domains' sources are not started, but it may read them.
        searched.domains = table.domains.filter { $0.value.lambdas.contains(name) }
        searched.domains[domain, default: DomainRoute(name: domain, lambdas: [])].lambdas = [name]
        var plan = HostPlan(table: searched, scan: try store.scan(table: searched))
        plan.confine(by: planner, table: searched)
        guard let generation = plan.generations[name] else { throw ControlError(.unavailable, plan.missing[name] ?? "it has no plugin") }
        route.workers = 1
        route.retry.attempts = 1
        route.retry.crashes = 1
        route.exhausted = .deadLetter
        route.filter = EventFilter()
        route.after = []
        return try await Run(
            route: route, table: table, domain: domain, generation: generation, sandbox: plan.sandboxes[name] ?? LambdaSandbox(),
            groups: groups, folder: folder, worker: worker, logger: logger
        )
        .execute(event)
    }
}

/// One such run.
private struct Run {
    let route: LambdaRoute
    let table: RouteTable
    let domain: String
    let generation: PluginGeneration
    let sandbox: LambdaSandbox
    let groups: ControlGroups?
    let folder: String
    let worker: String
    let logger: Logger

    private final class Collected: Sendable {
        let logs = Mutex<[LogLine]>([])
        let fault = Mutex<(outcome: String, message: String)?>(nil)
    }

    func execute(_ event: LambdaTestEvent) async throws -> LambdaTestReport {
        let journal = MemoryJournal()
        let collected = Collected()
        var settings = Engine.Settings(workerExecutable: worker)
        settings.groups = groups
        let engine = try Engine(
            settings: settings, journal: journal, logger: logger, metrics: HostMetrics(),
            onLog: { entry in
                let now = Int64(Date().timeIntervalSince1970 * 1000)
                collected.logs.withLock {
                    $0.append(LogLine(atMillis: now, lambda: entry.lambda, worker: 0, pid: entry.pid, level: entry.level, text: entry.text))
                }
            },
            onNotice: { notice in
                switch notice {
                case .died(let verdict, _): collected.fault.withLock { $0 = (verdict.kind.rawValue, verdict.text) }
                case .refused(_, _, let reason), .broken(_, let reason): collected.fault.withLock { $0 = $0 ?? ("boot", reason) }
                default: break
                }
            })
        try engine.start()
        let begin = ContinuousClock.now
        var domains: [String: DomainTarget] = [:]
        for other in Set(table.domains.keys).union([domain]) {
            domains[other] = DomainTarget(
                stream: try journal.stream(.domain, named: other), payloadBytesMax: table.domains[other]?.payloadBytesMax ?? 1 << 20)
        }
        let stream = domains[domain]!.stream
        // A lambda after this one, which nobody runs: its input shows the output.
        let outputs = try journal.stream(.input, named: "output")
        let state = try journal.route(lambda: route.name, domain: domain, stream: stream, start: .beginning)
        let spec = try WorkerSpec(
            route: route, generation: generation, domains: [(number: stream.rawValue, name: domain)],
            stateDirectory: folder + "/state/" + route.name, sandbox: sandbox)
        await engine.apply(
            EngineConfiguration(
                pools: [PoolSpec(lambda: route, version: 1)],
                routes: [
                    RouteSpec(
                        state: state, domainStream: stream, streamEnd: 0,
                        dependents: [DependentSpec(lambda: "output", stream: outputs, upstreams: [route.name])])
                ], workers: [spec], domains: domains, drainMillis: 1000))

        var report = LambdaTestReport()
        let bootDeadline = begin + route.limits.boot + .seconds(1)
        while await engine.status(routes: []).supervisor.pools.first?.ready ?? 0 == 0 {
            if collected.fault.withLock({ $0 != nil }) || ContinuousClock.now > bootDeadline { break }
            try await Task.sleep(for: .milliseconds(1))
        }
        report.startMicros = Self.micros(since: begin)
        if let fault = collected.fault.withLock({ $0 }) {
            report.outcome = fault.outcome
            report.message = fault.message
        } else {
            try await run(event, stream: stream, state: state, engine: engine, journal: journal, into: &report)
            if let fault = collected.fault.withLock({ $0 }), !report.isSuccess { report.outcome = fault.outcome }
            collect(journal: journal, outputs: outputs, domains: domains, tested: stream, into: &report)
        }
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                engine.stop(drain: .seconds(1))
                continuation.resume()
            }
        }
        report.logs = collected.logs.withLock { $0 }
        return report
    }

    private static func micros(since begin: ContinuousClock.Instant) -> UInt64 { UInt64((ContinuousClock.now - begin) / .microseconds(1)) }

    private func run(
        _ event: LambdaTestEvent, stream: StreamID, state: RouteState, engine: Engine, journal: MemoryJournal,
        into report: inout LambdaTestReport
    ) async throws {
        let records = RecordBuffer(capacity: event.payload.count + 4096)
        var headers = EncodedPairs()
        for (name, value) in event.headers { headers.append(name: name.lowercased(), value: value) }
        var (subject, type, id) = (event.subject, event.type, event.id)
        let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
        subject.withUTF8 { subject in
            type.withUTF8 { type in
                id.withUTF8 { id in
                    event.payload.withUnsafeBytes { payload in
                        records.append(
                            domain: stream.rawValue, subjectHash: journal.subjectHash(UnsafeRawBufferPointer(subject)),
                            subject: UnsafeRawBufferPointer(subject), type: UnsafeRawBufferPointer(type), id: UnsafeRawBufferPointer(id),
                            headers: headers, payload: payload, timeMicros: now, acceptedMicros: now)
                    }
                }
            }
        }
        let begin = ContinuousClock.now
        journal.append(AppendRequest(stream: stream, records: records) { _ in })
        let deadline = begin + route.limits.timeoutMax + route.limits.grace + .seconds(5)
        while ContinuousClock.now < deadline {
            guard let status = await engine.status(routes: [state.id]).routes[state.id] else { break }
            if status.counts.succeeded + status.counts.dead > 0 {
                report.isSuccess = status.counts.succeeded > 0
                report.outcome = report.isSuccess ? "success" : "retry"
                break
            }
            try await Task.sleep(for: .microseconds(200))
        }
        report.runMicros = Self.micros(since: begin)
        await engine.settle()
        if !report.isSuccess, let letter = try journal.deadLetters(RowQuery()).first {
            report.outcome = letter.reason == "fatal" ? "fatal" : "retry"
            report.message = letter.history.error
        }
    }

    private func collect(
        journal: MemoryJournal, outputs: StreamID, domains: [String: DomainTarget], tested: StreamID, into report: inout LambdaTestReport
    ) {
        for batch in (try? journal.read(outputs, from: 0, maximumBytes: .max)) ?? [] where batch.count > 0 {
            batch.records.view(0).forEachInput { _, output in
                if output.count > 0 { report.output = String(decoding: output, as: UTF8.self) }
            }
        }
        for (name, target) in domains.sorted(by: { $0.key < $1.key }) {
            for batch in (try? journal.read(target.stream, from: 0, maximumBytes: .max)) ?? [] {
                for index in 0..<batch.count where target.stream != tested || batch.base + UInt64(index) > 0 {
                    let view = batch.records.view(index)
                    report.emits.append(
                        LambdaTestReport.Emit(
                            domain: name, subject: view.subjectText, type: view.typeText,
                            payload: String(decoding: view.payloadSection, as: UTF8.self)))
                }
            }
        }
    }
}
