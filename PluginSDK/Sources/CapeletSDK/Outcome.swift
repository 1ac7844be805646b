/// How the handling of an event ended.
public enum Outcome: Sendable, Equatable {
    /// Done. The event's output and what it emitted are committed together with this.
    case success
    /// Failed for now: the event comes again after a delay, up to the lambda's number of attempts. `after` is the shortest delay that
    /// makes sense (a server's `Retry-After`, for instance); nil leaves it to the lambda's backoff. The message is for the operator.
    case retry(_ message: String, after: Duration? = nil)
    /// Failed for good: trying again would not help. The event is given up on at once, as the lambda's `exhausted:` setting says.
    case fatal(_ message: String)
}

/// An error that says which outcome it is. Make your own error type conform to it where some of its cases are final.
public protocol OutcomeError: Error {
    /// The outcome of an event whose handler throws this.
    var outcome: Outcome { get }
}

extension Outcome {
    /// The outcome of an event whose handler threw `error`: what an `OutcomeError` says, else a retry with the error's description.
    public init(throwing error: any Error) {
        switch error {
        case let error as any OutcomeError: self = error.outcome
        case is CancellationError: self = .retry("cancelled")
        default: self = .retry(String(describing: error))
        }
    }
}

/// An error to throw from a handler, or that the SDK throws: a code, a message for the operator and, where there is one, a cause.
public struct LambdaError: OutcomeError, CustomStringConvertible {
    /// What the error means for the event.
    public enum Code: Sendable, Equatable {
        /// It may work later.
        case retry
        /// It will never work.
        case fatal
    }

    /// What the error means for the event.
    public var code: Code
    /// What went wrong, for the operator.
    public var message: String
    /// With `retry`: the shortest delay that makes sense; nil leaves it to the lambda's backoff.
    public var after: Duration?
    /// The error behind this one. It is added to the message.
    public var cause: (any Error)?

    /// An error after which the event is tried again.
    public static func retry(_ message: String, after: Duration? = nil, cause: (any Error)? = nil) -> LambdaError {
        LambdaError(code: .retry, message: message, after: after, cause: cause)
    }

    /// An error after which the event is given up on.
    public static func fatal(_ message: String, cause: (any Error)? = nil) -> LambdaError {
        LambdaError(code: .fatal, message: message, after: nil, cause: cause)
    }

    /// The message, and that of the cause.
    public var description: String {
        if let cause { "\(message): \(cause)" } else { message }
    }

    /// `.retry` or `.fatal`, with the description.
    public var outcome: Outcome {
        switch code {
        case .retry: .retry(description, after: after)
        case .fatal: .fatal(description)
        }
    }
}
