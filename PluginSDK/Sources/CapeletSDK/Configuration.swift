internal import CCapelet

/// The lambda's `config:`, read value by value.
///
/// Nested keys are joined with dots (`retry.count`); elements of a list are numbered from 0 (`paths.0`). A value that is there but
/// cannot be read as what was asked for is a `ConfigurationError` that names the key, the value and what would be right: let it out of
/// `init(context:)`.
public struct Configuration: Sendable {
    let host: Host

    /// The text of a value, or nil if there is no such key.
    public func string(_ key: String) -> String? { host.config(key).map { String($0) } }

    /// The text of a value, or `fallback` if there is no such key.
    public func string(_ key: String, default fallback: String) -> String { string(key) ?? fallback }

    /// The text of a value that has to be there and not be empty.
    public func requiredString(_ key: String) throws(ConfigurationError) -> String {
        guard let text = string(key), !text.isEmpty else { throw ConfigurationError(key: key, value: nil, problem: "is required") }
        return text
    }

    /// The elements of a list of texts; empty if there is no such key.
    public func strings(_ key: String) -> [String] {
        var all: [String] = []
        while let next = string("\(key).\(all.count)") { all.append(next) }
        return all
    }

    /// A whole number, or nil if there is no such key. One outside of `range` is an error.
    public func int(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws(ConfigurationError) -> Int? {
        guard let text = string(key) else { return nil }
        guard let number = Int(text) else { throw ConfigurationError(key: key, value: text, problem: "is not a whole number") }
        guard range.contains(number) else {
            throw ConfigurationError(key: key, value: text, problem: "is not between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }

    /// A whole number, or `fallback` if there is no such key.
    public func int(_ key: String, default fallback: Int, in range: ClosedRange<Int> = Int.min...Int.max) throws(ConfigurationError) -> Int
    {
        try int(key, in: range) ?? fallback
    }

    /// A number, or nil if there is no such key.
    public func double(_ key: String) throws(ConfigurationError) -> Double? {
        guard let text = string(key) else { return nil }
        guard let number = Double(text), number.isFinite else {
            throw ConfigurationError(key: key, value: text, problem: "is not a number")
        }
        return number
    }

    /// A number, or `fallback` if there is no such key.
    public func double(_ key: String, default fallback: Double) throws(ConfigurationError) -> Double { try double(key) ?? fallback }

    /// `true` or `false`, or nil if there is no such key.
    public func bool(_ key: String) throws(ConfigurationError) -> Bool? {
        switch string(key) {
        case nil: nil
        case "true": true
        case "false": false
        case let text?: throw ConfigurationError(key: key, value: text, problem: "is neither true nor false")
        }
    }

    /// `true` or `false`, or `fallback` if there is no such key.
    public func bool(_ key: String, default fallback: Bool) throws(ConfigurationError) -> Bool { try bool(key) ?? fallback }

    /// A length of time such as `250ms`, `30s`, `5m`, `1h`, `7d`, or nil if there is no such key.
    public func duration(_ key: String) throws(ConfigurationError) -> Duration? {
        guard let text = string(key) else { return nil }
        guard let duration = ConfigurationText.duration(text) else {
            throw ConfigurationError(key: key, value: text, problem: "is not a duration; write a number with a unit: us, ms, s, m, h or d")
        }
        return duration
    }

    /// A length of time, or `fallback` if there is no such key.
    public func duration(_ key: String, default fallback: Duration) throws(ConfigurationError) -> Duration {
        try duration(key) ?? fallback
    }

    /// A number of bytes such as `4096`, `64KiB`, `4MiB`, `1GiB`, or nil if there is no such key. One outside of `range` is an error.
    public func byteCount(_ key: String, in range: ClosedRange<Int> = 0...Int.max) throws(ConfigurationError) -> Int? {
        guard let text = string(key) else { return nil }
        guard let count = ConfigurationText.byteCount(text) else {
            throw ConfigurationError(
                key: key, value: text, problem: "is not a size; write a number of bytes or one with a unit: KiB, MiB or GiB")
        }
        guard range.contains(count) else {
            throw ConfigurationError(key: key, value: text, problem: "is not between \(range.lowerBound) and \(range.upperBound) bytes")
        }
        return count
    }

    /// A number of bytes, or `fallback` if there is no such key.
    public func byteCount(_ key: String, default fallback: Int, in range: ClosedRange<Int> = 0...Int.max) throws(ConfigurationError) -> Int
    {
        try byteCount(key, in: range) ?? fallback
    }
}

/// A value of `config:` that a lambda cannot work with. As the outcome of an event it is fatal.
public struct ConfigurationError: OutcomeError, Equatable, CustomStringConvertible {
    /// The key, nested ones joined with dots.
    public var key: String
    /// The value's text; nil if the key is missing. Leave it out for secrets.
    public var value: String?
    /// What is wrong with it, and what would be right: "is not a whole number".
    public var problem: String

    /// An error about `key`.
    public init(key: String, value: String?, problem: String) {
        self.key = key
        self.value = value
        self.problem = problem
    }

    /// `config: port: "x" is not a whole number`
    public var description: String {
        if let value { "config: \(key): \"\(value)\" \(problem)" } else { "config: \(key) \(problem)" }
    }

    /// `.fatal`, with the description.
    public var outcome: Outcome { .fatal(description) }
}

/// Durations and sizes as the routing file writes them.
enum ConfigurationText {
    /// A decimal number and a unit, without a space; `0` needs no unit. Nil if it is not one.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text) else { return nil }
        let microseconds: Double
        switch unit {
        case "us": microseconds = number
        case "ms": microseconds = number * 1e3
        case "s": microseconds = number * 1e6
        case "m", "min": microseconds = number * 60e6
        case "h": microseconds = number * 3600e6
        case "d": microseconds = number * 86_400e6
        case "" where number == 0: microseconds = 0
        default: return nil
        }
        guard microseconds < 9e18 else { return nil }
        return .microseconds(Int64(microseconds.rounded()))
    }

    /// A decimal number with or without a unit. Nil if it is not one.
    static func byteCount(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let bytes: Double
        switch unit {
        case "", "B": bytes = number
        case "KiB": bytes = number * 1024
        case "MiB": bytes = number * 1_048_576
        case "GiB": bytes = number * 1_073_741_824
        case "KB", "kB": bytes = number * 1e3
        case "MB": bytes = number * 1e6
        case "GB": bytes = number * 1e9
        default: return nil
        }
        guard bytes < 9e18, bytes == bytes.rounded() else { return nil }
        return Int(bytes)
    }

    private static func split(_ text: String) -> (number: Double, unit: Substring)? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let first = digits.first, first != ".", digits.last != ".", let number = Double(digits), number.isFinite else { return nil }
        return (number, text[digits.endIndex...])
    }
}
