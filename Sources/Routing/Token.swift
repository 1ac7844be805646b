/// A bearer token. It is never shown: neither its description nor its mirror has it.
public struct Token: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The characters: ASCII.
    public let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// `token`, whatever it is.
    public var description: String { "token" }

    /// Empty.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A file of tokens that cannot be used.
public struct TokenFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file. Absolute.
    public var path: String
    /// The line, from 1; 0: it is about the file as a whole.
    public var line: Int
    /// Why, without anything of a token.
    public var reason: String

    /// `'/etc/tokens' line 3: the token has 12 bytes, at least 16 are needed`
    public var description: String { "'\(path)'\(line > 0 ? " line \(line)" : ""): \(reason)" }
}
