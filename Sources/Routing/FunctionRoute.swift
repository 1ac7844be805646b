/// What a lambda that is a plain C function calls, and with what (ISOLATION §6).
public struct FunctionRoute: Sendable, Hashable {
    /// What means that the function succeeded.
    public enum Success: String, Sendable, Hashable, CaseIterable {
        /// It returned 0 (or false).
        case zero
        /// It returned 0 or more.
        case nonNegative = "non-negative"
        /// It returned a pointer that is not NULL, a number that is not 0, or true.
        case nonNull = "non-null"
        /// It returned.
        case any
    }

    /// What the lambda's output is.
    public enum Output: String, Sendable, Hashable, CaseIterable {
        /// Nothing.
        case none
        /// What the function returned, as text.
        case result
        /// What it wrote to `$output(SIZE)`: as much as `$output.length` says, or all of it.
        case buffer
        /// As many bytes of the buffer as it returned.
        case bufferByResult = "buffer(result)"
        /// What is in the buffer before the first zero byte.
        case bufferAsString = "buffer(string)"
    }

    /// A name that the loader of the system knows, or an absolute path.
    public var library: String
    /// The symbol.
    public var function: String
    /// Its result and parameters.
    public var signature: FunctionSignature
    /// As many as it has parameters; each fits its parameter.
    public var arguments: [FunctionArgument]
    /// What means success.
    public var success: Success
    /// What the output is.
    public var output: Output
    /// Where the library's name stands.
    public var libraryPlace: FilePlace
    /// Where the function's name stands.
    public var functionPlace: FilePlace

    /// Most bytes of text that it can return or write.
    public static let outputBytesMax = 1 << 20

    /// Makes one from parts that are already checked.
    public init(
        library: String, function: String, signature: FunctionSignature, arguments: [FunctionArgument] = [], success: Success = .any,
        output: Output = .none, libraryPlace: FilePlace = FilePlace(), functionPlace: FilePlace = FilePlace()
    ) {
        self.library = library
        self.function = function
        self.signature = signature
        self.arguments = arguments
        self.success = success
        self.output = output
        self.libraryPlace = libraryPlace
        self.functionPlace = functionPlace
    }

    /// Whether the loader of the system finds the library by its name; else it is a file that is copied.
    public var isSystemLibrary: Bool { !library.contains("/") }

    /// The library without the folders.
    public var libraryName: String { library.split(separator: "/").last.map(String.init) ?? library }

    /// Bytes of its output buffer; nil: it has none.
    public var capacity: Int? {
        for case .output(let capacity) in arguments { return capacity }
        return nil
    }
}
