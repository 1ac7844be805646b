/// One thing that differs between two tables.
public struct RouteChange: Sendable, Equatable, CustomStringConvertible {
    /// What it is about.
    public enum Subject: Sendable, Equatable {
        /// The host as a whole.
        case host
        /// The domain of this name.
        case domain(String)
        /// The lambda of this name.
        case lambda(String)
    }

    /// What happened to it.
    public enum Kind: String, Sendable, Equatable {
        /// It is new.
        case added
        /// It is gone.
        case removed
        /// One of its settings differs.
        case changed
    }

    /// What it is about.
    public var subject: Subject
    /// What happened.
    public var kind: Kind
    /// The setting that differs, dotted: `retry.attempts`; nil when the whole subject came or went.
    public var key: String?
    /// In words. Values under `config` and `environment` are never in it.
    public var description: String
    /// Whether it takes effect only when the host is started anew.
    public var requiresRestart: Bool

    /// Makes a change.
    public init(subject: Subject, kind: Kind, key: String? = nil, description: String, requiresRestart: Bool = false) {
        self.subject = subject
        self.kind = kind
        self.key = key
        self.description = description
        self.requiresRestart = requiresRestart
    }
}
