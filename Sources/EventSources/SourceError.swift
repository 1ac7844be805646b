/// Why a source does not start.
public struct SourceError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: Sendable, Equatable {
        /// What is to be watched is not there, or is something else.
        case missing
        /// It is there and cannot be read.
        case unreadable
        /// The journal did not give the source's state.
        case journal
        /// The system refused a thread or a descriptor.
        case system
    }

    /// What kind of failure it is.
    public var code: Code
    /// What was wrong, where, and what to do.
    public var message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
