/// What a plain C function gets for one parameter.
public enum FunctionArgument: Sendable, Hashable {
    /// A whole number.
    case integer(Int128)
    /// A number with a fraction.
    case float(Double)
    /// `true` or `false`.
    case bool(Bool)
    /// Text from the file.
    case text(String)
    /// NULL.
    case null
    /// Bytes of the event.
    case bytes(Source)
    /// How many those are.
    case size(Source)
    /// The whole number that those bytes spell.
    case parsedInteger(Source)
    /// The number with a fraction that those bytes spell.
    case parsedFloat(Source)
    /// A number of the event.
    case number(Number)
    /// The value of a header.
    case header(String)
    /// A buffer of so many bytes that the function writes to.
    case output(Int)
    /// The size of that buffer.
    case outputSize
    /// A pointer to the size of that buffer, by which the function says how much it wrote.
    case outputLength

    /// Bytes of an event.
    public enum Source: String, Sendable, Hashable, CaseIterable {
        case payload, subject, type, id
        /// The output of the one lambda that this one comes `after:`.
        case input
    }

    /// Numbers of an event.
    public enum Number: String, Sendable, Hashable, CaseIterable {
        case sequence, offset
        /// Microseconds since 1970.
        case time
        case attempt
    }

    /// Why a text that begins with `$` is no expression.
    struct Fault: Error {
        var message: String
        var hint: String?
    }

    /// Reads an expression; `text` begins with `$`, and not with `$$`.
    init(expression text: String) throws(Fault) {
        let name = text.dropFirst()
        if name.hasPrefix("header.") {
            let header = name.dropFirst("header.".count).lowercased()
            guard !header.isEmpty, header.utf8.count <= 256, !header.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else {
                throw Fault(message: "\(quoted(text)) names no header", hint: "write it as in $header.tenant")
            }
            self = .header(header)
            return
        }
        if name.hasPrefix("output(") {
            let inner = name.dropFirst("output(".count)
            guard inner.hasSuffix(")"), let bytes = Quantity.bytes(String(inner.dropLast())) else {
                throw Fault(message: "\(quoted(text)) gives no size", hint: "write it as in $output(4096) or $output(64KiB)")
            }
            guard (1...UInt64(FunctionRoute.outputBytesMax)).contains(bytes) else {
                throw Fault(message: "\(quoted(text)) has \(bytes) bytes, but must have between 1 and \(FunctionRoute.outputBytesMax)")
            }
            self = .output(Int(bytes))
            return
        }
        guard let found = Self.named[String(name)] else {
            if name == "output" { throw Fault(message: "'$output' gives no size", hint: "write it as in $output(4096)") }
            let near = NearestName.of(String(name), among: Self.names)
            throw Fault(
                message: "unknown expression \(quoted(text))",
                hint: near.map { "did you mean '$\($0)'?" }
                    ?? "there are \(Self.names.map { "$\($0)" }.joined(separator: ", ")), $header.NAME and $output(SIZE); $$ is a dollar sign"
            )
        }
        self = found
    }

    /// In the order in which they are shown.
    private static let expressions: [FunctionArgument] =
        Source.allCases.flatMap { [.bytes($0), .size($0), .parsedInteger($0), .parsedFloat($0)] }
        + Number.allCases.map { .number($0) } + [.outputSize, .outputLength]
    private static let names = expressions.map { String($0.text.dropFirst()) }
    private static let named = Dictionary(uniqueKeysWithValues: zip(names, expressions))

    /// As it would be written in a routing file. Text is not shown, since it may be confidential.
    var text: String {
        switch self {
        case .integer(let number): "\(number)"
        case .float(let number): "\(number)"
        case .bool(let value): "\(value)"
        case .text: "\"...\""
        case .null: "null"
        case .bytes(let source): "$\(source.rawValue)"
        case .size(let source): "$\(source.rawValue).size"
        case .parsedInteger(let source): "$\(source.rawValue).integer"
        case .parsedFloat(let source): "$\(source.rawValue).float"
        case .number(let number): "$\(number.rawValue)"
        case .header(let name): "$header.\(name)"
        case .output(let capacity): "$output(\(capacity))"
        case .outputSize: "$output.size"
        case .outputLength: "$output.length"
        }
    }

    /// What it is, for messages: `the text`, `the number 7`, `$payload`.
    var summary: String {
        switch self {
        case .integer, .float: "the number \(text)"
        case .text(let text): "the text \(quoted(text))"
        case .bool, .null: text
        default: "'\(text)'"
        }
    }

    /// Whether a parameter of that type can get it, whatever its value.
    func fits(_ type: FunctionType) -> Bool {
        switch self {
        case .integer: type.isInteger || type.isFloat
        case .float, .parsedFloat: type.isFloat
        case .bool: type == .bool
        case .text, .bytes: type == .string || type == .bytes
        case .null: type.isPointer
        case .size, .parsedInteger, .number, .outputSize: type.isInteger
        case .header: type == .string
        case .output: type == .buffer
        case .outputLength: type.isLengthPointer
        }
    }

    /// Whether it is taken from the one upstream.
    var isInput: Bool {
        switch self {
        case .bytes(.input), .size(.input), .parsedInteger(.input), .parsedFloat(.input): true
        default: false
        }
    }
}
