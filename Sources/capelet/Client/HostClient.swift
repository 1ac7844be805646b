import Foundation
import Glibc

/// The host's answer.
struct HostAnswer {
    var status: Int
    var headers: [String: String]
    var body: [UInt8]

    /// The body as a value.
    func decode<Value: Decodable>(_ type: Value.Type) throws(CommandFailure) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw CommandFailure(
                .failed, "the host's answer is not what this version of capelet expects; are both of the same version? (\(error))")
        }
    }

    /// The body as it is, for `--json`.
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// A refusal of the host as problem JSON (RFC 9457).
struct HostProblem: Decodable {
    var title: String
    var status: Int
    var detail: String
    var field: String?
    var line: Int?

    /// For people.
    var message: String { field.map { "\($0): \(detail)" } ?? detail }
}

/// Talks to the host, one connection for each request. Blocking.
struct HostClient {
    let socketPath: String

    /// Largest answer that is read as a whole.
    private static let bodyBytesMax = 256 << 20

    /// A request; throws what the host refuses, unless `accepting` holds the status.
    func request(
        _ method: String, _ path: String, _ query: [(String, String?)] = [], body: Data? = nil, accepting: Set<Int> = [200, 201]
    ) throws(CommandFailure) -> HostAnswer {
        let connection = try UnixConnection(path: socketPath)
        try connection.send(
            Self.head(method, path, query, contentType: body == nil ? nil : "application/json", length: body?.count) + Array(body ?? Data())
        )
        var parser = ResponseParser(isHead: method == "HEAD")
        var whole: [UInt8] = []
        while !parser.isDone, try connection.receive(into: &parser) {
            whole += parser.takeBody()
            if whole.count > Self.bodyBytesMax {
                throw CommandFailure(.failed, "the answer is larger than \(Figures.size(UInt64(Self.bodyBytesMax)))")
            }
        }
        whole += parser.takeBody()
        let answer = HostAnswer(status: parser.status, headers: parser.headers, body: whole)
        guard accepting.contains(answer.status) else { throw Self.refusal(answer) }
        return answer
    }

    func get(_ path: String, _ query: [(String, String?)] = []) throws(CommandFailure) -> HostAnswer { try request("GET", path, query) }

    /// A request with a JSON body.
    func post(_ path: String, _ value: some Encodable, accepting: Set<Int> = [200]) throws(CommandFailure) -> HostAnswer {
        let data: Data
        do {
            data = try JSONEncoder().encode(value)
        } catch {
            throw CommandFailure(.failed, "cannot encode the request: \(error)")
        }
        return try request("POST", path, body: data, accepting: accepting)
    }

    /// Reads an answer line by line while it comes; ends when the host ends it, or when `body` returns false.
    func lines(_ path: String, _ query: [(String, String?)], _ body: (String) throws(CommandFailure) -> Bool) throws(CommandFailure) {
        let connection = try UnixConnection(path: socketPath)
        try connection.send(Self.head("GET", path, query, contentType: nil, length: nil))
        var parser = ResponseParser()
        var rest: [UInt8] = []
        while !parser.isDone {
            let isOpen = try connection.receive(into: &parser)
            rest += parser.takeBody()
            if parser.hasHead, parser.status != 200 {
                if parser.isDone { throw Self.refusal(HostAnswer(status: parser.status, headers: parser.headers, body: rest)) }
                continue
            }
            while let end = rest.firstIndex(of: 0x0A) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeSubrange(...end)
                if !line.isEmpty, try !body(line) { return }
            }
            if !isOpen { return }
        }
    }

    static func head(
        _ method: String, _ path: String, _ query: [(String, String?)], contentType: String?, length: Int?, isChunked: Bool = false
    ) -> [UInt8] {
        let pairs = query.compactMap { name, value in value.map { "\(name)=\(escape($0))" } }
        var head = "\(method) \(path)\(pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")) HTTP/1.1\r\nhost: localhost\r\n"
        if let contentType { head += "content-type: \(contentType)\r\n" }
        if let length { head += "content-length: \(length)\r\n" }
        head += isChunked ? "transfer-encoding: chunked\r\n\r\n" : "connection: close\r\n\r\n"
        return Array(head.utf8)
    }

    /// Percent-encoded, for a query or a segment of a path.
    static func escape(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%" + String(format: "%02X", byte)
            }
        }
        return result
    }

    /// What the host refused, as a failure.
    static func refusal(_ answer: HostAnswer) -> CommandFailure {
        if let problem = try? JSONDecoder().decode(HostProblem.self, from: Data(answer.body)) {
            return CommandFailure(.failed, problem.message)
        }
        return CommandFailure(.failed, "the host answered \(answer.status) \(answer.text.prefix(200))")
    }
}
