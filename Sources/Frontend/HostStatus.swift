/// The state of the whole host: the answer of `GET /v1/status`. All names are part of the interface for scripts.
public struct HostStatus: Codable, Sendable, Equatable {
    /// Version of the program.
    public var version: String
    /// The host's process id.
    public var pid: Int32
    /// When it started, milliseconds since 1970.
    public var startedAtMillis: Int64
    /// Since when it runs, seconds.
    public var uptimeSeconds: Int64
    /// `starting`, `running`, `draining`.
    public var state: String
    /// The routing file, absolute.
    public var configPath: String
    /// The data directory, absolute.
    public var dataPath: String
    /// Number of the routing state that serves; counts accepted reloads.
    public var generation: Int
    /// Where the host listens: `http://127.0.0.1:7070`, `unix:/…/capelet.sock`.
    public var listening: [String]
    /// The last reload; nil: none yet.
    public var lastReload: LastReload?
    /// The journal.
    public var journal: JournalStatus
    /// In the order of their names.
    public var domains: [DomainStatus]
    /// In the order of their names.
    public var lambdas: [LambdaStatus]
    /// In the order of their domains.
    public var sources: [SourceStatus]
    /// What an operator should look at, one sentence each.
    public var warnings: [String]

    /// Makes a status.
    public init(
        version: String, pid: Int32, startedAtMillis: Int64, uptimeSeconds: Int64, state: String = "running", configPath: String,
        dataPath: String,
        generation: Int, listening: [String] = [], lastReload: LastReload? = nil, journal: JournalStatus = JournalStatus(),
        domains: [DomainStatus] = [], lambdas: [LambdaStatus] = [], sources: [SourceStatus] = [], warnings: [String] = []
    ) {
        self.version = version
        self.pid = pid
        self.startedAtMillis = startedAtMillis
        self.uptimeSeconds = uptimeSeconds
        self.state = state
        self.configPath = configPath
        self.dataPath = dataPath
        self.generation = generation
        self.listening = listening
        self.lastReload = lastReload
        self.journal = journal
        self.domains = domains
        self.lambdas = lambdas
        self.sources = sources
        self.warnings = warnings
    }
}

/// What the last reload came to.
public struct LastReload: Codable, Sendable, Equatable {
    /// When, milliseconds since 1970.
    public var atMillis: Int64
    /// Whether it was accepted.
    public var ok: Bool
    /// What changed, or why it was refused.
    public var message: String
    /// Makes a record.
    public init(atMillis: Int64, ok: Bool, message: String) {
        self.atMillis = atMillis
        self.ok = ok
        self.message = message
    }
}

/// The journal's figures.
public struct JournalStatus: Codable, Sendable, Equatable {
    /// Groups written since the start.
    public var groups: UInt64 = 0
    /// Events appended since the start.
    public var events: UInt64 = 0
    /// Microseconds that the last group took.
    public var lastGroupMicros: UInt64 = 0
    /// Size of the database file, bytes.
    public var databaseBytes: UInt64 = 0
    /// Size of the write-ahead log, bytes.
    public var walBytes: UInt64 = 0
    /// Why nothing can be written; nil: all is well.
    public var fault: String?
    /// Nothing yet.
    public init() {}
}

/// One domain.
public struct DomainStatus: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// Oldest offset that is kept.
    public var start: UInt64
    /// Offset of the next event.
    public var end: UInt64
    /// Bytes kept.
    public var bytes: UInt64
    /// Events ever accepted into this data directory.
    public var accepted: UInt64
    /// Ids remembered for duplicates.
    public var ids: Int
    /// The duplicate window in force, in words.
    public var deduplicate: String
    /// Makes a status.
    public init(
        name: String, start: UInt64 = 0, end: UInt64 = 0, bytes: UInt64 = 0, accepted: UInt64 = 0, ids: Int = 0, deduplicate: String = ""
    ) {
        self.name = name
        self.start = start
        self.end = end
        self.bytes = bytes
        self.accepted = accepted
        self.ids = ids
        self.deduplicate = deduplicate
    }
}

/// What a lambda does at the moment.
public enum LambdaState: String, Codable, Sendable, CaseIterable {
    /// Its events run.
    case running
    /// An operator paused it, or `enabled: false`.
    case paused
    /// It holds its cursor, since what it depends on fails (SEMANTICS §4.2), or its deferred set is full.
    case holding
    /// Its workers die without success; it waits for a new generation or `resume`.
    case broken
    /// Its plugin is not there.
    case missing
    /// No domain names it any more; its cursor is kept.
    case removed
}

