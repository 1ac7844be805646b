/// Whose user id a lambda's processes have, when the host runs as root. An ordinary user's host has only its own to give.
public enum SandboxUser: String, Sendable, Equatable, CaseIterable {
    /// One of its own, from `limits.users`: assigned once and kept.
    case `private`
    /// The host's. For lambdas that have to read or write files that only the host's user can.
    case host
}
