/// How strongly a lambda's processes are confined, and what they are granted all the same (ISOLATION §1, §2).
public struct SandboxSettings: Sendable, Equatable {
    /// How much is taken away from them, as far as this machine can.
    public var tier: SandboxTier = .standard
    /// The weakest tier that it may run in, where the machine cannot give `tier`; `off`: any.
    public var require: SandboxTier = .off
    /// Whose user id its processes have, when the host is root.
    public var user: SandboxUser = .private
    /// Whether internet sockets are allowed.
    public var network: Bool = false
    /// How many processes it may have beside its worker at a time; 0: it can start none.
    public var processes: Int = 0
    /// Paths that may be read beside the defaults. Absolute.
    public var read: [String] = []
    /// Paths that may be written beside the state folder. Absolute.
    public var write: [String] = []
    /// Names of variables of the host's environment that its workers get.
    public var environment: [String] = []

    /// The defaults.
    public init() {}
}
