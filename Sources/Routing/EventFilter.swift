/// Which events a lambda gets. Every part that is not empty has to match.
public struct EventFilter: Sendable, Equatable {
    /// One of these types. Empty: any.
    public var types: [String] = []
    /// None of these types.
    public var notTypes: [String] = []
    /// The subject begins with one of these. Empty: any.
    public var subjectPrefixes: [String] = []
    /// The subject ends with one of these. Empty: any.
    public var subjectSuffixes: [String] = []
    /// For each header name (lower case): one of these values.
    public var headers: [String: [String]] = [:]

    /// A filter that lets everything through.
    public init() {}

    /// Whether every event passes.
    public var isEmpty: Bool {
        types.isEmpty && notTypes.isEmpty && subjectPrefixes.isEmpty && subjectSuffixes.isEmpty && headers.isEmpty
    }
}
