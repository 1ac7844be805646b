/// Files with bearer tokens that hold for the whole host. Their contents are no part of a table: see `TokenFile`.
public struct TokenSettings: Sendable, Equatable {
    /// Tokens of the administration: they open everything that is served over TCP. Absolute; nil: there are none.
    public var admin: String?
    /// Tokens of producers, for every domain that has no tokens of its own. Absolute; nil: there are none.
    public var producers: String?

    /// No tokens, or these.
    public init(admin: String? = nil, producers: String? = nil) {
        self.admin = admin
        self.producers = producers
    }
}
