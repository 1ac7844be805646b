import Foundation

/// A small HTTP/1.1 server on 127.0.0.1: a thread for each connection, connections kept alive. Its answers are what the test says.
final class HTTPReceiver: @unchecked Sendable {
    struct Request {
        var method: String
        var path: String
        /// Names in lower case.
        var headers: [(name: String, value: String)]
        var body: [UInt8]

        /// The value of a header; nil if it is missing or there more than once.
        subscript(name: String) -> String? {
            let found = headers.filter { $0.name == name }
            return found.count == 1 ? found[0].value : nil
        }
    }

    enum Answer {
        case answer(Int, headers: [(String, String)] = [], body: String = "")
        /// No answer: wait until the other side closes the connection.
        case silence
        /// Close the connection at once.
        case hangUp
    }

    let port: UInt16
    private let listener: Int32
    private let respond: @Sendable (Request) -> Answer
    private let condition = NSCondition()
    // Guarded by `condition`.
    private var received: [Request] = []
    private var open: Set<Int32> = []
    private var accepted = 0
    private var givenUp = 0

    init(_ respond: @escaping @Sendable (Request) -> Answer) throws {
        self.respond = respond
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let file = listener
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, size) == 0 && listen(file, 128) == 0 && getsockname(file, $0, &size) == 0
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard bound else { throw CocoaError(.fileReadUnknown) }
        Thread { [self] in acceptAll() }.start()
    }

    var url: String { "http://127.0.0.1:\(port)/hook" }
    var requests: [Request] { locked { $0.received } }
    var connections: Int { locked { $0.accepted } }

    /// Ends all connections and the listener.
    func close() {
        locked {
            shutdown($0.listener, Int32(SHUT_RDWR))
            for file in $0.open { shutdown(file, Int32(SHUT_RDWR)) }
        }
    }

    /// Waits until so many requests have arrived; false after 15 seconds.
    func wait(requests count: Int) -> Bool { wait { $0.received.count >= count } }
    /// Waits until the other side has closed so many connections that got no answer.
    func wait(givenUp count: Int) -> Bool { wait { $0.givenUp >= count } }

    private func wait(_ done: (HTTPReceiver) -> Bool) -> Bool {
        let deadline = Date().addingTimeInterval(15)
        condition.lock()
        defer { condition.unlock() }
        while !done(self) {
            if !condition.wait(until: deadline) { return false }
        }
        return true
    }

    @discardableResult
    private func locked<R>(_ body: (HTTPReceiver) -> R) -> R {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return body(self)
    }

    private func acceptAll() {
        while true {
            let file = accept(listener, nil, nil)
            guard file >= 0 else { break }
            locked {
                $0.open.insert(file)
                $0.accepted += 1
            }
            Thread { [self] in
                serve(file)
                locked { _ = $0.open.remove(file) }
                Foundation.close(file)
            }.start()
        }
        Foundation.close(listener)
    }

    private func serve(_ file: Int32) {
        var buffer: [UInt8] = []
        while let request = readRequest(file, &buffer) {
            locked { $0.received.append(request) }
            switch respond(request) {
            case .answer(let status, let headers, let body):
                var head = "HTTP/1.1 \(status) Status\r\ncontent-length: \(body.utf8.count)\r\n"
                for (name, value) in headers { head += "\(name): \(value)\r\n" }
                guard write(file, Array((head + "\r\n" + body).utf8)) else { return }
            case .silence:
                var byte: UInt8 = 0
                while recv(file, &byte, 1, 0) > 0 {}
                locked { $0.givenUp += 1 }
                return
            case .hangUp:
                return
            }
        }
    }

    private func write(_ file: Int32, _ bytes: [UInt8]) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { send(file, $0.baseAddress! + written, bytes.count - written, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }

    private func readMore(_ file: Int32, _ buffer: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(file, &chunk, chunk.count, 0)
        if count > 0 { buffer += chunk[..<count] }
        return count > 0
    }

    private func readRequest(_ file: Int32, _ buffer: inout [UInt8]) -> Request? {
        var end: Range<Data.Index>?
        while true {
            end = Data(buffer).range(of: Data("\r\n\r\n".utf8))
            if end != nil { break }
            guard readMore(file, &buffer) else { return nil }
        }
        guard let end else { return nil }
        let head = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let first = head[0].split(separator: " ")
        let headers = head.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (name: parts[0].lowercased(), value: parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : "")
        }
        let length = headers.first { $0.name == "content-length" }.flatMap { Int($0.value) } ?? 0
        buffer.removeFirst(end.upperBound)
        while buffer.count < length {
            guard readMore(file, &buffer) else { return nil }
        }
        defer { buffer.removeFirst(length) }
        return Request(method: String(first[0]), path: String(first[1]), headers: headers, body: Array(buffer[..<length]))
    }
}
