// FuzzSupport: what all fuzz targets have in common. One thread: libFuzzer calls a target again and again.

internal import CLinux
internal import Glibc

/// Reads numbers and pieces out of the bytes that libFuzzer has made up. At their end everything is zero or empty.
public struct FuzzInput {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    /// Reads `bytes`, which must stay valid.
    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether all is read.
    public var isAtEnd: Bool { at == bytes.count }

    /// The next byte.
    public mutating func byte() -> UInt8 { number() }

    /// The next number, little endian.
    public mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number {
        var value = Number.zero
        for index in 0..<min(MemoryLayout<Number>.size, bytes.count - at) {
            value |= Number(truncatingIfNeeded: bytes[at + index]) << (8 * index)
        }
        at = min(at + MemoryLayout<Number>.size, bytes.count)
        return value
    }

    /// The next `count` bytes, or what is left.
    public mutating func piece(_ count: Int) -> UnsafeRawBufferPointer {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[at..<min(at + count, bytes.count)])
        at += piece.count
        return piece
    }

    /// All that is left.
    public mutating func rest() -> UnsafeRawBufferPointer { piece(bytes.count - at) }

    /// Bytes up to the next `separator`, which is passed over; or all that is left.
    public mutating func piece(until separator: UInt8) -> UnsafeRawBufferPointer {
        let rest = bytes[at...]
        let end = rest.firstIndex(of: separator) ?? bytes.count
        defer { at = min(end + 1, bytes.count) }
        return UnsafeRawBufferPointer(rebasing: bytes[at..<end])
    }
}

/// Ends the process with a message when something that always holds does not: libFuzzer then keeps the input.
@inline(__always)
public func always(_ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String) {
    if !condition() { fatalError(message()) }
}

/// Copies of the bytes in memory of their exact size, so that AddressSanitizer sees every read beyond them.
public func withExactCopy<Result>(
    _ bytes: UnsafeRawBufferPointer, alignment: Int = 16, _ body: (UnsafeRawBufferPointer) throws -> Result
) rethrows -> Result {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: alignment)
    defer { copy.deallocate() }
    copy.copyMemory(from: bytes)
    return try body(UnsafeRawBufferPointer(copy))
}

/// Reads every byte, so that AddressSanitizer sees whether they can be read.
public func touch(_ bytes: UnsafeRawBufferPointer) {
    if let start = bytes.baseAddress { sink = capelet_linux_crc32c_portable(0, start, bytes.count) }
}
nonisolated(unsafe) private var sink: UInt32 = 0

/// Whether the bytes are the same. Quick, also where nothing is optimised.
public func same(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    one.count == other.count && (one.count == 0 || memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0)
}
