/// What a worker did that an honest one never does. Its worker has to be killed, with verdict `protocol`.
public struct ChannelViolation: Error, Sendable, Equatable, CustomStringConvertible {
    /// What it was, for the operator.
    public let description: String

    /// Makes one.
    public init(_ description: String) { self.description = description }
}
