/// What unquoted text means: the core schema of YAML 1.2 (§10.3.2), so `no` and `on` are text.
enum YAMLScalar {
    static let nulls: Set<String> = ["", "~", "null", "Null", "NULL"]
    private static let truths: Set<String> = ["true", "True", "TRUE"]
    private static let falsehoods: Set<String> = ["false", "False", "FALSE"]

    /// The truth value that `text` is; nil: none.
    static func bool(_ text: String) -> Bool? {
        if truths.contains(text) { return true }
        return falsehoods.contains(text) ? false : nil
    }

    /// What a number in the file is.
    enum Number: Equatable {
        case int(Int64)
        case double(Double)
        /// A number by its form that no JSON number can carry: too large, infinite, or not a number.
        case unsupported
    }

    /// The number that `text` is; nil: none.
    static func number(_ text: String) -> Number? {
        guard let first = text.utf8.first, text.utf8.count <= 400 else { return nil }
        guard first == UInt8(ascii: "+") || first == UInt8(ascii: "-") || first == UInt8(ascii: ".") || isDigit(first) else { return nil }
        if text.hasPrefix("0x") { return based(text, radix: 16) }
        if text.hasPrefix("0o") { return based(text, radix: 8) }
        let unsigned = first == UInt8(ascii: "+") || first == UInt8(ascii: "-") ? text.dropFirst() : text[...]
        if [".inf", ".Inf", ".INF"].contains(String(unsigned)) || [".nan", ".NaN", ".NAN"].contains(text) { return .unsupported }
        if !unsigned.isEmpty, unsigned.utf8.allSatisfy(isDigit) {
            return Int64(text).map(Number.int) ?? .unsupported
        }
        guard isFloat(unsigned.utf8) else { return nil }
        // Double's own reader wants digits on both sides of the point.
        guard let value = Double(text.replacingPoint()) else { return nil }
        return value.isFinite ? .double(value) : .unsupported
    }

    private static func based(_ text: String, radix: Int) -> Number? {
        let digits = text.dropFirst(2)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        if let value = Int64(digits, radix: radix) { return .int(value) }
        return digits.allSatisfy { $0.hexDigitValue.map { $0 < radix } ?? false } ? .unsupported : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    /// `( "." [0-9]+ | [0-9]+ ( "." [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
    private static func isFloat(_ bytes: Substring.UTF8View) -> Bool {
        var rest = bytes[...]
        func digits() -> Int {
            let run = rest.prefix(while: isDigit).count
            rest = rest.dropFirst(run)
            return run
        }
        let whole = digits()
        var fraction = 0
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = digits()
        }
        guard whole + fraction > 0 else { return false }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}

extension String {
    /// `.5` as `0.5`, `1.e3` as `1.0e3`.
    fileprivate func replacingPoint() -> String {
        var bytes: [UInt8] = []
        let source = Array(utf8)
        func digit(_ at: Int) -> Bool { source.indices.contains(at) && source[at] >= 0x30 && source[at] <= 0x39 }
        for (at, byte) in source.enumerated() {
            if byte == 0x2e, !digit(at - 1) { bytes.append(0x30) }
            bytes.append(byte)
            if byte == 0x2e, !digit(at + 1) { bytes.append(0x30) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
