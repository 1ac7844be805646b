import CLibC

/// A whole number of 64 bits with or without a sign.
struct WideInteger {
    let isNegative: Bool
    let magnitude: UInt64

    init(_ value: UInt64) {
        isNegative = false
        magnitude = value
    }

    init(_ value: Int64) {
        isNegative = value < 0
        magnitude = value.magnitude
    }

    /// The number that these bytes spell in decimal, with blanks before and behind it; nil: none, or one beyond 64 bits.
    init?(_ text: UnsafeRawBufferPointer) {
        var digits = text.trimmed
        var isNegative = false
        if let first = digits.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            isNegative = first == UInt8(ascii: "-")
            digits = UnsafeRawBufferPointer(rebasing: digits[1...])
        }
        guard let magnitude = digits.number else { return nil }
        self.isNegative = isNegative && magnitude > 0
        self.magnitude = magnitude
    }

    /// Whether it is in the range of a type of whole numbers.
    func fits(_ type: FunctionType) -> Bool {
        let bits = type.integerSize * 8
        guard bits > 0 else { return false }
        if !type.isSigned { return !isNegative && (bits == 64 || magnitude >> UInt64(bits) == 0) }
        let limit = UInt64(1) << UInt64(bits - 1)
        return isNegative ? magnitude <= limit : magnitude < limit
    }

    /// As two's complement.
    var word: UInt64 { isNegative ? 0 &- magnitude : magnitude }

    func append(to text: inout Text) {
        if isNegative { text.append("-") }
        var digits: [UInt8] = []
        var rest = magnitude
        repeat {
            digits.append(UInt8(48 + rest % 10))
            rest /= 10
        } while rest > 0
        for digit in digits.reversed() { text.append(digit) }
    }
}

extension UnsafeRawBufferPointer {
    /// Without blanks and line ends before and behind.
    var trimmed: UnsafeRawBufferPointer {
        func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }
        var (first, end) = (0, count)
        while first < end && isBlank(self[first]) { first += 1 }
        while end > first && isBlank(self[end - 1]) { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: self[first..<end])
    }

    /// The decimal number, perhaps with point and exponent, that these bytes spell, with blanks before and behind it; infinite when it is
    /// too large; nil: none.
    var decimal: Double? {
        let text = trimmed
        // No number needs more, and this much of the stack is certainly there.
        guard text.count > 0, text.count < 400 else { return nil }
        var digits = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
            case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): continue
            default: return nil
            }
        }
        guard digits > 0 else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: 400, alignment: 8) { room -> Double? in
            room.copyMemory(from: text)
            room[text.count] = 0
            let start = room.baseAddress!.assumingMemoryBound(to: CChar.self)
            var end: UnsafeMutablePointer<CChar>?
            let number = strtod(start, &end)
            return end == start + text.count ? number : nil
        }
    }
}
