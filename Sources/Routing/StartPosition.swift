/// Where a lambda begins in a domain that it has no cursor in (SEMANTICS §5.4).
public enum StartPosition: Sendable, Equatable {
    /// With the next event.
    case now
    /// With the oldest event that is kept.
    case beginning
    /// With this offset, or the oldest kept above it.
    case offset(UInt64)
}
