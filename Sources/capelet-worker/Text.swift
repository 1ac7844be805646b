import CLibC

/// Bytes that are UTF-8 text, or should be. Embedded Swift's `String` would bring Unicode tables that this program has no use for.
typealias Text = [UInt8]

extension Text {
    mutating func append(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(contentsOf: bytes)
    }

    /// Appends a C string; nothing for NULL.
    mutating func append(cString: UnsafePointer<CChar>?) {
        guard let cString else { return }
        append(UnsafeRawBufferPointer(start: cString, count: strlen(cString)))
    }

    mutating func append(number: Int) {
        var digits: UInt = number.magnitude
        var reversed: [UInt8] = []
        repeat {
            reversed.append(UInt8(48 + digits % 10))
            digits /= 10
        } while digits > 0
        if number < 0 { reversed.append(UInt8(ascii: "-")) }
        for digit in reversed.reversed() { append(digit) }
    }

    /// Text made of several pieces.
    static func of(_ pieces: StaticString...) -> Text {
        var text: Text = []
        for piece in pieces { text.append(piece) }
        return text
    }

    /// This text without `part`, wherever that occurs.
    func removing(_ part: Text) -> Text {
        guard !part.isEmpty, count >= part.count else { return self }
        var result: Text = []
        var at = 0
        while at < count {
            if at + part.count <= count, self[at] == part[0], matches(part, at: at) {
                at += part.count
            } else {
                result.append(self[at])
                at += 1
            }
        }
        return result
    }

    private func matches(_ part: Text, at start: Int) -> Bool {
        for i in 0..<part.count where self[start + i] != part[i] { return false }
        return true
    }

    /// Calls `body` with this text as a C string.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        var terminated = self
        terminated.append(0)
        return terminated.withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes are exactly `text`.
    func equals(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && (count == 0 || memcmp(baseAddress!, text.utf8Start, count) == 0)
    }

    func equals(_ other: UnsafeRawBufferPointer) -> Bool {
        count == other.count && (count == 0 || memcmp(baseAddress!, other.baseAddress!, count) == 0)
    }

    func hasPrefix(_ text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && memcmp(baseAddress!, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    /// The decimal number that these bytes spell, or nil.
    var number: UInt64? {
        guard count > 0, count <= 20 else { return nil }
        var value: UInt64 = 0
        for byte in self {
            guard byte >= 48, byte <= 57 else { return nil }
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(UInt64(byte - 48))
            guard !over, !carried else { return nil }
            value = sum
        }
        return value
    }
}

/// Reads a small file, such as those below /proc; empty when it cannot be read.
func readSmallFile(_ path: UnsafePointer<CChar>) -> Text {
    let descriptor = capelet_linux_open(path, O_RDONLY)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var text: Text = []
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
        while text.count < 1 << 20 {
            let size = read(descriptor, buffer.baseAddress, buffer.count)
            if size <= 0 { break }
            text.append(UnsafeRawBufferPointer(start: buffer.baseAddress, count: size))
        }
    }
    return text
}

/// Writes all of `text`; gives up at the first error.
func writeAll(_ descriptor: Int32, _ text: Text) {
    text.withUnsafeBytes { bytes in
        var at = 0
        while at < bytes.count {
            let size = write(descriptor, bytes.baseAddress! + at, bytes.count - at)
            if size < 0 && capelet_linux_errno() == EINTR { continue }
            if size <= 0 { return }
            at += size
        }
    }
}

/// Says on standard error why this process cannot go on, and ends it.
func fail(_ message: StaticString, status: Int32) -> Never {
    var text = Text.of("capelet-worker: ")
    text.append(message)
    text.append("\n")
    writeAll(2, text)
    _exit(status)
}
