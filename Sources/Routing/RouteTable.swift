/// What a routing file says, checked: who gets which events, and how each lambda is run.
///
/// Immutable. The whole host works from one table at a time; a reload makes a new one. Names in it are valid, references in
/// it exist, its topologies have no cycle.
public struct RouteTable: Sendable, Equatable {
    /// The folder that is scanned for plugins. Absolute.
    public var plugins: String
    /// The data directory. Absolute. Cannot change while the host runs.
    public var data: String
    /// Where the host listens.
    public var listen: ListenSettings
    /// Limits of the host as a whole.
    public var limits: HostLimits
    /// By name.
    public var domains: [String: DomainRoute]
    /// By name.
    public var lambdas: [String: LambdaRoute]

    /// Makes a table from parts that are already checked.
    public init(
        plugins: String, data: String, listen: ListenSettings = ListenSettings(), limits: HostLimits = HostLimits(),
        domains: [String: DomainRoute], lambdas: [String: LambdaRoute]
    ) {
        self.plugins = plugins
        self.data = data
        self.listen = listen
        self.limits = limits
        self.domains = domains
        self.lambdas = lambdas
    }
}

/// Addresses of the listeners.
public struct ListenSettings: Sendable, Equatable {
    /// `host:port` of the HTTP listener; nil: none. Port 0 picks a free one.
    public var http: String? = "127.0.0.1:7070"
    /// `host:port` of the RESP listener; nil: none.
    public var resp: String? = nil

    /// The defaults.
    public init(http: String? = "127.0.0.1:7070", resp: String? = nil) {
        self.http = http
        self.resp = resp
    }
}

/// Limits that are not a domain's or a lambda's (SEMANTICS §7, §9).
public struct HostLimits: Sendable, Equatable {
    /// Bytes of events not yet handled by every lambda before producers get 429.
    public var backlogBytesMax: UInt64 = 8 << 30
    /// Largest subject, bytes.
    public var subjectBytesMax: Int = 1024
    /// Largest headers of one event in all, bytes.
    public var headersBytesMax: Int = 16 << 10
    /// How long running events may take to end at a reload or shutdown.
    public var drain: Duration = .seconds(30)
    /// Generations of a plugin that are kept.
    public var generationsKept: Int = 3
    /// Worker forks per second, all lambdas together.
    public var spawnsPerSecondMax: Int = 200

    /// The defaults.
    public init() {}
}

/// One domain.
public struct DomainRoute: Sendable, Equatable {
    /// The domain's name.
    public var name: String
    /// Where its events come from beside the doors; nil: from the doors only.
    public var source: SourceSettings?
    /// Names of all lambdas of the domain, in the file's order; upstreams before those that come after them.
    public var lambdas: [String]
    /// Who numbers the events.
    public var sequence: SequenceSource = .host
    /// When a producer is answered.
    public var durability: Durability = .full
    /// How long an event id is remembered, in time and in number (whichever is shorter).
    public var deduplicate: Duration = .seconds(3600)
    /// See `deduplicate`.
    public var deduplicateCountMax: Int = 1_000_000
    /// Largest payload in bytes.
    public var payloadBytesMax: Int = 1 << 20
    /// How long events are kept after every lambda is done with them.
    public var retention: Duration = .seconds(24 * 3600)
    /// How many bytes of such events are kept.
    public var retentionBytesMax: UInt64 = 1 << 30

    /// A domain with default settings.
    public init(name: String, lambdas: [String]) {
        self.name = name
        self.lambdas = lambdas
    }
}

/// Who gives an event its sequence (SEMANTICS §1.2).
public enum SequenceSource: String, Sendable, Equatable, CaseIterable {
    /// The host: the sequence is the offset.
    case host
    /// The producer: required on every event.
    case producer
}

/// When a producer is answered (SEMANTICS §1.1).
public enum Durability: String, Sendable, Equatable, CaseIterable {
    /// After the fsync of the group.
    case full
    /// After the write, without waiting for the fsync: a crash of the machine can lose the last moments.
    case relaxed
}

/// Where a domain's events come from.
public enum SourceSettings: Sendable, Equatable {
    /// A folder whose files are watched.
    case directory(DirectorySourceSettings)
}

/// A watched folder (SEMANTICS §8).
public struct DirectorySourceSettings: Sendable, Equatable {
    /// Absolute path of the root.
    public var path: String
    /// How often the whole tree is compared with the catalog.
    public var refresh: Duration = .seconds(60)
    /// How long a file must be unchanged before it is announced, where its closing was not seen.
    public var quiet: Duration = .milliseconds(500)

    /// A source with default settings.
    public init(path: String) { self.path = path }
}

