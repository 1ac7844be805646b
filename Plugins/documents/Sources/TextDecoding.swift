/// Bytes read as text.
struct DecodedText: Equatable {
    var text: String
    /// `utf-8` or `latin-1`.
    var encoding: String
}

/// Tells text from other things, and reads it.
enum TextDecoding {
    /// How much of a file is looked at for a NUL byte, which no text has.
    static let probeSize = 8192

    /// Whether the bytes are no text: there is a NUL among the first 8 KiB.
    static func isBinary(_ bytes: some Collection<UInt8>) -> Bool { bytes.prefix(probeSize).contains(0) }

    /// Reads bytes as UTF-8 or, failing that, as Latin-1. A NUL becomes a space. With `isCut`, a character that the cut split is left out.
    static func decode(_ bytes: some BidirectionalCollection<UInt8>, isCut: Bool) -> DecodedText {
        let whole = isCut ? bytes.dropLast(incompleteTail(bytes)) : bytes[...]
        let cleaned = whole.contains(0) ? whole.map { $0 == 0 ? 0x20 : $0 } : Array(whole)
        if let text = String(validating: cleaned, as: UTF8.self) { return DecodedText(text: text, encoding: "utf-8") }
        var utf8: [UInt8] = []
        utf8.reserveCapacity(cleaned.count + cleaned.count / 8)
        for byte in bytes {
            switch byte {
            case 0: utf8.append(0x20)
            case ..<0x80: utf8.append(byte)
            default:
                utf8.append(0xC0 | byte >> 6)
                utf8.append(0x80 | byte & 0x3F)
            }
        }
        return DecodedText(text: String(decoding: utf8, as: UTF8.self), encoding: "latin-1")
    }

    /// The text's longest beginning of at most `sizeMax` bytes of UTF-8 that ends between two characters.
    static func prefix(_ text: String, sizeMax: Int) -> String {
        guard text.utf8.count > sizeMax else { return text }
        let bytes = Array(text.utf8.prefix(sizeMax))
        return String(decoding: bytes.dropLast(incompleteTail(bytes)), as: UTF8.self)
    }

    /// How many bytes at the end are the beginning of a longer UTF-8 character: 0 to 3.
    private static func incompleteTail(_ bytes: some BidirectionalCollection<UInt8>) -> Int {
        var length = 0
        for byte in bytes.reversed().prefix(3) {
            length += 1
            if byte & 0xC0 == 0x80 { continue }
            let needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return needed > length ? length : 0
        }
        return 0
    }
}
