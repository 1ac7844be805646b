/// How a lambda's processes are confined: part of its status.
public struct SandboxStatus: Codable, Sendable, Equatable {
    /// The tier that is in force: `strict`, `standard`, `off`.
    public var tier: String
    /// What it consists of: `Landlock 7`, `seccomp`, `user 58000`.
    public var mechanisms: [String]
    /// What the routing file asks for and this machine does not give, and why; what the lambda is granted and cannot reach.
    public var lacks: [String]

    /// Makes a status.
    public init(tier: String = "", mechanisms: [String] = [], lacks: [String] = []) {
        self.tier = tier
        self.mechanisms = mechanisms
        self.lacks = lacks
    }
}
