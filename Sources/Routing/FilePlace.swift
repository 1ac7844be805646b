/// Where something stands in a routing file. No part of equality: a comment that moves a line changes nothing.
public struct FilePlace: Sendable, Hashable {
    /// From 1; 0: unknown.
    public var line: Int
    /// From 1, in Unicode scalars; 0: unknown.
    public var column: Int

    /// Makes one.
    public init(line: Int = 0, column: Int = 0) {
        self.line = line
        self.column = column
    }

    /// Always equal.
    public static func == (left: FilePlace, right: FilePlace) -> Bool { true }

    /// Nothing to tell apart.
    public func hash(into hasher: inout Hasher) {}
}
