import Dispatcher
import EventSources
import Foundation
import Frontend
import Journal
import Logging
import Routing
import Supervisor
import Synchronization
import Telemetry

/// A running host: journal, engine, sources and doors, as one routing file says.
final class CapeletHost: HostControl, Sendable {
    /// What changes while the host runs.
    struct State: Sendable {
        var table: RouteTable
        var plan: HostPlan
        var configuration: EngineConfiguration
        var streams: [String: StreamID] = [:]
        /// Routes that are in force.
        var routes: [RouteState] = []
        var generation = 1
        var listening: [String] = []
        var lastReload: LastReload?
        var sources: [String: DirectorySource] = [:]
        var sourceErrors: [String: String] = [:]
        var paused: Set<String> = []
        var broken: [String: String] = [:]
        var refused: [String: String] = [:]
        /// Where the TCP listener was opened; later routing files do not move it.
        var listen = ListenSettings()
        var tokens = TokenBook()
        var closedReason: String? = "the host is starting"
        var state = "starting"
    }

    let configPath: String
    let logger: Logger
    let journal: SQLiteJournal
    let engine: Engine
    let store: GenerationStore
    let planner: SandboxPlanner
    let metrics: HostMetrics
    let book: LogBook
    let deathLog: DeathLog
    let state: Mutex<State>
    let startedMillis = Int64(Date().timeIntervalSince1970 * 1000)
    let started = ContinuousClock.now
    let reloads = ReloadQueue()
    let rollbackFile: RollbackFile
    let frontend = Mutex<FrontendServer?>(nil)

    /// Makes and starts everything. Throws `RoutingError` for a wrong routing file.
    static func start(configPath: String, logger: Logger) async throws -> CapeletHost {
        let table = try RoutingFile.load(path: configPath)
        for warning in table.warnings { logger.warning("\(warning)") }
        let worker = try WorkerExecutable.find()
        let tokens = try TokenBook(table)
        try DataDirectory.prepare(table.data, logger: logger)
        let journal = try SQLiteJournal.open(directory: table.data, options: options(logger))
        let host: CapeletHost
        do {
            host = try CapeletHost(configPath: configPath, table: table, journal: journal, worker: worker, logger: logger)
        } catch {
            journal.close()
            throw error
        }
        do {
            try await host.begin(tokens)
        } catch {
            await host.stop()
            throw error
        }
        return host
    }

    private static func options(_ logger: Logger) -> SQLiteJournal.Options {
        var options = SQLiteJournal.Options()
        options.log = { logger.notice("journal: \($0)") }
        return options
    }

    private init(configPath: String, table: RouteTable, journal: SQLiteJournal, worker: String, logger: Logger) throws {
        self.configPath = configPath
        self.logger = logger
        self.journal = journal
        metrics = HostMetrics()
        book = LogBook()
        rollbackFile = RollbackFile(data: table.data)
        let (groups, report) = ControlGroups.open()
        groups?.takeOver(record: table.data + "/groups")
        planner = SandboxPlanner(
            support: SandboxSupport(executable: worker, user: table.limits.users.lowerBound), data: table.data, users: table.limits.users,
            groups: report)
        deathLog = DeathLog(path: table.data + "/deaths.ndjson", logger: logger)
        store = GenerationStore(
            plugins: table.plugins, data: table.data, workerExecutable: worker, generationsKept: table.limits.generationsKept,
            boot: .seconds(10), logger: logger, sandbox: planner.planDescription(libraries: table.libraries))
        var settings = Engine.Settings(workerExecutable: worker)
        settings.groups = groups
        settings.spawnsPerSecondMax = table.limits.spawnsPerSecondMax
        let book = book
        let notices = NoticeBoard()
        engine = try Engine(
            settings: settings, journal: journal, logger: logger, metrics: metrics,
            onLog: { entry in
                book.add(
                    LogLine(
                        atMillis: Int64(Date().timeIntervalSince1970 * 1000), lambda: entry.lambda, worker: entry.worker, pid: entry.pid,
                        level: entry.level, text: entry.text))
                Self.log(entry, to: logger)
            },
            onNotice: { notices.post($0) })
        state = Mutex(
            State(
                table: table, plan: HostPlan(table: table, scan: PluginScan()),
                configuration: EngineConfiguration(pools: [], routes: [], workers: [], domains: [:], drainMillis: 30_000)))
        notices.connect { [weak self] notice in self?.take(notice) }
    }

    private static func log(_ entry: Engine.LogEntry, to logger: Logger) {
        let level = Logger.Level(rawValue: entry.level) ?? .info
        logger.log(level: level, "\(entry.text)", metadata: ["lambda": "\(entry.lambda)", "pid": "\(entry.pid)"])
    }

