import CLinux
import CWorkerProtocol
import Dispatcher
import Foundation
import Journal
import Logging
import Routing
import Supervisor
import Synchronization
import Telemetry
import WorkerProtocol

/// What `capelet bench` measures.
public struct BenchmarkSettings: Sendable {
    /// The plugin's file.
    public var plugin: String
    /// Its lambda.
    public var lambda = "noop"
    /// Events in all.
    public var events = 1_000_000
    /// Bytes of payload.
    public var payloadBytes = 200
    /// Events that a producer hands over at once.
    public var batch = 1_000
    /// Batches that may wait for their answer at the same time.
    public var outstanding = 8
    /// Subjects that the events are spread over.
    public var subjects = 10_000
    /// Worker processes.
    public var workers = 2
    /// Events per second, at even distances; nil: as fast as answers come.
    public var rate: Int?
    /// The folder for the data directory; nil: the temporary folder.
    public var folder: String?
    /// Settings with defaults.
    public init(plugin: String) { self.plugin = plugin }
}

/// What came out. Times in microseconds.
public struct BenchmarkReport: Codable, Sendable {
    /// Events.
    public var events = 0
    /// From the first event's way in until the last was on disk, seconds.
    public var acceptSeconds = 0.0
    /// From the first event's way in until the last was handled, acknowledged, and that was known, seconds.
    public var handledSeconds = 0.0
    /// Accepted and on disk, events a second.
    public var acceptedPerSecond = 0.0
    /// Handled and acknowledged one by one, events a second.
    public var handledPerSecond = 0.0
    /// From the accept (with a rate: from the moment the event was due) to the handler's start.
    public var startMicros: [String: UInt64] = [:]
    /// From the accept to the end that the host knows of.
    public var doneMicros: [String: UInt64] = [:]
    /// CPU of the host per event.
    public var hostMicrosPerEvent = 0.0
    /// CPU of all workers per event.
    public var workerMicrosPerEvent = 0.0
    /// Most memory that the host had resident, bytes.
    public var hostPeakBytes: UInt64 = 0
    /// Groups that the journal wrote: that many fsyncs.
    public var groups: UInt64 = 0
}

