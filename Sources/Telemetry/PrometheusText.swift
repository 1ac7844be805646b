/// Writes Prometheus' text exposition format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
public struct PrometheusText: Sendable {
    /// What was written.
    public private(set) var text = ""

    /// Nothing written.
    public init() {}

    /// Begins a family: its HELP and TYPE lines. All samples of a family follow it, before the next one begins.
    public mutating func family(_ name: String, kind: String, help: String) {
        text += "# HELP \(name) \(Self.escapeHelp(help))\n# TYPE \(name) \(kind)\n"
    }

    /// One sample. `labels` as `labels(_:)` writes them.
    public mutating func sample(_ name: String, labels: String = "", value: some BinaryInteger) {
        text += name
        if !labels.isEmpty { text += "{\(labels)}" }
        text += " \(value)\n"
    }

    /// A latency histogram's buckets, sum and count, in seconds.
    public mutating func histogram(_ name: String, labels: String = "", snapshot: LatencySnapshot, boundsMicros: [UInt64]) {
        let separator = labels.isEmpty ? "" : ","
        for (bound, count) in zip(boundsMicros, snapshot.cumulative(bounds: boundsMicros)) {
            text += "\(name)_bucket{\(labels)\(separator)le=\"\(Self.seconds(micros: bound))\"} \(count)\n"
        }
        text += "\(name)_bucket{\(labels)\(separator)le=\"+Inf\"} \(snapshot.count)\n"
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        text += "\(name)_sum\(braces) \(Self.seconds(micros: snapshot.sumMicros))\n"
        text += "\(name)_count\(braces) \(snapshot.count)\n"
    }

    /// Labels, written out: `a="1",b="2"`.
    public static func labels(_ labels: [MetricLabel]) -> String {
        labels.map { "\($0.name)=\"\(escapeValue($0.value))\"" }.joined(separator: ",")
    }

    /// Microseconds as exact decimal seconds: 2500 is `0.0025`.
    static func seconds(micros: UInt64) -> String {
        let whole = micros / 1_000_000
        var fraction = micros % 1_000_000
        if fraction == 0 { return "\(whole)" }
        var digits = 6
        while fraction % 10 == 0 {
            fraction /= 10
            digits -= 1
        }
        let text = "\(fraction)"
        return "\(whole)." + String(repeating: "0", count: digits - text.count) + text
    }

    static func escapeHelp(_ help: String) -> String {
        var result = ""
        for character in help.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    static func escapeValue(_ value: String) -> String {
        var result = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"": result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    static func isMetricName(_ name: String) -> Bool {
        isName(name, colon: true)
    }

    static func isLabelName(_ name: String) -> Bool {
        isName(name, colon: false) && !name.hasPrefix("__")
    }

    private static func isName(_ name: String, colon: Bool) -> Bool {
        guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
        return name.utf8.allSatisfy {
            (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 95 || (colon && $0 == 58)
        }
    }
}
