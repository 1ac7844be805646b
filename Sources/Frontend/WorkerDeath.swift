/// How a worker ended: one record for each death that the host did not mean.
public struct WorkerDeath: Codable, Sendable, Equatable {
    /// When, milliseconds since 1970.
    public var atMillis: Int64
    /// Its lambda.
    public var lambda: String
    /// The plugin and the generation that it had loaded.
    public var plugin: String
    /// See `plugin`.
    public var generation: Int
    /// Its process id.
    public var pid: Int32
    /// What died: `keeper`, `template` or `worker`.
    public var role: String
    /// The verdict (DESIGN §1): exit, signal, timeout, cpu-limit, memory, …
    public var verdict: String
    /// In words: signal name, exit code, limit.
    public var message: String
    /// The event that it is pinned on, if one is: domain, offset, subject. With several open ones, the first of them.
    public var domain: String?
    /// See `domain`.
    public var offset: UInt64?
    /// See `domain`.
    public var subject: String?
    /// How long that event ran, milliseconds.
    public var eventMillis: Int64?
    /// Events that it had begun and not ended.
    public var openEvents: Int
    /// The most memory that it had resident, bytes; 0: not known.
    public var memoryPeakBytes: UInt64
    /// How much it was allowed, bytes.
    public var memoryLimitBytes: UInt64
    /// CPU time of its whole life, microseconds; 0: not known.
    public var cpuMicros: UInt64
    /// How long it lived, milliseconds.
    public var livedMillis: Int64
    /// The last of its stderr, at most 4 KiB.
    public var stderrTail: String

    /// Makes a death record.
    public init(
        atMillis: Int64, lambda: String, plugin: String, generation: Int, pid: Int32, role: String = "worker", verdict: String,
        message: String, domain: String? = nil, offset: UInt64? = nil, subject: String? = nil, eventMillis: Int64? = nil,
        openEvents: Int = 0,
        memoryPeakBytes: UInt64 = 0, memoryLimitBytes: UInt64 = 0, cpuMicros: UInt64 = 0, livedMillis: Int64 = 0, stderrTail: String = ""
    ) {
        self.atMillis = atMillis
        self.lambda = lambda
        self.plugin = plugin
        self.generation = generation
        self.pid = pid
        self.role = role
        self.verdict = verdict
        self.message = message
        self.domain = domain
        self.offset = offset
        self.subject = subject
        self.eventMillis = eventMillis
        self.openEvents = openEvents
        self.memoryPeakBytes = memoryPeakBytes
        self.memoryLimitBytes = memoryLimitBytes
        self.cpuMicros = cpuMicros
        self.livedMillis = livedMillis
        self.stderrTail = stderrTail
    }
}
