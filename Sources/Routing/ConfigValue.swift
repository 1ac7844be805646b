/// A value under `config:`.
public indirect enum ConfigValue: Sendable, Equatable {
    /// `null`
    case null
    /// `true`, `false`
    case bool(Bool)
    /// An integer.
    case int(Int64)
    /// A number with a fraction.
    case double(Double)
    /// Text.
    case string(String)
    /// A list.
    case array([ConfigValue])
    /// Keys and values in the file's order.
    case object([(key: String, value: ConfigValue)])
    /// `{file: PATH}`: the file's contents without the last newline, read when a worker is made. Never shown.
    case secretFile(String)

    /// Structural equality.
    public static func == (left: ConfigValue, right: ConfigValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b
        case (.double(let a), .double(let b)): a == b
        case (.string(let a), .string(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
        case (.secretFile(let a), .secretFile(let b)): a == b
        default: false
        }
    }
}
