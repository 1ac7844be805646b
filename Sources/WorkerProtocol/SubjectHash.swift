/// Keyed 64-bit hash of a subject (SipHash-1-3, Aumasson and Bernstein 2012).
///
/// The hash stands for the subject inside the dispatcher: two subjects with one hash would be kept in order with each other, which
/// is harmless but slow. The key, which each data directory makes for itself, keeps producers from arranging that.
public struct SubjectHash: Sendable, Equatable {
    /// First half of the key.
    public let key0: UInt64
    /// Second half of the key.
    public let key1: UInt64

    /// A hash with this key.
    public init(key0: UInt64, key1: UInt64) {
        self.key0 = key0
        self.key1 = key1
    }

    /// The hash of `bytes`. Any thread; does not allocate.
    public func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var v0 = key0 ^ 0x736f_6d65_7073_6575
        var v1 = key1 ^ 0x646f_7261_6e64_6f6d
        var v2 = key0 ^ 0x6c79_6765_6e65_7261
        var v3 = key1 ^ 0x7465_6462_7974_6573

        @inline(__always) func round() {
            v0 &+= v1
            v1 = v1 << 13 | v1 >> 51
            v1 ^= v0
            v0 = v0 << 32 | v0 >> 32
            v2 &+= v3
            v3 = v3 << 16 | v3 >> 48
            v3 ^= v2
            v0 &+= v3
            v3 = v3 << 21 | v3 >> 43
            v3 ^= v0
            v2 &+= v1
            v1 = v1 << 17 | v1 >> 47
            v1 ^= v2
            v2 = v2 << 32 | v2 >> 32
        }

        var at = 0
        while at + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            v3 ^= word
            round()
            v0 ^= word
            at += 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        var shift: UInt64 = 0
        while at < bytes.count {
            last |= UInt64(bytes[at]) << shift
            shift += 8
            at += 1
        }
        v3 ^= last
        round()
        v0 ^= last
        v2 ^= 0xff
        round()
        round()
        round()
        return v0 ^ v1 ^ v2 ^ v3
    }

    /// The hash of the UTF-8 of `text`. Any thread.
    public func callAsFunction(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { self(UnsafeRawBufferPointer($0)) }
    }
}
