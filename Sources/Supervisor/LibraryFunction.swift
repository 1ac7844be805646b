/// A function of a library, by their names in the routing file.
public struct LibraryFunction: Sendable, Hashable {
    /// The library.
    public let library: String
    /// The symbol.
    public let function: String

    /// Makes one.
    public init(library: String, function: String) {
        self.library = library
        self.function = function
    }
}
