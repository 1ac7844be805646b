import Foundation
import Glibc

/// A response as it came.
struct HTTPAnswer: Sendable {
    var status: Int
    var headers: [String: String]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n").map(String.init) }

    func json<Value: Decodable>(_ type: Value.Type) throws -> Value { try JSONDecoder().decode(type, from: Data(body)) }
}

/// A plain blocking HTTP client: one connection for each request.
enum HTTPClient {
    enum Place: Sendable {
        case socket(String)
        case port(Int)
        /// An IPv4 address of this machine, in the usual notation.
        case address(String, Int)
    }

    /// One request and its whole answer. Blocks; see `onThread`.
    static func request(
        _ method: String, _ path: String, at place: Place, type: String? = nil, headers: [String: String] = [:], body: [UInt8] = []
    ) throws -> HTTPAnswer {
        let descriptor = try connect(place)
        defer { close(descriptor) }
        var head = "\(method) \(path) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        if method != "GET" { head += "content-length: \(body.count)\r\n" }
        if let type { head += "content-type: \(type)\r\n" }
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        try send(Array((head + "\r\n").utf8) + body, to: descriptor)
        return try parse(try receive(from: descriptor))
    }

    private static func connect(_ place: Place) throws -> Int32 {
        let descriptor: Int32
        let result: Int32
        switch place {
        case .socket(let path):
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
            result = connect(descriptor, &address)
        case .port(let port):
            return try connect(.address("127.0.0.1", port))
        case .address(let host, let port):
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw TestTrouble("not an address: \(host)") }
            result = connect(descriptor, &address)
        }
        guard result == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw TestTrouble("cannot connect to \(place): \(reason)")
        }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    private static func connect<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size)) }
        }
    }

    private static func send(_ bytes: [UInt8], to descriptor: Int32) throws {
        var at = 0
        while at < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + at, bytes.count - at, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw TestTrouble("send: \(String(cString: strerror(errno)))") }
            at += count
        }
    }

    private static func receive(from descriptor: Int32) throws -> [UInt8] {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = recv(descriptor, &part, part.count, 0)
            if count < 0 { throw TestTrouble("recv: \(String(cString: strerror(errno)))") }
            if count == 0 { return all }
            all.append(contentsOf: part[..<count])
        }
    }

    private static func parse(_ bytes: [UInt8]) throws -> HTTPAnswer {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { throw TestTrouble("closed without a whole answer") }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { throw TestTrouble("not a status line: \(lines[0])") }
        var answer = HTTPAnswer(status: status, headers: [:], body: [])
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            answer.headers[pair[0].lowercased()] = pair.count > 1 ? pair[1].trimmingCharacters(in: .whitespaces) : ""
        }
        let rest = bytes[end.upperBound...]
        if answer.headers["transfer-encoding"] == "chunked" {
            answer.body = try unchunked(rest)
        } else {
            answer.body = Array(rest)
            if let length = answer.headers["content-length"].flatMap({ Int($0) }), length != answer.body.count {
                throw TestTrouble("the answer ended after \(answer.body.count) of \(length) bytes")
            }
        }
        return answer
    }

    private static func unchunked(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes
        while let end = rest.firstIndex(of: 0x0D), let size = Int(String(decoding: rest[rest.startIndex..<end], as: UTF8.self), radix: 16) {
            if size == 0 { return body }
            let from = end + 2
            guard rest.endIndex - from >= size + 2 else { break }
            body += rest[from..<from + size]
            rest = rest[(from + size + 2)...]
        }
        throw TestTrouble("the answer ended within a chunk")
    }
}
