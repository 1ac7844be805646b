internal import Glibc
internal import Routing
internal import WorkerProtocol

/// A `{file: …}` of a configuration that could not be read.
public struct ConfigSecretError: Error, Sendable, CustomStringConvertible {
    /// The lambda whose configuration it is.
    public let lambda: String
    /// The file.
    public let path: String
    /// Why.
    public let reason: String

    /// For the operator.
    public var description: String { "lambda \(lambda): the secret file \(path) in its config cannot be read: \(reason)" }
}

/// A lambda's `config:` as its workers get it: one JSON object, and each value by its dotted key. Secrets are in it.
struct ConfigText: Sendable, Equatable {
    private(set) var json = ""
    private(set) var values: [Entry] = []

    struct Entry: Sendable, Equatable {
        var key: String
        var value: String
    }

    /// The most bytes of a secret's file.
    static let secretBytesMax = 1 << 20

    init(_ config: ConfigValue, lambda: String) throws(ConfigSecretError) {
        try add(config, key: "", lambda: lambda)
        if case .null = config { json = "{}" }
    }

    private mutating func add(_ value: ConfigValue, key: String, lambda: String) throws(ConfigSecretError) {
        func joined(_ part: String) -> String { key.isEmpty ? part : key + "." + part }
        switch value {
        case .null:
            json += "null"
            leaf(key, "")
        case .bool(let flag):
            json += flag ? "true" : "false"
            leaf(key, flag ? "true" : "false")
        case .int(let number):
            json += String(number)
            leaf(key, String(number))
        case .double(let number):
            // JSON has no infinities.
            json += number.isFinite ? String(number) : "null"
            leaf(key, String(number))
        case .string(let text):
            addString(text)
            leaf(key, text)
        case .secretFile(let path):
            let text = try Self.secret(path, lambda: lambda)
            addString(text)
            leaf(key, text)
        case .array(let elements):
            json += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { json += "," }
                try add(element, key: joined(String(index)), lambda: lambda)
            }
            json += "]"
        case .object(let members):
            json += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { json += "," }
                addString(member.key)
                json += ":"
                try add(member.value, key: joined(member.key), lambda: lambda)
            }
            json += "}"
        }
    }

    private mutating func leaf(_ key: String, _ value: String) {
        if !key.isEmpty { values.append(Entry(key: key, value: value)) }
    }

    private mutating func addString(_ text: String) {
        json += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": json += "\\\""
            case "\\": json += "\\\\"
            case "\n": json += "\\n"
            case "\r": json += "\\r"
            case "\t": json += "\\t"
            case "\u{0}"..<"\u{20}":
                let hex = String(scalar.value, radix: 16)
                json += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: json.unicodeScalars.append(scalar)
            }
        }
        json += "\""
    }

    /// The contents of a secret's file without the last newline.
    private static func secret(_ path: String, lambda: String) throws(ConfigSecretError) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw ConfigSecretError(lambda: lambda, path: path, reason: SystemCallError.text(errno)) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: secretBytesMax + 1)
        var size = 0
        while size < bytes.count {
            let got = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress! + size, $0.count - size) }
            if got < 0 {
                if errno == EINTR { continue }
                throw ConfigSecretError(lambda: lambda, path: path, reason: SystemCallError.text(errno))
            }
            if got == 0 { break }
            size += got
        }
        guard size <= secretBytesMax else {
            throw ConfigSecretError(lambda: lambda, path: path, reason: "it is larger than \(secretBytesMax) bytes")
        }
        if size > 0, bytes[size - 1] == UInt8(ascii: "\n") { size -= 1 }
        guard let text = String(validating: bytes[..<size], as: UTF8.self) else {
            throw ConfigSecretError(lambda: lambda, path: path, reason: "it is not UTF-8")
        }
        return text
    }
}
