/// Base64 (RFC 4648 §4), strict: padded, no line breaks, unused bits zero.
enum Base64 {
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (index, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(index) }
        return table
    }()

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Decodes into `out`, which has to have room for 3/4 of the text; the number of bytes, or nil when it is not Base64.
    static func decode(_ text: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer) -> Int? {
        guard text.count % 4 == 0 else { return nil }
        if text.isEmpty { return 0 }
        let padding = text[text.count - 1] == UInt8(ascii: "=") ? (text[text.count - 2] == UInt8(ascii: "=") ? 2 : 1) : 0
        return values.withUnsafeBufferPointer { values in
            var written = 0
            var bad: UInt8 = 0
            var index = 0
            while index < text.count {
                let isLast = index + 4 == text.count
                let a = values[Int(text[index])]
                let b = values[Int(text[index + 1])]
                let c = isLast && padding == 2 ? 0 : values[Int(text[index + 2])]
                let d = isLast && padding > 0 ? 0 : values[Int(text[index + 3])]
                bad |= a | b | c | d
                let word = UInt32(a & 63) << 18 | UInt32(b & 63) << 12 | UInt32(c & 63) << 6 | UInt32(d & 63)
                let count = isLast ? 3 - padding : 3
                if count < 3, word & (count == 1 ? 0xFFFF : 0xFF) != 0 { return nil }
                for place in 0..<count { out[written + place] = UInt8(truncatingIfNeeded: word >> UInt32(16 - 8 * place)) }
                written += count
                index += 4
            }
            return bad & 0xC0 == 0 ? written : nil
        }
    }

    /// The text for `bytes`.
    static func encode(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let count = min(3, bytes.count - index)
            var word: UInt32 = 0
            for place in 0..<3 { word = word << 8 | (place < count ? UInt32(bytes[index + place]) : 0) }
            for place in 0..<4 {
                text.append(place <= count ? alphabet[Int(word >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
            index += 3
        }
        return text
    }
}
