import Foundation
import Glibc
import Frontend
import Testing

/// A response as it came.
struct TestResponse {
    var status: Int
    var headers: [String: String]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n").map(String.init) }

    func json() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
    }
}

struct ClientFailure: Error {
    var message: String
}

/// A plain blocking HTTP client that can also misbehave. One connection; use it on a thread of its own (`onThread`).
final class TestClient {
    private var socket: Int32
    private var buffer: [UInt8] = []

    init(port: Int, address ip: UInt32 = 0x7F00_0001) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = ip.bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else { throw ClientFailure(message: "connect: \(errno)") }
        limitTime()
    }

    init(path: String) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard result == 0 else { throw ClientFailure(message: "connect: \(errno)") }
        limitTime()
    }

    deinit { Glibc.close(socket) }

    private func limitTime() {
        var limit = timeval(tv_sec: 15, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends bytes; throws when the other side does not take them.
    func send(_ bytes: some Collection<UInt8>) throws {
        let all = Array(bytes)
        var at = 0
        while at < all.count {
            let count = all.withUnsafeBytes { Glibc.send(socket, $0.baseAddress! + at, all.count - at, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw ClientFailure(message: "send: \(errno)") }
            at += count
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func chunk(_ text: String) throws { try send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n") }

    /// Sends a request with a body.
    func request(_ method: String, _ path: String, _ headers: [String: String] = [:], body: [UInt8] = []) throws -> TestResponse {
        var head = "\(method) \(path) HTTP/1.1\r\n"
        var headers = headers
        if headers["host"] == nil { headers["host"] = "localhost" }
        if method != "GET" { headers["content-length"] = headers["content-length"] ?? String(body.count) }
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        try send(Array((head + "\r\n").utf8) + body)
        return try response(hasBody: method != "HEAD")
    }

    private func fill() throws -> Bool {
        var part = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &part, part.count, 0)
        if count < 0 { throw ClientFailure(message: "recv: \(errno)") }
        buffer.append(contentsOf: part[..<count])
        return count > 0
    }

    /// The next line, without its end; nil when the connection has ended.
    func line() throws -> String? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                return line.hasSuffix("\r") ? String(line.dropLast()) : line
            }
            if try !fill() { return nil }
        }
    }

    func head() throws -> (status: Int, headers: [String: String]) {
        guard let first = try line() else { throw ClientFailure(message: "closed without an answer") }
        let parts = first.split(separator: " ")
        guard parts.count >= 2, let status = Int(parts[1]) else { throw ClientFailure(message: "not a status line: \(first)") }
        var headers: [String: String] = [:]
        while let line = try line(), !line.isEmpty {
            let pair = line.split(separator: ":", maxSplits: 1)
            headers[pair[0].lowercased()] = pair.count > 1 ? pair[1].trimmingCharacters(in: .whitespaces) : ""
        }
        return (status, headers)
    }

    /// The next chunk of a chunked body; empty at its end.
    func chunk() throws -> [UInt8] {
        guard let size = try line().flatMap({ Int($0, radix: 16) }) else { throw ClientFailure(message: "no chunk") }
        let bytes = try take(size)
        _ = try line()
        return bytes
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { guard try fill() else { throw ClientFailure(message: "ended within a body") } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    func response(hasBody: Bool = true) throws -> TestResponse {
        let (status, headers) = try head()
        var response = TestResponse(status: status, headers: headers, body: [])
        guard hasBody else { return response }
        if headers["transfer-encoding"] == "chunked" {
            while true {
                let part = try chunk()
                if part.isEmpty { break }
                response.body += part
            }
        } else if let length = headers["content-length"].flatMap({ Int($0) }) {
            response.body = try take(length)
        }
        return response
    }
}

/// Runs blocking code outside of the cooperative pool.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

extension TestServer {
    /// One request on a connection of its own, over TCP.
    func request(_ method: String, _ path: String, _ headers: [String: String] = [:], body: String = "") async throws -> TestResponse {
        let port = addresses.httpPort!
        return try await onThread { try TestClient(port: port).request(method, path, headers, body: Array(body.utf8)) }
    }

    /// One request over the Unix socket.
    func administrate(_ method: String, _ path: String, _ body: String? = nil) async throws -> TestResponse {
        let socket = addresses.socketPath
        return try await onThread {
            try TestClient(path: socket).request(
                method, path, body == nil ? [:] : ["content-type": "application/json"], body: Array((body ?? "").utf8))
        }
    }

    /// Posts an event stream.
    func lines(_ body: String, domain: String = "orders") async throws -> TestResponse {
        try await request("POST", "/v1/domains/\(domain)/events", ["content-type": "application/x-ndjson"], body: body)
    }
}
