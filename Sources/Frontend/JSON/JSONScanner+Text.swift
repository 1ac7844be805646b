extension JSONScanner {
    /// The bytes of a value as they stand in the text.
    @inline(__always)
    func raw(_ token: JSONToken) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[token.start..<token.end])
    }

    /// The text of a string, in UTF-8: the bytes between the quotes, or, when there are escapes, decoded into `scratch`.
    func text(_ token: JSONToken, _ scratch: ScratchMemory) throws(JSONFault) -> UnsafeRawBufferPointer {
        let inner = UnsafeRawBufferPointer(rebasing: bytes[token.start + 1..<token.end - 1])
        if !token.hasEscapes { return inner }
        let out = scratch.take(inner.count)
        var written = 0
        var index = 0
        func put(_ byte: UInt8) {
            out[written] = byte
            written += 1
        }
        while index < inner.count {
            let byte = inner[index]
            guard byte == UInt8(ascii: "\\") else {
                put(byte)
                index += 1
                continue
            }
            switch inner[index + 1] {
            case UInt8(ascii: "b"): put(0x08)
            case UInt8(ascii: "f"): put(0x0C)
            case UInt8(ascii: "n"): put(0x0A)
            case UInt8(ascii: "r"): put(0x0D)
            case UInt8(ascii: "t"): put(0x09)
            case UInt8(ascii: "u"):
                var scalar = Self.hex4(inner, index + 2) ?? 0
                if scalar >= 0xD800, scalar < 0xDC00, index + 12 <= inner.count, inner[index + 6] == UInt8(ascii: "\\"),
                    inner[index + 7] == UInt8(ascii: "u"), let low = Self.hex4(inner, index + 8), low >= 0xDC00, low < 0xE000
                {
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                    index += 6
                }
                guard let unicode = Unicode.Scalar(scalar) else {
                    throw JSONFault(offset: token.start + 1 + index, message: "half of a surrogate pair")
                }
                for unit in UTF8.encode(unicode).unsafelyUnwrapped { put(unit) }
                index += 4
            default: put(inner[index + 1])
            }
            index += 2
        }
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(out)[..<written])
    }
}

/// Memory for texts that have to be decoded before they are copied into a record. Used by one task at a time; what was taken stays valid
/// until `reset`.
final class ScratchMemory {
    private var blocks: [UnsafeMutableRawBufferPointer] = []
    private var used = 0

    init() {}

    deinit { for block in blocks { block.deallocate() } }

    /// Frees everything that was taken; keeps one block.
    func reset() {
        used = 0
        while blocks.count > 1 { blocks.removeFirst().deallocate() }
        if let only = blocks.first, only.count > 1 << 20 {
            only.deallocate()
            blocks.removeAll()
        }
    }

    /// `count` bytes, not initialised.
    func take(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if blocks.last.map({ $0.count - used < count }) ?? true {
            blocks.append(.allocate(byteCount: max(count, 16 << 10), alignment: 16))
            used = 0
        }
        defer { used += count }
        return UnsafeMutableRawBufferPointer(rebasing: blocks[blocks.count - 1][used..<used + count])
    }
}
