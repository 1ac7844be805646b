/// A watched folder (SEMANTICS §8).
public struct DirectorySourceSettings: Sendable, Equatable {
    /// Absolute path of the root.
    public var path: String
    /// How often the whole tree is compared with the catalog.
    public var refresh: Duration = .seconds(60)
    /// How long a file must be unchanged before it is announced, where its closing was not seen.
    public var quiet: Duration = .milliseconds(500)

    /// A source with default settings.
    public init(path: String) { self.path = path }
}
