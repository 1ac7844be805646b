/// A place in a JSON text where it is wrong.
struct JSONFault: Error, Equatable {
    /// Bytes from the start of the text.
    var offset: Int
    /// What is wrong there.
    var message: String
}

/// One scanned JSON value: what it is and which bytes it takes. The bytes have been checked in full.
struct JSONToken {
    enum Kind: UInt8 {
        case string, number, bool, null, object, array
    }

    var kind: Kind
    /// First byte (for a string: the opening quote).
    var start: Int
    /// Behind the last byte.
    var end: Int
    /// Whether a string has escapes and has to be decoded; else its bytes between the quotes are the text.
    var hasEscapes = false
}

/// Reads JSON (RFC 8259) in one pass, strictly: no trailing commas, no leading zeros, valid UTF-8, at most `depthMax` levels. It makes no
/// tree; a value that is not looked into is checked and handed back as a range of bytes, so that payloads are copied and never rebuilt.
///
/// The bytes must stay valid while the scanner is used.
struct JSONScanner {
    /// Deepest nesting, so that a hostile text cannot exhaust the stack.
    static let depthMax = 128

    let bytes: UnsafeRawBufferPointer
    /// Where the next byte is read.
    var at: Int
    let end: Int

    init(_ bytes: UnsafeRawBufferPointer, at: Int = 0, end: Int? = nil) {
        self.bytes = bytes
        self.at = at
        self.end = end ?? bytes.count
    }

    @inline(__always)
    private func byte(_ index: Int) -> UInt8 {
        // `index` has been compared with `end` by the caller.
        bytes.baseAddress.unsafelyUnwrapped.load(fromByteOffset: index, as: UInt8.self)
    }

    private func fault(_ message: String) -> JSONFault { JSONFault(offset: at, message: message) }

    @inline(__always)
    mutating func skipSpace() {
        while at < end {
            let next = byte(at)
            guard next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 else { return }
            at += 1
        }
    }

    /// The next byte that is not space; nil at the end. Does not move past it.
    @inline(__always)
    mutating func peek() -> UInt8? {
        skipSpace()
        return at < end ? byte(at) : nil
    }

    /// Nothing but space may follow.
    mutating func finish() throws(JSONFault) {
        if peek() != nil { throw fault("something follows the JSON value") }
    }

    // MARK: containers

    /// Steps into an object. Call `nextKey` until it gives nil.
    mutating func enterObject() throws(JSONFault) {
        guard peek() == UInt8(ascii: "{") else { throw fault("expected an object") }
        at += 1
    }

    /// Steps into an array. Call `nextElement` until it gives false.
    mutating func enterArray() throws(JSONFault) {
        guard peek() == UInt8(ascii: "[") else { throw fault("expected an array") }
        at += 1
    }

    /// The next key of the object that was entered, the scanner standing on its value; nil when the object has ended. `isFirst` is true for
    /// the first call and is set to false by it.
    mutating func nextKey(_ isFirst: inout Bool) throws(JSONFault) -> JSONToken? {
        guard var next = peek() else { throw fault("the object is not closed") }
        if next == UInt8(ascii: "}") {
            at += 1
            return nil
        }
        if !isFirst {
            guard next == UInt8(ascii: ",") else { throw fault("expected , or }") }
            at += 1
            guard let following = peek() else { throw fault("the object is not closed") }
            next = following
        }
        isFirst = false
        guard next == UInt8(ascii: "\"") else { throw fault("expected a key in quotes") }
        let key = try string()
        guard peek() == UInt8(ascii: ":") else { throw fault("expected :") }
        at += 1
        skipSpace()
        return key
    }

    /// Whether another element follows in the array that was entered, the scanner standing on it.
    mutating func nextElement(_ isFirst: inout Bool) throws(JSONFault) -> Bool {
        guard let next = peek() else { throw fault("the array is not closed") }
        if next == UInt8(ascii: "]") {
            at += 1
            return false
        }
        if !isFirst {
            guard next == UInt8(ascii: ",") else { throw fault("expected , or ]") }
            at += 1
            skipSpace()
        }
        isFirst = false
        return true
    }

    // MARK: values

