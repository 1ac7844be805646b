/// A file named under `config:` as `{file: PATH}` that cannot be read.
public struct SecretFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file. Absolute.
    public var path: String
    /// Why.
    public var reason: String

    /// Makes an error.
    public init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    /// `cannot read '/etc/key': No such file or directory`
    public var description: String { "cannot read '\(path)': \(reason)" }
}
