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
    /// User ids for workers, when the host is root: one for each lambda with `sandbox: { user: private }`.
    public var users: ClosedRange<UInt32> = 58_000...58_999

    /// The defaults.
    public init() {}
}
