/// How strongly a lambda's processes are confined (ISOLATION §1).
public struct SandboxSettings: Sendable, Equatable {
    /// How much is taken away from them. Strict and off come with the issue on isolation; the file format has them already.
    public var tier: SandboxTier = .standard
    /// Whether internet sockets are allowed.
    public var network: Bool = false
    /// Paths that may be read beside the defaults. Absolute.
    public var read: [String] = []
    /// Paths that may be written beside the state folder. Absolute.
    public var write: [String] = []

    /// The defaults.
    public init() {}
}
