/// Durations and sizes as routing files write them.
enum Quantity {
    static let durationExamples = "write for example 200ms, 30s, 5m, 1h or 2d"
    static let sizeExamples = "write bytes or, for example, 64KiB, 256MiB, 1GiB"

    private static let millisPerUnit: [(unit: String, millis: Int64)] = [
        ("d", 24 * 3600 * 1000), ("h", 3600 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1),
    ]
    private static let bytesPerUnit: [(unit: String, bytes: UInt64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("kB", 1000), ("B", 1), ("", 1),
    ]

    /// `200ms`, `30s`, `5m`, `1h`, `2d` or a plain `0`; nil: something else, or too large for milliseconds in 64 bits.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text), let count = Int64(exactly: number) else { return nil }
        if unit.isEmpty { return count == 0 ? .zero : nil }
        guard let scale = millisPerUnit.first(where: { $0.unit == unit }) else { return nil }
        let (millis, overflow) = count.multipliedReportingOverflow(by: scale.millis)
        return overflow ? nil : .milliseconds(millis)
    }

    /// Bytes, plain or with a unit; nil: something else, or more than 64 bits.
    static func bytes(_ text: String) -> UInt64? {
        guard let (number, unit) = split(text), let scale = bytesPerUnit.first(where: { $0.unit == unit }) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: scale.bytes)
        return overflow ? nil : bytes
    }

    /// The shortest text that `duration` reads as the same. Parts of a millisecond are cut.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let millis = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        if millis == 0 { return "0" }
        guard let scale = millisPerUnit.first(where: { millis % $0.millis == 0 }) else { return "\(millis)ms" }
        return "\(millis / scale.millis)\(scale.unit)"
    }

    /// The shortest text in binary units that `bytes` reads as the same.
    static func text(bytes: UInt64) -> String {
        let scale = bytesPerUnit.first { $0.unit.hasSuffix("iB") && bytes % $0.bytes == 0 }
        guard bytes > 0, let scale else { return "\(bytes)" }
        return "\(bytes / scale.bytes)\(scale.unit)"
    }

    /// Digits and what follows them (after at most one space).
    private static func split(_ text: String) -> (UInt64, String)? {
        let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
        guard let number = UInt64(digits) else { return nil }
        var unit = text.dropFirst(digits.count)
        if unit.count > 1, unit.first == " " { unit = unit.dropFirst() }
        return (number, String(unit))
    }
}
