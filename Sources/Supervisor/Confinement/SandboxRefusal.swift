/// Why a lambda is not served: its sandbox would be weaker than it requires, or cannot be made ready.
public struct SandboxRefusal: Error, Sendable, CustomStringConvertible {
    /// For the operator: what, where, what to do.
    public let description: String

    init(_ description: String) { self.description = description }
}
