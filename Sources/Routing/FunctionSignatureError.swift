/// What is wrong with the text of a signature, and where.
public struct FunctionSignatureError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Sendable, Equatable {
        /// Longer than `FunctionSignature.charactersMax`.
        case tooLong
        /// No type of the closed list.
        case unknownType(String)
        /// `struct`, `union` or `enum`.
        case structure(String)
        /// `...`
        case variadic
        /// `void` as a parameter.
        case voidParameter
        /// A type that only a function's result can have.
        case resultOnly(FunctionType)
        /// A type that only a parameter can have.
        case parameterOnly(FunctionType)
        /// More than `FunctionSignature.parametersMax`.
        case tooManyParameters
        /// Something else had to stand here; nil: the text ends.
        case expected(String, found: String?)
    }

    /// What is wrong.
    public let reason: Reason
    /// The character, a Unicode scalar, where that is, from 1.
    public let position: Int

    /// Makes one.
    public init(_ reason: Reason, position: Int) {
        self.reason = reason
        self.position = position
    }

    /// What is wrong, and where.
    public var description: String { "\(message) at character \(position)" }

    private var message: String {
        switch reason {
        case .tooLong: "more than \(FunctionSignature.charactersMax) characters"
        case .unknownType(let word): "unknown type \(quoted(word))"
        case .structure(let word): "'\(word)', which cannot be passed by value,"
        case .variadic: "'...', and functions with variable arguments cannot be called,"
        case .voidParameter: "a parameter of type void"
        case .resultOnly(let type): "a parameter of type '\(type.rawValue)', which only a result can have,"
        case .parameterOnly(let type): "a result of type '\(type.rawValue)', which only a parameter can have,"
        case .tooManyParameters: "more than \(FunctionSignature.parametersMax) parameters"
        case .expected(let what, let found?): "\(quoted(found)) where \(what) should be"
        case .expected(let what, nil): "the end where \(what) should be"
        }
    }

    /// What to do about it; nil when the message says all.
    public var hint: String? {
        switch reason {
        case .unknownType(let word):
            if let type = Self.typesOfC[word] { return "write '\(type)' for it" }
            if let near = NearestName.of(word, among: FunctionType.allCases.map(\.rawValue)) { return "did you mean '\(near)'?" }
            return "types: \(FunctionType.allCases.map(\.rawValue).joined(separator: ", "))"
        case .structure("enum"): return "an enum is i32 or u32"
        case .structure, .variadic: return "write a small function or plugin in C that calls it"
        case .voidParameter: return "write () for no parameters, bytes or buffer for void *"
        case .resultOnly: return "bytes for memory that is read, buffer for memory that is written"
        case .parameterOnly: return "write pointer when only NULL matters, string for text"
        case .expected(_, found: let found):
            if found == "*" { return "pointers: string, bytes, buffer; i32*, i64*, u32*, u64* and size* for a written length" }
            return "write it as in \"u64 (u64, bytes, u32)\""
        case .tooLong, .tooManyParameters: return nil
        }
    }

    /// Names of C and what they are here, on 64-bit Linux.
    private static let typesOfC: [String: String] = [
        "char": "i8", "short": "i16", "int": "i32", "long": "i64", "unsigned": "u32", "signed": "i32", "float": "f32", "double": "f64",
        "int8_t": "i8", "int16_t": "i16", "int32_t": "i32", "int64_t": "i64", "uint8_t": "u8", "uint16_t": "u16", "uint32_t": "u32",
        "uint64_t": "u64", "size_t": "size", "ssize_t": "i64", "off_t": "i64", "time_t": "i64", "uint": "u32", "ulong": "u64",
        "uLong": "u64", "uInt": "u32", "usize": "size", "isize": "i64", "_Bool": "bool", "char*": "string", "void*": "bytes",
        "size_t*": "size*", "int*": "i32*", "uLongf*": "u64*", "long*": "i64*", "bytes*": "bytes", "u8*": "bytes", "i8*": "string",
        "text": "string", "str": "string", "ptr": "pointer", "pointer*": "pointer", "byte": "u8", "string*": "string", "buffer*": "buffer",
    ]
}
