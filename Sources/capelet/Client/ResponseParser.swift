/// Reads one HTTP/1.1 response from pieces of bytes, within bounds. A struct without I/O.
struct ResponseParser {
    enum Failure: Error, Equatable {
        case malformed(String)
    }

    private enum State {
        case statusLine
        case headers
        case fixed(Int)
        case chunkSize
        case chunk(Int)
        case chunkEnd
        case trailers
        case untilClose
        case done
    }

    /// Longest line of the head.
    private static let lineBytesMax = 64 << 10
    private static let headerCountMax = 200

    /// 0 until the head has come.
    private(set) var status = 0
    /// Names in lower case.
    private(set) var headers: [String: String] = [:]
    /// The body as far as it came and was not taken.
    private(set) var body: [UInt8] = []
    private var state = State.statusLine
    private var buffer: [UInt8] = []
    private var at = 0
    private let isHead: Bool

    init(isHead: Bool = false) { self.isHead = isHead }

    /// Whether the head has come.
    var hasHead: Bool {
        switch state {
        case .statusLine, .headers: false
        default: true
        }
    }

    /// Whether the response is complete.
    var isDone: Bool {
        if case .done = state { return true }
        return false
    }

    /// Hands out what has come of the body.
    mutating func takeBody() -> [UInt8] {
        defer { body.removeAll(keepingCapacity: true) }
        return body
    }

    /// The connection has ended; throws when the response is not complete.
    mutating func finish() throws(Failure) {
        if case .untilClose = state { state = .done }
        guard isDone else { throw .malformed("the connection ended in the middle of the answer") }
    }

    /// Takes bytes.
    mutating func add(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        if case .untilClose = state, buffer.isEmpty {
            body.append(contentsOf: bytes)
            return
        }
        buffer.append(contentsOf: bytes)
        while try step() {}
        buffer.removeFirst(at)
        at = 0
        // Bodies are taken over at once: what is left is a line that has not ended.
        if buffer.count > Self.lineBytesMax, !isDone { throw .malformed("a line of the answer is too long") }
    }

    private mutating func line() -> String? {
        guard let end = buffer[at...].firstIndex(of: 0x0A) else { return nil }
        var text = buffer[at..<end]
        if text.last == 0x0D { text.removeLast() }
        at = end + 1
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func step() throws(Failure) -> Bool {
        switch state {
        case .statusLine:
            guard let line = line() else { return false }
            let parts = line.split(separator: " ", maxSplits: 2)
            guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), let status = Int(parts[1]), (100...599).contains(status) else {
                throw .malformed("not an HTTP answer: \(line.prefix(80))")
            }
            self.status = status
            state = .headers
        case .headers:
            guard let line = line() else { return false }
            if line.isEmpty { try begin() } else { try header(line) }
        case .fixed(let left):
            let count = min(left, buffer.count - at)
            body.append(contentsOf: buffer[at..<at + count])
            at += count
            state = left == count ? .done : .fixed(left - count)
            return left == count
        case .chunkSize:
            guard let line = line() else { return false }
            let digits = line.prefix { $0 != ";" }.filter { $0 != " " }
            guard !digits.isEmpty, digits.count <= 8, let size = Int(digits, radix: 16) else {
                throw .malformed("not a chunk's size: \(line.prefix(40))")
            }
            state = size == 0 ? .trailers : .chunk(size)
        case .chunk(let left):
            let count = min(left, buffer.count - at)
            if count == 0 { return false }
            body.append(contentsOf: buffer[at..<at + count])
            at += count
            state = left == count ? .chunkEnd : .chunk(left - count)
        case .chunkEnd:
            guard let line = line() else { return false }
            guard line.isEmpty else { throw .malformed("a chunk is longer than its size") }
            state = .chunkSize
        case .trailers:
            guard let line = line() else { return false }
            if line.isEmpty { state = .done }
        case .untilClose:
            body.append(contentsOf: buffer[at...])
            at = buffer.count
            return false
        case .done: return false
        }
        return true
    }

    private mutating func header(_ line: String) throws(Failure) {
        guard let colon = line.firstIndex(of: ":"), headers.count < Self.headerCountMax else {
            throw .malformed("not a header: \(line.prefix(80))")
        }
        let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        headers[line[..<colon].lowercased()] = String(value)
    }

    private mutating func begin() throws(Failure) {
        if (100..<200).contains(status) {
            headers = [:]
            state = .statusLine
        } else if isHead || status == 204 || status == 304 {
            state = .done
        } else if headers["transfer-encoding"]?.lowercased() == "chunked" {
            state = .chunkSize
        } else if let length = headers["content-length"] {
            guard let count = Int(length), count >= 0 else { throw .malformed("not a length: \(length)") }
            state = count == 0 ? .done : .fixed(count)
        } else {
            state = .untilClose
        }
    }
}
