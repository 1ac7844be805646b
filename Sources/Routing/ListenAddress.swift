import Glibc

/// `host:port` of a listener.
struct ListenAddress {
    /// It is not `host:port` with a host that is an address, `*` or `localhost`.
    struct Malformed: Error {}

    var host: String
    var port: UInt16
    /// Whether only this machine can reach it.
    var isLoopback: Bool

    /// Reads `127.0.0.1:7070`, `localhost:7070`, `[::1]:7070`, `0.0.0.0:7070`, `*:7070`.
    init(_ text: String) throws(Malformed) {
        guard let colon = text.lastIndex(of: ":") else { throw Malformed() }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.count <= 5, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(digits)
        else { throw Malformed() }
        self.port = port
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            var address = in6_addr()
            guard inet_pton(AF_INET6, host, &address) == 1 else { throw Malformed() }
            // A loopback address of IPv4 written as one of IPv6 does not count: it is not needed, and one rule less can be wrong.
            isLoopback = withUnsafeBytes(of: address) { Array($0) } == Array(repeating: 0, count: 15) + [1]
        } else if host == "localhost" {
            isLoopback = true
        } else if host == "*" {
            isLoopback = false
        } else {
            var address = in_addr()
            guard inet_pton(AF_INET, host, &address) == 1 else { throw Malformed() }
            isLoopback = withUnsafeBytes(of: address) { $0[0] } == 127
        }
        self.host = host
    }
}