/// One lambda in one domain.
public struct LambdaStatus: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// The domain.
    public var domain: String
    /// Its plugin; empty when it is missing.
    public var plugin: String
    /// The plugin's generation that serves.
    public var generation: Int
    /// The generation in the plugins folder, when an operator has rolled the lambda back from it; nil: not rolled back.
    public var rolledBackFrom: Int?
    /// What it does.
    public var state: LambdaState
    /// The function of the library `plugin` that it is; nil: it lives in a plugin.
    public var function: String?
    /// Why, when it does not run.
    public var reason: String?
    /// Its workers.
    public var workers: [WorkerStatus]
    /// Everything below is done.
    public var watermark: UInt64
    /// Events between the watermark and the end that are not done.
    public var lag: UInt64
    /// Age of the oldest event that is not done, milliseconds; 0: none.
    public var lagMillis: Int64
    /// Events in workers.
    public var inFlight: Int
    /// Events in memory that wait for an earlier one of their subject or for a worker.
    public var waiting: Int
    /// Events that wait for a retry, or behind one.
    public var deferred: Int
    /// Events that wait for an operator, or behind one.
    public var parked: Int
    /// Dead letters.
    public var dead: Int
    /// Since the host started.
    public var started: UInt64
    /// Since the host started.
    public var succeeded: UInt64
    /// Since the host started.
    public var retried: UInt64
    /// Since the host started: filtered, or an upstream did not succeed.
    public var skipped: UInt64
    /// Deaths of workers since the host started, by verdict.
    public var crashes: [String: UInt64]
    /// Workers that were well and were replaced since the host started, by reason: `memory`, `events`, `age`, `cpu`.
    public var recycled: [String: UInt64]
    /// From accepting to the start of the handler, microseconds.
    public var startMicros: Quantiles
    /// From accepting to the end state, microseconds.
    public var doneMicros: Quantiles
    /// How its processes are confined; nil: nothing serves it.
    public var sandbox: SandboxStatus?

    /// Makes a status.
    public init(
        name: String, domain: String, plugin: String = "", generation: Int = 0, state: LambdaState = .running, reason: String? = nil,
        workers: [WorkerStatus] = [], watermark: UInt64 = 0, lag: UInt64 = 0, lagMillis: Int64 = 0, inFlight: Int = 0, waiting: Int = 0,
        deferred: Int = 0, parked: Int = 0, dead: Int = 0, started: UInt64 = 0, succeeded: UInt64 = 0, retried: UInt64 = 0,
        skipped: UInt64 = 0,
        crashes: [String: UInt64] = [:], recycled: [String: UInt64] = [:], startMicros: Quantiles = Quantiles(),
        doneMicros: Quantiles = Quantiles()
    ) {
        self.name = name
        self.domain = domain
        self.plugin = plugin
        self.generation = generation
        self.state = state
        self.reason = reason
        self.workers = workers
        self.watermark = watermark
        self.lag = lag
        self.lagMillis = lagMillis
        self.inFlight = inFlight
        self.waiting = waiting
        self.deferred = deferred
        self.parked = parked
        self.dead = dead
        self.started = started
        self.succeeded = succeeded
        self.retried = retried
        self.skipped = skipped
        self.crashes = crashes
        self.recycled = recycled
        self.startMicros = startMicros
        self.doneMicros = doneMicros
    }
}

/// Quantiles of a latency, microseconds, since the host started.
public struct Quantiles: Codable, Sendable, Equatable {
    /// Half are not above.
    public var p50: UInt64
    /// 99 of 100 are not above.
    public var p99: UInt64
    /// The largest.
    public var max: UInt64
    /// How many were measured.
    public var count: UInt64
    /// Makes quantiles.
    public init(p50: UInt64 = 0, p99: UInt64 = 0, max: UInt64 = 0, count: UInt64 = 0) {
        self.p50 = p50
        self.p99 = p99
        self.max = max
        self.count = count
    }
}

/// One worker.
public struct WorkerStatus: Codable, Sendable, Equatable {
    /// Its number within the lambda.
    public var id: Int
    /// Its process id; 0 while there is none.
    public var pid: Int32
    /// `starting`, `ready`, `busy`, `draining`, `backoff`, `unkillable`.
    public var state: String
    /// How often it was started again.
    public var restarts: Int
    /// `fork` (from the template) or `exec` (the plugin makes threads while loading).
    public var mode: String
    /// The generation that it runs.
    public var generation: Int
    /// Makes a status.
    public init(id: Int, pid: Int32, state: String, restarts: Int = 0, mode: String = "fork", generation: Int = 0) {
        self.id = id
        self.pid = pid
        self.state = state
        self.restarts = restarts
        self.mode = mode
        self.generation = generation
    }
}

/// One source of events.
public struct SourceStatus: Codable, Sendable, Equatable {
    /// Its domain.
    public var domain: String
    /// What it is: `directory`.
    public var kind: String
    /// What it watches.
    public var path: String
    /// `starting`, `scanning`, `watching`, `failed`.
    public var state: String
    /// Things in its catalog.
    public var entries: Int
    /// Events that it has made since the host started.
    public var events: UInt64
    /// When its last complete scan ended, milliseconds since 1970; nil: none yet.
    public var lastScanMillis: Int64?
    /// What is wrong; nil: nothing.
    public var error: String?
    /// Makes a status.
    public init(
        domain: String, kind: String = "directory", path: String, state: String, entries: Int = 0, events: UInt64 = 0,
        lastScanMillis: Int64? = nil,
        error: String? = nil
    ) {
        self.domain = domain
        self.kind = kind
        self.path = path
        self.state = state
        self.entries = entries
        self.events = events
        self.lastScanMillis = lastScanMillis
        self.error = error
    }
}
