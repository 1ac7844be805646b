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
}