    private func begin(_ tokens: TokenBook) async throws {
        let table = state.withLock { $0.table }
        let rollbacks = try rollbackFile.read()
        let scan = try store.scan(inUse: Set(rollbacks.flatMap { [$0.fromID, $0.toID] }), table: table)
        var plan = HostPlan(table: table, scan: scan, rollbacks: rollbacks, kept: kept)
        plan.confine(by: planner, table: table)
        for (lambda, sandbox) in plan.sandboxes.sorted(by: { $0.key < $1.key }) {
            logger.info("\(lambda): sandbox \(sandbox.tier.rawValue): \(sandbox.mechanisms.joined(separator: ", "))")
            for lack in sandbox.lacks { logger.warning("\(lambda): \(lack)") }
        }
        for rollback in plan.rollbacks.values.sorted(by: { $0.lambda < $1.lambda }) {
            logger.notice("\(rollback.lambda) is \(rollback.words) of \(rollback.plugin)")
        }
        for (lambda, reason) in plan.missing.sorted(by: { $0.key < $1.key }) {
            logger.error("\(lambda) is not served, its events wait: \(reason)")
        }
        try engine.start()
        let made = try configuration(table: table, plan: plan, known: [])
        await engine.apply(made.configuration)
        state.withLock {
            $0.plan = plan
            $0.configuration = made.configuration
            $0.streams = made.streams
            $0.routes = made.routes
            $0.listen = table.listen
            $0.tokens = tokens
        }
        remember(plan)
        startSources(table)
        let server = FrontendServer(
            control: self, journal: journal, metrics: metrics, settings: FrontendSettings(table, tokens: tokens), logger: logger)
        let addresses = try await server.start()
        frontend.withLock { $0 = server }
        state.withLock {
            $0.listening = addresses.descriptions
            $0.closedReason = nil
            $0.state = "running"
        }
        logger.notice(
            "serving \(Self.count(table.domains.count, "domain")) and \(Self.count(plan.generations.count, "lambda"))")
    }

    private static func count(_ number: Int, _ thing: String) -> String { "\(number) \(thing)\(number == 1 ? "" : "s")" }

    /// Ends everything in good order: doors, sources, what runs, journal. Returns when it is done.
    func stop() async {
        let drain = state.withLock { state in
            state.closedReason = "the host is shutting down"
            state.state = "stopping"
            return state.table.limits.drain
        }
        book.close()
        if let server = frontend.withLock({ $0 }) { await server.stop(within: .seconds(5)) }
        stopSources(state.withLock { Array($0.sources.keys) })
        let engine = engine
        let journal = journal
        let deathLog = deathLog
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                engine.stop(drain: drain)
                deathLog.close()
                journal.close()
                continuation.resume()
            }
        }
        logger.notice("ended")
    }

    /// Lets `stop` wait no longer for what runs.
    func hurry() { engine.hurry() }

    // MARK: sources

    func startSources(_ table: RouteTable) {
        for (name, domain) in table.domains.sorted(by: { $0.key < $1.key }) {
            guard case .directory(let settings)? = domain.source, let stream = state.withLock({ $0.streams[name] }) else { continue }
            if state.withLock({ $0.sources[name] != nil }) { continue }
            let source = DirectorySource(settings: settings, domain: name, stream: stream, journal: journal, logger: logger)
            do {
                try source.start()
                state.withLock {
                    $0.sources[name] = source
                    $0.sourceErrors[name] = nil
                }
            } catch {
                logger.error("domain \(name): its source does not run: \(error)")
                state.withLock { $0.sourceErrors[name] = "\(error)" }
            }
        }
    }

    func stopSources(_ names: [String]) {
        for name in names {
            guard let source = state.withLock({ $0.sources.removeValue(forKey: name) }) else { continue }
            source.stop()
        }
    }

    // MARK: notices

    private func take(_ notice: Engine.Notice) {
        state.withLock { state in
            switch notice {
            case .promoted(let lambda, _):
                state.refused[lambda] = nil
                state.broken[lambda] = nil
            case .refused(let lambda, _, let reason): state.refused[lambda] = reason
            case .broken(let lambda, let reason): state.broken[lambda] = reason
            case .mended(let lambda): state.broken[lambda] = nil
            case .died: break
            }
        }
        if case .died(let verdict, let event) = notice {
            deathLog.add(record(verdict, event))
            var metadata: Logger.Metadata = ["lambda": "\(verdict.lambda)", "pid": "\(verdict.pid)", "verdict": "\(verdict.kind.rawValue)"]
            if let event { metadata["event"] = "\(event.subject)@\(event.offset)" }
            logger.warning("\(verdict.text)", metadata: metadata)
        }
    }

    private func record(_ verdict: Verdict, _ event: Engine.OpenEvent?) -> WorkerDeath {
        let domain = state.withLock { state in
            event.flatMap { event in state.streams.first { $0.value.rawValue == event.domain }?.key }
        }
        return WorkerDeath(
            atMillis: verdict.atMillis, lambda: verdict.lambda, plugin: verdict.plugin, generation: verdict.generationNumber,
            pid: verdict.pid,
            verdict: verdict.kind.rawValue, message: verdict.text, domain: domain, offset: event?.offset, subject: event?.subject,
            eventMillis: event?.ranMillis, openEvents: event?.openCount ?? 0, memoryPeakBytes: verdict.peakKiB << 10,
            memoryLimitBytes: verdict.memoryLimitBytes, cpuMicros: verdict.cpuMicros, livedMillis: verdict.ranMillis,
            stderrTail: verdict.lastErrorOutput)
    }
}

/// Connects the engine's notices with a host that is made after the engine.
private final class NoticeBoard: Sendable {
    private let receiver = Mutex<(@Sendable (Engine.Notice) -> Void)?>(nil)

    func connect(_ body: @escaping @Sendable (Engine.Notice) -> Void) { receiver.withLock { $0 = body } }

    func post(_ notice: Engine.Notice) { receiver.withLock { $0 }?(notice) }
}
