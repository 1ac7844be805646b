/// How strongly a lambda's processes are confined.
public enum SandboxTier: String, Sendable, Equatable, CaseIterable, Comparable {
    /// All that the kernel offers, in force before the plugin is loaded, and no template shared with other lambdas.
    case strict
    /// The default.
    case standard
    /// Limits only.
    case off

    /// A weaker tier is less than a stronger one.
    public static func < (left: SandboxTier, right: SandboxTier) -> Bool { left.strength < right.strength }

    private var strength: Int {
        switch self {
        case .off: 0
        case .standard: 1
        case .strict: 2
        }
    }
}
