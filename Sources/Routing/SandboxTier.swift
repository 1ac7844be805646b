/// How strongly a lambda's processes are confined.
public enum SandboxTier: String, Sendable, Equatable, CaseIterable {
    /// All that the kernel offers, in force before the plugin is loaded, and no template shared with other lambdas.
    case strict
    /// The default.
    case standard
    /// Limits only.
    case off
}
