import Glibc

/// `host:port` of a listener.
struct ListenAddress {
    /// Why an address cannot be used.
    enum Fault: Error {
        /// It is not `host:port` with a host that is an address or `localhost`.
        case malformed
        /// Other machines can reach it.
        case reachable
    }

    var host: String
    var port: UInt16

    /// Reads `127.0.0.1:7070`, `localhost:7070`, `[::1]:7070`.
    init(_ text: String) throws(Fault) {
        guard let colon = text.lastIndex(of: ":") else { throw .malformed }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.count <= 5, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(digits)
        else { throw .malformed }
        self.port = port
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            var address = in6_addr()
            guard inet_pton(AF_INET6, host, &address) == 1 else { throw .malformed }
            let bytes = withUnsafeBytes(of: address) { Array($0) }
            guard bytes == Array(repeating: 0, count: 15) + [1] else { throw .reachable }
        } else if host != "localhost" {
            var address = in_addr()
            guard inet_pton(AF_INET, host, &address) == 1 else { throw .malformed }
            let first = withUnsafeBytes(of: address) { $0[0] }
            guard first == 127 else { throw .reachable }
        }
        self.host = host
    }
}
