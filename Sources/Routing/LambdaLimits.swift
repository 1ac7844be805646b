/// What a lambda's worker may use (SEMANTICS §9).
public struct LambdaLimits: Sendable, Equatable {
    /// Wall time per event; nil: no deadline.
    public var timeout: Duration? = .seconds(30)
    /// The most that heartbeats can extend it to. At least `timeout`; without meaning when there is no deadline.
    public var timeoutMax: Duration = .seconds(3600)
    /// Time to load and start.
    public var boot: Duration = .seconds(10)
    /// Time between the request to end and the kill.
    public var grace: Duration = .seconds(5)
    /// Bytes of private data.
    public var memoryBytes: UInt64 = 256 << 20
    /// CPU time of one event; nil: no limit. The host reads it from the worker's clock, so its workers may live for any time.
    public var cpu: Duration? = nil
    /// Processors' worth of time that a worker may use, where a cpu control group is in force; nil: no limit.
    public var processors: Double? = nil
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

    /// CPU time of a worker's life at which the kernel ends it, in seconds; nil: no limit. Only a backstop for `cpu`, in case that the host is
    /// slow to look or was lied to about how many events run: a worker is recycled when it has used half of it.
    public var cpuLifeSecondsMax: UInt64? { cpu.map { UInt64(max(3600, $0.components.seconds * 20)) } }
}
