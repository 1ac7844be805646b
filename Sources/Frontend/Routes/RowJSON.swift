import WorkerProtocol
import CWorkerProtocol
import Journal

/// A dead letter as `GET /v1/dead` shows it.
public struct DeadLetterView: Codable, Sendable, Equatable {
    /// Its id, for `redrive` and `drop`.
    public var id: Int64
    /// The lambda that gave up on it.
    public var lambda: String
    /// The event's domain.
    public var domain: String
    /// The event's offset.
    public var offset: UInt64
    /// The event's subject.
    public var subject: String
    /// The event's type.
    public var type: String
    /// When it was given up on, milliseconds since 1970.
    public var atMillis: Int64
    /// Why: `fatal`, `attempts`, `crashes`, `external-kills`.
    public var reason: String
    /// Runs that ended without success.
    public var attempts: UInt32
    /// Of these, deaths of the worker.
    public var crashes: UInt32
    /// Kills from outside.
    public var externalKills: UInt32
    /// When it first failed, milliseconds since 1970.
    public var sinceMillis: Int64
    /// What the last failure said.
    public var error: String
}

/// A deferred, parked or open event as `GET /v1/blocked` shows it.
public struct BlockedEventView: Codable, Sendable, Equatable {
    /// The row's id, for `redrive` and `drop`.
    public var id: Int64
    /// The lambda.
    public var lambda: String
    /// The event's domain.
    public var domain: String
    /// The event's subject: what is blocked.
    public var subject: String
    /// The first event's offset.
    public var offset: UInt64
    /// Events in the row.
    public var events: Int
    /// `deferred`, `parked`, `open`, `behind`.
    public var state: String
    /// When it runs again, milliseconds since 1970.
    public var dueMillis: Int64
    /// Runs that ended without success.
    public var attempts: UInt32
    /// Since when it fails, milliseconds since 1970.
    public var sinceMillis: Int64
    /// What the last failure said: the cause.
    public var error: String
}

extension BlockedEventView {
    init(_ event: BlockedEvent) {
        id = event.id
        lambda = event.lambda
        domain = event.domain
        subject = event.subject
        offset = event.offset
        events = event.events
        state =
            switch event.state {
            case .deferred: "deferred"
            case .parked: "parked"
            case .open: "open"
            case .behind: "behind"
            }
        dueMillis = event.dueMillis
        attempts = event.history.attempts
        sinceMillis = event.history.sinceMillis
        error = event.history.error
    }
}

extension DeadLetterView {
    init?(_ letter: DeadLetter, routes: [RouteID: RouteState]) {
        guard letter.records.count > 0 else { return nil }
        let view = letter.records.view(0)
        id = letter.id
        lambda = routes[letter.route]?.lambda ?? "?"
        domain = routes[letter.route]?.domain ?? "?"
        offset = view.header.pointee.offset
        subject = view.subjectText
        type = view.typeText
        atMillis = letter.atMillis
        reason = letter.reason
        attempts = letter.history.attempts
        crashes = letter.history.crashes
        externalKills = letter.history.externalKills
        sinceMillis = letter.history.sinceMillis
        error = letter.history.error
    }
}