/// Runs events from producers in this process through a journal on disk and real workers.
public enum Benchmark {
    /// Runs it. Throws when the plugin cannot be loaded or the folder not be written.
    public static func run(_ settings: BenchmarkSettings) async throws -> BenchmarkReport {
        let folder = (settings.folder ?? FileManager.default.temporaryDirectory.path) + "/capelet-bench-\(getpid())"
        try FileManager.default.createDirectory(
            atPath: folder + "/plugins", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.copyItem(atPath: settings.plugin, toPath: folder + "/plugins/bench.so")
        var logger = Logger(label: "capelet-bench")
        logger.logLevel = .error
        let worker = try WorkerExecutable.find()
        let (groups, groupReport) = ControlGroups.open()
        let users = HostLimits().users
        let planner = SandboxPlanner(
            support: SandboxSupport(executable: worker, user: users.lowerBound), data: folder, users: users, groups: groupReport)
        let store = GenerationStore(
            plugins: folder + "/plugins", data: folder, workerExecutable: worker, generationsKept: 1, boot: .seconds(10), logger: logger,
            sandbox: planner.planDescription(libraries: []))
        let scan = try store.scan()
        guard let generation = scan.generations["bench"] else {
            throw BenchmarkError(description: scan.failures.first.map { "\($0)" } ?? "\(settings.plugin) cannot be loaded")
        }
        let journal = try SQLiteJournal.open(directory: folder + "/data")
        let metrics = HostMetrics()
        var engineSettings = Engine.Settings(workerExecutable: worker)
        engineSettings.groups = groups
        let engine = try Engine(
            settings: engineSettings, journal: journal, logger: logger, metrics: metrics, onLog: { _ in },
            onNotice: { _ in })
        try engine.start()
        var route = LambdaRoute(name: settings.lambda)
        route.workers = settings.workers
        let stream = try journal.stream(.domain, named: "bench")
        let state = try journal.route(lambda: route.name, domain: "bench", stream: stream, start: .end)
        journal.setLive([state.id])
        let spec = try WorkerSpec(
            route: route, generation: generation, domains: [(number: stream.rawValue, name: "bench")], stateDirectory: folder + "/state",
            sandbox: try planner.plan(route, state: folder + "/state", sources: [], libraries: []))
        await engine.apply(
            EngineConfiguration(
                pools: [PoolSpec(lambda: route, version: 1)],
                routes: [RouteSpec(state: state, domainStream: stream, streamEnd: journal.end(of: stream), dependents: [])],
                workers: [spec],
                domains: ["bench": DomainTarget(stream: stream, payloadBytesMax: 1 << 20)], drainMillis: 1000))
        while await engine.status(routes: []).supervisor.pools.first?.ready ?? 0 < settings.workers {
            try await Task.sleep(for: .milliseconds(1))
        }

        let run = BenchmarkRun(settings: settings, journal: journal, stream: stream)
        let cpuBefore = Self.cpuMicros()
        let groupsBefore = journal.figures().groups
        let begin = ContinuousClock.now
        let thread = Thread { run.produce() }
        thread.name = "capelet-producer"
        thread.start()
        var report = BenchmarkReport()
        report.events = settings.events
        while true {
            if report.acceptSeconds == 0, run.isAccepted { report.acceptSeconds = (ContinuousClock.now - begin) / .seconds(1) }
            if let status = await engine.status(routes: [state.id]).routes[state.id], status.counts.succeeded >= UInt64(settings.events) {
                break
            }
            if let error = run.failure { throw BenchmarkError(description: "\(error)") }
            try await Task.sleep(for: .milliseconds(1))
        }
        report.handledSeconds = (ContinuousClock.now - begin) / .seconds(1)
        if report.acceptSeconds == 0 { report.acceptSeconds = report.handledSeconds }
        let supervisor = await engine.status(routes: []).supervisor
        report.hostMicrosPerEvent = Double(Self.cpuMicros() - cpuBefore) / Double(settings.events)
        report.workerMicrosPerEvent = Double(supervisor.workers.reduce(0) { $0 + max($1.cpuMicros, 0) }) / Double(settings.events)
        report.acceptedPerSecond = Double(settings.events) / report.acceptSeconds
        report.handledPerSecond = Double(settings.events) / report.handledSeconds
        report.groups = journal.figures().groups - groupsBefore
        let lambda = metrics.lambda(route.name, domain: "bench")
        report.startMicros = Self.quantiles(lambda.startLatency)
        report.doneMicros = Self.quantiles(lambda.doneLatency)
        report.hostPeakBytes = Self.peakBytes()
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                engine.stop(drain: .seconds(1))
                journal.close()
                continuation.resume()
            }
        }
        return report
    }

    private static func quantiles(_ histogram: LatencyHistogram) -> [String: UInt64] {
        let snapshot = histogram.snapshot()
        return [
            "p50": snapshot.quantile(0.5), "p90": snapshot.quantile(0.9), "p99": snapshot.quantile(0.99), "p99.9": snapshot.quantile(0.999),
            "max": snapshot.maxMicros,
        ]
    }

    /// RUSAGE_SELF, whose type differs between versions of the overlay.
    private static let ownUsage: Int32 = 0

    private static func cpuMicros() -> Int {
        var usage = rusage()
        getrusage(Self.ownUsage, &usage)
        return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000 + Int(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    private static func peakBytes() -> UInt64 {
        var usage = rusage()
        getrusage(Self.ownUsage, &usage)
        return UInt64(usage.ru_maxrss) << 10
    }
}

/// Why nothing could be measured.
public struct BenchmarkError: Error, Sendable, CustomStringConvertible {
    /// What was wrong.
    public var description: String
}

/// The producing side of one benchmark.
private final class BenchmarkRun: Sendable {
    private let settings: BenchmarkSettings
    private let journal: SQLiteJournal
    private let stream: StreamID
    private let room: DispatchSemaphore
    private let accepted = Atomic<Int>(0)
    private let fault = Mutex<JournalError?>(nil)

    init(settings: BenchmarkSettings, journal: SQLiteJournal, stream: StreamID) {
        self.settings = settings
        self.journal = journal
        self.stream = stream
        room = DispatchSemaphore(value: settings.outstanding)
    }

    var isAccepted: Bool { accepted.load(ordering: .relaxed) >= settings.events }
    var failure: JournalError? { fault.withLock { $0 } }

    func produce() {
        let payload = [UInt8](repeating: UInt8(ascii: "x"), count: settings.payloadBytes)
        let subjects = (0..<max(settings.subjects, 1)).map { Array("customer-\($0)".utf8) }
        let hashes = subjects.map { subject in subject.withUnsafeBytes { journal.subjectHash($0) } }
        let type = Array("bench".utf8)
        var sent = 0
        let start = Self.wallMicros
        while sent < settings.events {
            var count = min(settings.batch, settings.events - sent)
            if let rate = settings.rate {
                // Events are due at even distances; what is due by now goes in one batch, each with the time at which it was due.
                let due = Int((Self.wallMicros - start) * Int64(rate) / 1_000_000)
                count = min(due - sent, settings.events - sent)
                if count <= 0 {
                    usleep(200)
                    continue
                }
            }
            let records = RecordBuffer(capacity: count * (settings.payloadBytes + 128), count: count)
            let now = Self.wallMicros
            for index in 0..<count {
                let subject = (sent + index) % subjects.count
                let at = settings.rate.map { start + Int64(sent + index) * 1_000_000 / Int64($0) } ?? now
                subjects[subject].withUnsafeBytes { name in
                    type.withUnsafeBytes { type in
                        payload.withUnsafeBytes { payload in
                            records.append(
                                domain: stream.rawValue, subjectHash: hashes[subject], subject: name, type: type,
                                id: UnsafeRawBufferPointer(start: nil, count: 0), payload: payload, timeMicros: at, acceptedMicros: at)
                        }
                    }
                }
            }
            if settings.rate == nil { room.wait() }
            sent += count
            let handed = count
            journal.append(
                AppendRequest(stream: stream, records: records) { [self] result in
                    switch result {
                    case .success: accepted.add(handed, ordering: .relaxed)
                    case .failure(let error): fault.withLock { $0 = $0 ?? error }
                    }
                    if settings.rate == nil { room.signal() }
                })
        }
    }

    private static var wallMicros: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
