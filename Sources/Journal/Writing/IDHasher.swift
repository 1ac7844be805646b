import WorkerProtocol

/// Hashes ids, subjects and numbered events to 128 bits with the data directory's key (SipHash-2-4 with 128-bit output, Aumasson and Bernstein
/// 2012 and its reference implementation). Keyed, so that no producer can make two ids collide. Any thread; does not allocate.
struct IDHasher: Sendable {
    private let key0: UInt64
    private let key1: UInt64

    init(_ subjectHash: SubjectHash) {
        key0 = subjectHash.key0
        key1 = subjectHash.key1
    }

    /// The hash of an event's id.
    func id(_ bytes: UnsafeRawBufferPointer) -> IDHash { hash(bytes, tag: 0x6964) }

    /// The hash of a subject.
    func subject(_ bytes: UnsafeRawBufferPointer) -> IDHash { hash(bytes, tag: 0x7375_626a) }

    /// The hash of what makes a numbered event the same when it comes again: subject, sequence and payload.
    func numbered(subject: IDHash, sequence: UInt64, payload: IDHash) -> IDHash {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 5) { words in
            words[0] = subject.high
            words[1] = subject.low
            words[2] = sequence
            words[3] = payload.high
            words[4] = payload.low
            return hash(UnsafeRawBufferPointer(words), tag: 0x6e75_6d62)
        }
    }

    /// The hash of a payload.
    func payload(_ bytes: UnsafeRawBufferPointer) -> IDHash { hash(bytes, tag: 0x7061_796c) }

    /// - Parameter tag: keeps hashes of different kinds apart.
    func hash(_ bytes: UnsafeRawBufferPointer, tag: UInt64) -> IDHash {
        var v0 = key0 ^ tag ^ 0x736f_6d65_7073_6575
        var v1 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        var v2 = key0 ^ tag ^ 0x6c79_6765_6e65_7261
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
        round()
        v0 ^= last
        v2 ^= 0xee
        round()
        round()
        round()
        round()
        let low = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        round()
        round()
        round()
        round()
        return IDHash(high: v0 ^ v1 ^ v2 ^ v3, low: low)
    }
}

extension IDHash {
    /// Stands for "no id". That an id hashes to it need not be reckoned with.
    static let none = IDHash(high: 0, low: 0)
}
