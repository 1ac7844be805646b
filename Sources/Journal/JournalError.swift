/// Why the journal did not do what it was asked.
public struct JournalError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: Sendable, Equatable {
        /// Another process has the data directory open.
        case inUse
        /// The file was written by a newer Capelet.
        case newerSchema
        /// Rows are damaged; the text names the positions.
        case damaged
        /// The disk is full.
        case full
        /// Too many events wait; the text names the lambda that holds them.
        case backlog
        /// An event's sequence is not above the last of its subject (atomic appends).
        case outOfOrder
        /// Reading or writing failed.
        case failed
        /// There is no such stream, route or row.
        case unknown
        /// The journal is closed.
        case closed
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
