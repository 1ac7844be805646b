extension ConfigValue {
    /// This value as JSON text on one line, keys in the file's order.
    ///
    /// - Parameter resolvingSecrets: `true` puts the contents of secret files in: only for a worker's settings. `false` writes `"***"` for
    ///   each: for everything that people see; it then throws nothing.
    /// - Throws: `SecretFileError` when a secret file cannot be read now.
    public func jsonText(resolvingSecrets: Bool) throws(SecretFileError) -> String {
        var text = ""
        try append(to: &text, resolvingSecrets: resolvingSecrets)
        return text
    }

    /// What is shown in place of a secret.
    static let redacted = "***"

    private func append(to text: inout String, resolvingSecrets: Bool) throws(SecretFileError) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += String(value)
        case .double(let value): text += value.isFinite ? String(value) : "null"
        case .string(let value): Self.append(quoting: value, to: &text)
        case .secretFile(let path):
            Self.append(quoting: resolvingSecrets ? try SecretFile.read(path) : Self.redacted, to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                try value.append(to: &text, resolvingSecrets: resolvingSecrets)
            }
            text += "]"
        case .object(let entries):
            text += "{"
            for (index, entry) in entries.enumerated() {
                if index > 0 { text += "," }
                Self.append(quoting: entry.key, to: &text)
                text += ":"
                try entry.value.append(to: &text, resolvingSecrets: resolvingSecrets)
            }
            text += "}"
        }
    }

    /// RFC 8259 §7.
    private static func append(quoting value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            default:
                if scalar.value < 0x20 {
                    let code = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - code.count) + code
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
    }
}
