/// RFC 3339 times, without Foundation: this runs once for each event.
public enum Timestamp {
    /// Microseconds since 1970 of an RFC 3339 time (`2026-03-01T12:00:00.25+01:00`); nil when it is not one. Digits past the sixth of a
    /// second are cut; a leap second counts as the second after it.
    public static func micros(rfc3339 text: UnsafeRawBufferPointer) -> Int64? {
        guard text.count >= 20, text.count <= 64 else { return nil }
        func number(_ from: Int, _ count: Int) -> Int? {
            var value = 0
            for index in from..<from + count {
                let digit = text[index] &- 0x30
                guard digit < 10 else { return nil }
                value = value * 10 + Int(digit)
            }
            return value
        }
        guard let year = number(0, 4), text[4] == UInt8(ascii: "-"), let month = number(5, 2), text[7] == UInt8(ascii: "-"),
            let day = number(8, 2),
            text[10] | 0x20 == UInt8(ascii: "t"), let hour = number(11, 2), text[13] == UInt8(ascii: ":"), let minute = number(14, 2),
            text[16] == UInt8(ascii: ":"), let second = number(17, 2)
        else { return nil }
        guard (1...12).contains(month), day >= 1, day <= daysIn(month, year), hour < 24, minute < 60, second <= 60 else { return nil }
        var at = 19
        var fraction = 0
        if text[at] == UInt8(ascii: ".") {
            at += 1
            let start = at
            while at < text.count, text[at] &- 0x30 < 10 {
                if at - start < 6 { fraction = fraction * 10 + Int(text[at] - 0x30) }
                at += 1
            }
            guard at > start else { return nil }
            for _ in 0..<max(0, 6 - (at - start)) { fraction *= 10 }
        }
        guard at < text.count else { return nil }
        var shift = 0
        if text[at] | 0x20 == UInt8(ascii: "z") {
            at += 1
        } else {
            guard at + 6 <= text.count, text[at] == UInt8(ascii: "+") || text[at] == UInt8(ascii: "-"), let hours = number(at + 1, 2),
                text[at + 3] == UInt8(ascii: ":"), let minutes = number(at + 4, 2), hours < 24, minutes < 60
            else { return nil }
            shift = (hours * 60 + minutes) * (text[at] == UInt8(ascii: "-") ? -60 : 60)
            at += 6
        }
        guard at == text.count else { return nil }
        let seconds = daysSince1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - shift
        // A zone can move it out of the years that have four digits: such a time could not be written again.
        guard (firstSecond...lastSecond).contains(seconds) else { return nil }
        return Int64(seconds) * 1_000_000 + Int64(fraction)
    }

    /// Microseconds since 1970 of an RFC 3339 time; nil when it is not one.
    public static func micros(rfc3339 text: String) -> Int64? {
        var text = text
        return text.withUTF8 { micros(rfc3339: UnsafeRawBufferPointer($0)) }
    }

    /// The RFC 3339 text in UTC, with as many digits of the second as are needed (0, 3 or 6).
    public static func rfc3339(micros: Int64) -> String {
        let seconds = Int(micros.quotientFlooring(1_000_000))
        let fraction = Int(micros - Int64(seconds) * 1_000_000)
        let days = Int(Int64(seconds).quotientFlooring(86_400))
        let rest = seconds - days * 86_400
        let (year, month, day) = civil(days)
        func pad(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        var text = "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(rest / 3_600, 2)):\(pad(rest / 60 % 60, 2)):\(pad(rest % 60, 2))"
        if fraction != 0 { text += fraction % 1_000 == 0 ? ".\(pad(fraction / 1_000, 3))" : ".\(pad(fraction, 6))" }
        return text + "Z"
    }

    /// 0000-01-01T00:00:00Z.
    private static let firstSecond = -62_167_219_200
    /// 9999-12-31T23:59:59Z.
    private static let lastSecond = 253_402_300_799

    private static func daysIn(_ month: Int, _ year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // Both from Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil and civil_from_days.
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(_ days: Int) -> (Int, Int, Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part + (part < 10 ? 3 : -9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1)
    }
}

extension Int64 {
    fileprivate func quotientFlooring(_ divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
