internal import Glibc

/// Cuts what a process writes into lines of at most 8 KiB.
struct LogLines {
    static let lineBytesMax = 8 << 10
    private var line: [UInt8] = []
    private var isCut = false
    /// The rest of the present line was dropped.
    private var isSkipping = false

    /// Adds what was read; calls `body` with each whole line, and whether it was cut.
    mutating func add(_ bytes: UnsafeRawBufferPointer, _ body: ([UInt8], Bool) -> Void) {
        guard let base = bytes.baseAddress else { return }
        var at = 0
        while let end = memchr(base + at, 10, bytes.count - at) {
            let position = base.distance(to: UnsafeRawPointer(end))
            append(UnsafeRawBufferPointer(start: base + at, count: position - at))
            finish(body)
            at = position + 1
        }
        append(UnsafeRawBufferPointer(start: base + at, count: bytes.count - at))
    }

    /// Something was read and dropped: what follows begins with the next line.
    mutating func skip() {
        line.removeAll(keepingCapacity: true)
        isCut = false
        isSkipping = true
    }

    /// The end of the stream: what is left is a line.
    mutating func end(_ body: ([UInt8], Bool) -> Void) {
        if !line.isEmpty { finish(body) }
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !isSkipping else { return }
        let room = Self.lineBytesMax - line.count
        line.append(contentsOf: bytes.prefix(room))
        if bytes.count > room { isCut = true }
    }

    private mutating func finish(_ body: ([UInt8], Bool) -> Void) {
        if isSkipping {
            isSkipping = false
            return
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        body(line, isCut)
        line.removeAll(keepingCapacity: true)
        isCut = false
    }

    /// A line as it is shown.
    static func text(_ bytes: [UInt8], isCut: Bool) -> String { isCut ? printable(bytes) + " [line cut]" : printable(bytes) }

    /// Text that is safe to show: bytes that are not UTF-8 and control characters become `\xNN`.
    static func printable(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: isControl) { return text }
        var result = ""
        var decoder = UTF8()
        var at = 0
        while at < bytes.count {
            // One scalar at a time, so that a damaged byte costs only itself.
            var iterator = bytes[at..<min(at + 4, bytes.count)].makeIterator()
            if case .scalarValue(let scalar) = decoder.decode(&iterator), !isControl(scalar) {
                result.unicodeScalars.append(scalar)
                at += UTF8.width(scalar)
            } else {
                let hex = String(bytes[at], radix: 16)
                result += hex.count == 1 ? "\\x0\(hex)" : "\\x\(hex)"
                at += 1
            }
            decoder = UTF8()
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        (scalar.value < 0x20 && scalar != "\t") || (0x7f...0x9f).contains(scalar.value)
    }
}

/// The last 4 KiB of what a process wrote.
struct LogTail {
    static let bytesMax = 4 << 10
    private var bytes: [UInt8] = []

    mutating func add(_ more: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: more.suffix(Self.bytesMax))
        if bytes.count > 2 * Self.bytesMax { bytes.removeFirst(bytes.count - Self.bytesMax) }
    }

    /// As text, line by line made printable.
    var text: String {
        bytes.suffix(Self.bytesMax).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
            .map { LogLines.printable(Array($0)) }.joined(separator: "\n")
    }

    var isEmpty: Bool { bytes.isEmpty }
}
