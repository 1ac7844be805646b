import Foundation
import Frontend

/// Numbers, sizes and times for people.
enum Figures {
    /// `1234567` is `1,234,567`.
    static func grouped(_ value: some BinaryInteger) -> String {
        let text = String(value)
        let digits = text.drop { $0 == "-" }
        var result = text.hasPrefix("-") ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result += "," }
            result.append(digit)
        }
        return result
    }

    /// `1 event`, `2,000 events`.
    static func counted(_ value: some BinaryInteger, _ thing: String) -> String { "\(grouped(value)) \(thing)\(value == 1 ? "" : "s")" }

    /// `1536` is `1.5 KiB`.
    static func size(_ bytes: UInt64) -> String {
        var value = Double(bytes)
        if value < 1024 { return "\(bytes) B" }
        for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            value /= 1024
            if value < 999.5 || unit == "PiB" {
                return (value < 9.95 ? String(format: "%.1f ", value) : String(format: "%.0f ", value)) + unit
            }
        }
        return "\(bytes) B"
    }

    /// Microseconds: `85 µs`, `1.2 ms`, `3.4 s`.
    static func duration(micros: UInt64) -> String {
        switch micros {
        case 0..<1_000: "\(micros) µs"
        case 0..<10_000: String(format: "%.1f ms", Double(micros) / 1_000)
        case 0..<1_000_000: "\(micros / 1_000) ms"
        case 0..<100_000_000: String(format: "%.1f s", Double(micros) / 1_000_000)
        default: span(seconds: Int64(micros / 1_000_000))
        }
    }

    /// Seconds: `42s`, `3m 5s`, `2h 10m`, `5d 3h`.
    static func span(seconds: Int64) -> String {
        switch seconds {
        case ..<60: "\(max(0, seconds))s"
        case ..<3_600: "\(seconds / 60)m \(seconds % 60)s"
        case ..<86_400: "\(seconds / 3_600)h \(seconds / 60 % 60)m"
        default: "\(seconds / 86_400)d \(seconds / 3_600 % 24)h"
        }
    }

    /// A moment, in UTC: `2026-03-01 12:00:00`.
    static func moment(millis: Int64) -> String {
        String(Timestamp.rfc3339(micros: millis * 1_000).prefix(19)).replacing("T", with: " ")
    }

    /// How long ago a moment was.
    static func ago(millis: Int64, now: Int64 = Figures.nowMillis()) -> String { span(seconds: (now - millis) / 1_000) + " ago" }

    /// How long until a moment.
    static func ahead(millis: Int64, now: Int64 = Figures.nowMillis()) -> String {
        millis <= now ? "now" : "in " + span(seconds: (millis - now + 999) / 1_000)
    }

    static func nowMillis() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000) }
}