    /// Checks and passes one whole value.
    mutating func value(depth: Int = 0) throws(JSONFault) -> JSONToken {
        guard let next = peek() else { throw fault("a value is missing") }
        let start = at
        switch next {
        case UInt8(ascii: "\""):
            return try string()
        case UInt8(ascii: "{"):
            guard depth < Self.depthMax else { throw fault("nested deeper than \(Self.depthMax) levels") }
            at += 1
            var isFirst = true
            while try nextKey(&isFirst) != nil { _ = try value(depth: depth + 1) }
            return JSONToken(kind: .object, start: start, end: at)
        case UInt8(ascii: "["):
            guard depth < Self.depthMax else { throw fault("nested deeper than \(Self.depthMax) levels") }
            at += 1
            var isFirst = true
            while try nextElement(&isFirst) { _ = try value(depth: depth + 1) }
            return JSONToken(kind: .array, start: start, end: at)
        case UInt8(ascii: "t"):
            try literal("true")
            return JSONToken(kind: .bool, start: start, end: at)
        case UInt8(ascii: "f"):
            try literal("false")
            return JSONToken(kind: .bool, start: start, end: at)
        case UInt8(ascii: "n"):
            try literal("null")
            return JSONToken(kind: .null, start: start, end: at)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try number()
            return JSONToken(kind: .number, start: start, end: at)
        default:
            throw fault("expected a value")
        }
    }

    private mutating func literal(_ text: StaticString) throws(JSONFault) {
        let count = text.utf8CodeUnitCount
        guard end - at >= count else { throw fault("expected \(text)") }
        for index in 0..<count where byte(at + index) != text.utf8Start[index] { throw fault("expected \(text)") }
        at += count
    }

    private mutating func digits() throws(JSONFault) {
        let start = at
        while at < end, byte(at) &- 0x30 < 10 { at += 1 }
        if at == start { throw fault("expected a digit") }
    }

    private mutating func number() throws(JSONFault) {
        if byte(at) == UInt8(ascii: "-") { at += 1 }
        if at < end, byte(at) == UInt8(ascii: "0") {
            at += 1
            if at < end, byte(at) &- 0x30 < 10 { throw fault("a number begins with 0") }
        } else {
            try digits()
        }
        if at < end, byte(at) == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        if at < end, byte(at) | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < end, byte(at) == UInt8(ascii: "+") || byte(at) == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
    }

    // MARK: strings

    private mutating func string() throws(JSONFault) -> JSONToken {
        let start = at
        at += 1
        var hasEscapes = false
        while true {
            skipPlain()
            guard at < end else { throw fault("the string is not closed") }
            let next = byte(at)
            if next == UInt8(ascii: "\"") {
                at += 1
                return JSONToken(kind: .string, start: start, end: at, hasEscapes: hasEscapes)
            } else if next == UInt8(ascii: "\\") {
                hasEscapes = true
                try escape()
            } else if next < 0x20 {
                throw fault("a control character in a string has to be escaped")
            } else if next < 0x80 {
                at += 1
            } else {
                try multibyte()
            }
        }
    }

    /// Passes bytes that need no look, eight at a time.
    @inline(__always)
    private mutating func skipPlain() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while at + 8 <= end {
            let word = bytes.baseAddress.unsafelyUnwrapped.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            // The high bit of a byte is set where it is zero, below 0x20, or above 0x7F. Borrows can set it too often, never too seldom.
            let special = ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | (word &- (ones &* 0x20)) | word
            if special & highs != 0 {
                at += (special & highs).trailingZeroBitCount >> 3
                return
            }
            at += 8
        }
    }

    private mutating func escape() throws(JSONFault) {
        guard at + 1 < end else { throw fault("the string is not closed") }
        switch byte(at + 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"),
            UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            guard at + 6 <= end, Self.hex4(bytes, at + 2) != nil else { throw fault("\\u needs four hexadecimal digits") }
            at += 6
        default:
            throw fault("no such escape")
        }
    }

    /// Passes one character of two to four bytes (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
    private mutating func multibyte() throws(JSONFault) {
        let lead = byte(at)
        let count: Int
        let second: ClosedRange<UInt8>
        switch lead {
        case 0xC2...0xDF: (count, second) = (2, 0x80...0xBF)
        case 0xE0: (count, second) = (3, 0xA0...0xBF)
        case 0xED: (count, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (count, second) = (3, 0x80...0xBF)
        case 0xF0: (count, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (count, second) = (4, 0x80...0xBF)
        case 0xF4: (count, second) = (4, 0x80...0x8F)
        default: throw fault("not UTF-8")
        }
        guard at + count <= end, second.contains(byte(at + 1)) else { throw fault("not UTF-8") }
        for index in 2..<max(count, 2) where byte(at + index) & 0xC0 != 0x80 { throw fault("not UTF-8") }
        at += count
    }

    static func hex4(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> UInt32? {
        var value: UInt32 = 0
        for index in at..<at + 4 {
            guard let digit = hexDigit(bytes[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
