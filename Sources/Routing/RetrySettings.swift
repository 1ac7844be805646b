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
