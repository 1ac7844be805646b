/// One domain.
public struct DomainRoute: Sendable, Equatable {
    /// The domain's name.
    public var name: String
    /// Where its events come from beside the doors; nil: from the doors only.
    public var source: SourceSettings?
    /// Names of all lambdas of the domain, in the file's order; upstreams before those that come after them.
    public var lambdas: [String]
    /// Who numbers the events.
    public var sequence: SequenceSource = .host
    /// When a producer is answered.
    public var durability: Durability = .full
    /// How long an event id is remembered, in time and in number (whichever is shorter).
    public var deduplicate: Duration = .seconds(3600)
    /// See `deduplicate`.
    public var deduplicateCountMax: Int = 1_000_000
    /// Largest payload in bytes.
    public var payloadBytesMax: Int = 1 << 20
    /// How long events are kept after every lambda is done with them.
    public var retention: Duration = .seconds(24 * 3600)
    /// How many bytes of such events are kept.
    public var retentionBytesMax: UInt64 = 1 << 30
    /// The file with tokens of its own producers, who then are the only ones. Absolute; nil: `TokenSettings.producers` counts.
    public var tokens: String?

    /// A domain with default settings.
    public init(name: String, lambdas: [String]) {
        self.name = name
        self.lambdas = lambdas
    }
}
