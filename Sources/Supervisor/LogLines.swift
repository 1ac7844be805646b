/// Cuts what a process writes into lines that can be shown: at most 8 KiB each, valid text, without control characters.
struct LogLines {
    static let lineBytesMax = 8 << 10
    private var line: [UInt8] = []
    private var isCut = false

    /// Adds what was read; calls `body` with each whole line.
    mutating func add(_ bytes: UnsafeRawBufferPointer, _ body: (String) -> Void) {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            append(rest[..<end])
            finish(body)
            rest = rest[(end + 1)...]
        }
        append(rest)
    }

    /// The end of the stream: what is left is a line.
    mutating func end(_ body: (String) -> Void) {
        if !line.isEmpty { finish(body) }
    }

    private mutating func append(_ bytes: Slice<UnsafeRawBufferPointer>) {
        let room = Self.lineBytesMax - line.count
        line.append(contentsOf: bytes.prefix(room))
        if bytes.count > room { isCut = true }
    }

    private mutating func finish(_ body: (String) -> Void) {
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        var text = Self.printable(line)
        if isCut { text += " [line cut]" }
        line.removeAll(keepingCapacity: true)
        isCut = false
        body(text)
    }

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
