/// The result and the parameters of a plain C function, as `u64 (u64, bytes, u32)`.
public struct FunctionSignature: Sendable, Hashable, CustomStringConvertible {
    /// What it returns.
    public var result: FunctionType
    /// What it takes.
    public var parameters: [FunctionType]

    /// Most parameters.
    public static let parametersMax = 16
    /// Longest text, in Unicode scalars.
    public static let charactersMax = 1024

    /// Makes one from parts.
    public init(result: FunctionType, parameters: [FunctionType]) {
        self.result = result
        self.parameters = parameters
    }

    /// Reads `RESULT (TYPE, TYPE, ...)`. Blanks can stand anywhere but inside a name. Total: any text gives a signature or an error, in time
    /// and memory that do not exceed what is proportional to `charactersMax`.
    public init(parsing text: String) throws(FunctionSignatureError) {
        var reader = Reader(text: text)
        self = try reader.signature()
    }

    /// As it would be written in a routing file; reading it gives the same signature.
    public var description: String { "\(result.rawValue) (\(parameters.map(\.rawValue).joined(separator: ", ")))" }

    private struct Reader {
        /// At most one more than `charactersMax`.
        private let text: [Unicode.Scalar]
        private var at = 0

        init(text: String) {
            self.text = Array(text.unicodeScalars.prefix(charactersMax + 1))
        }

        mutating func signature() throws(FunctionSignatureError) -> FunctionSignature {
            guard text.count <= charactersMax else { throw FunctionSignatureError(.tooLong, position: charactersMax + 1) }
            let result = try type(isResult: true)
            try take("(", or: "'(' and the types of the parameters")
            var parameters: [FunctionType] = []
            skipBlanks()
            if peek == ")" {
                at += 1
            } else {
                while true {
                    skipBlanks()
                    let start = at
                    let parameter = try type(isResult: false)
                    guard parameters.count < parametersMax else { throw FunctionSignatureError(.tooManyParameters, position: start + 1) }
                    parameters.append(parameter)
                    skipBlanks()
                    if peek == "," {
                        at += 1
                        continue
                    }
                    try take(")", or: "',' or ')'")
                    break
                }
            }
            skipBlanks()
            guard peek == nil else { throw expected("nothing more") }
            return FunctionSignature(result: result, parameters: parameters)
        }

        private var peek: Unicode.Scalar? { at < text.count ? text[at] : nil }

        private mutating func skipBlanks() {
            while let scalar = peek, scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r" { at += 1 }
        }

        private mutating func take(_ scalar: Unicode.Scalar, or what: String) throws(FunctionSignatureError) {
            skipBlanks()
            guard peek == scalar else { throw expected(what) }
            at += 1
        }

        private func expected(_ what: String) -> FunctionSignatureError {
            FunctionSignatureError(.expected(what, found: found()), position: at + 1)
        }

        /// What stands here, for a message: a word, or one character.
        private func found() -> String? {
            guard at < text.count else { return nil }
            var end = at
            while end < text.count, Self.isPartOfWord(text[end]) { end += 1 }
            return Self.string(text[at..<max(end, at + 1)])
        }

        private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
            var string = ""
            string.unicodeScalars.append(contentsOf: scalars)
            return string
        }

        private static func isPartOfWord(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": true
            default: false
            }
        }

        private mutating func type(isResult: Bool) throws(FunctionSignatureError) -> FunctionType {
            skipBlanks()
            let start = at
            func error(_ reason: FunctionSignatureError.Reason) -> FunctionSignatureError {
                FunctionSignatureError(reason, position: start + 1)
            }
            if peek == "." || peek == "…" { throw error(.variadic) }
            while let scalar = peek, Self.isPartOfWord(scalar) { at += 1 }
            var word = Self.string(text[start..<at])
            if word.isEmpty { throw expected(isResult ? "the type of the result" : "a type") }
            if ["struct", "union", "enum"].contains(word) { throw error(.structure(word)) }
            // `u64 *` is `u64*`.
            let end = at
            skipBlanks()
            if peek == "*" {
                at += 1
                word += "*"
            } else {
                at = end
            }
            guard let type = FunctionType(rawValue: word) else { throw error(.unknownType(word)) }
            if isResult {
                guard type.canBeResult else { throw error(.parameterOnly(type)) }
            } else if type == .void {
                throw error(.voidParameter)
            } else if !type.canBeParameter {
                throw error(.resultOnly(type))
            }
            return type
        }
    }
}