/// One lambda.
public struct LambdaRoute: Sendable, Equatable {
    /// The lambda's name in the routing file.
    public var name: String
    /// The plugin it lives in; nil: the one plugin that exports `entry` is looked for.
    public var plugin: String?
    /// Its name within the plugin.
    public var entry: String
    /// Whether events go to it at all; `false`: its cursor holds.
    public var enabled: Bool = true
    /// Number of worker processes.
    public var workers: Int = 1
    /// Most events that run at the same time in one worker (more than 1 only for lambdas that return pending).
    public var concurrency: Int = 64
    /// Upstream lambdas whose success and output this one needs, for the same event.
    public var after: [String] = []
    /// Which events it gets.
    public var filter = EventFilter()
    /// Whether subjects are kept in order.
    public var order: Order = .subject
    /// Where it begins in a domain it has never seen.
    public var from: StartPosition = .now
    /// What happens to failures.
    public var retry = RetrySettings()
    /// What happens when attempts are used up.
    public var exhausted: Exhausted = .deadLetter
    /// What its processes may use.
    public var limits = LambdaLimits()
    /// `config:`, as a JSON object text. Secrets are resolved into it only for the worker: see `secrets`.
    public var config: ConfigValue = .object([])
    /// Extra environment of its workers.
    public var environment: [String: String] = [:]
    /// How strongly its processes are confined. Later issue; kept so that the file format does not change.
    public var sandbox: SandboxSettings = SandboxSettings()

    /// A lambda with default settings.
    public init(name: String) {
        self.name = name
        self.entry = name
    }
}

/// Order within a subject (SEMANTICS §2).
public enum Order: String, Sendable, Equatable, CaseIterable {
    /// One event of a subject at a time, in sequence.
    case subject
    /// No order.
    case none
}

/// Where a lambda begins in a domain that it has no cursor in (SEMANTICS §5.4).
public enum StartPosition: Sendable, Equatable {
    /// With the next event.
    case now
    /// With the oldest event that is kept.
    case beginning
    /// With this offset, or the oldest kept above it.
    case offset(UInt64)
}

/// Failure policy (SEMANTICS §3.3, §3.4).
public struct RetrySettings: Sendable, Equatable {
    /// Runs of one event before it counts as exhausted. 1: no retry.
    public var attempts: Int = 20
    /// First backoff; doubles with each attempt, with full jitter.
    public var backoffMin: Duration = .seconds(1)
    /// Largest backoff.
    public var backoffMax: Duration = .seconds(600)
    /// Deaths of a worker pinned on one event before it counts as exhausted.
    public var crashes: Int = 2

    /// The defaults.
    public init() {}
}

/// What happens to an event whose attempts are used up.
public enum Exhausted: String, Sendable, Equatable, CaseIterable {
    /// It is kept among the dead letters; the subject goes on.
    case deadLetter = "dead-letter"
    /// It waits, and the subject's later events wait behind it, until an operator decides.
    case park
}

/// What a lambda's worker may use (SEMANTICS §9).
public struct LambdaLimits: Sendable, Equatable {
    /// Wall time per event.
    public var timeout: Duration = .seconds(30)
    /// The most that heartbeats can extend it to. At least `timeout`.
    public var timeoutMax: Duration = .seconds(3600)
    /// Time to load and start.
    public var boot: Duration = .seconds(10)
    /// Time between the request to end and the kill.
    public var grace: Duration = .seconds(5)
    /// Bytes of private data.
    public var memoryBytes: UInt64 = 256 << 20
    /// CPU seconds of one worker's life; nil: no limit.
    public var cpu: Duration? = nil
    /// Open files.
    public var files: Int = 256
    /// Largest file it can write, bytes.
    public var fileBytes: UInt64 = 1 << 30
    /// Stack, bytes.
    public var stackBytes: UInt64 = 8 << 20
    /// Log bytes per second and worker; more is cut.
    public var logBytesPerSecond: Int = 1 << 20

    /// The defaults.
    public init() {}
}

/// Which events a lambda gets. Every part that is not empty has to match.
public struct EventFilter: Sendable, Equatable {
    /// One of these types. Empty: any.
    public var types: [String] = []
    /// None of these types.
    public var notTypes: [String] = []
    /// The subject begins with one of these. Empty: any.
    public var subjectPrefixes: [String] = []
    /// The subject ends with one of these. Empty: any.
    public var subjectSuffixes: [String] = []
    /// For each header name: one of these values.
    public var headers: [String: [String]] = [:]

    /// A filter that lets everything through.
    public init() {}

    /// Whether every event passes.
    public var isEmpty: Bool {
        types.isEmpty && notTypes.isEmpty && subjectPrefixes.isEmpty && subjectSuffixes.isEmpty && headers.isEmpty
    }
}

/// How strongly a lambda's processes are confined (ISOLATION §1).
public struct SandboxSettings: Sendable, Equatable {
    /// Whether internet sockets are allowed.
    public var network: Bool = false
    /// Paths that may be read beside the defaults. Absolute.
    public var read: [String] = []
    /// Paths that may be written beside the state folder. Absolute.
    public var write: [String] = []

    /// The defaults.
    public init() {}
}

/// A value under `config:`.
public indirect enum ConfigValue: Sendable, Equatable {
    /// `null`
    case null
    /// `true`, `false`
    case bool(Bool)
    /// An integer.
    case int(Int64)
    /// A number with a fraction.
    case double(Double)
    /// Text.
    case string(String)
    /// A list.
    case array([ConfigValue])
    /// Keys and values in the file's order.
    case object([(key: String, value: ConfigValue)])
    /// `{file: PATH}`: the file's contents without the last newline, read when a worker is made. Never shown.
    case secretFile(String)

    /// Structural equality.
    public static func == (left: ConfigValue, right: ConfigValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b
        case (.double(let a), .double(let b)): a == b
        case (.string(let a), .string(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
        case (.secretFile(let a), .secretFile(let b)): a == b
        default: false
        }
    }
}
