import Glibc
import HTTPTypes
import Hummingbird

/// Refuses requests whose `Host` names something else than this machine: a web page whose name was rebound to 127.0.0.1 sends its own name
/// there.
///
/// Any IP address is right (a rebound page has a name), and `localhost`, names below it, this machine's name, the name that the listener
/// was configured with, and further configured names.
struct HostCheck: RouterMiddleware {
    let allowed: Set<String>

    init(listen: String?, allowedHosts: [String]) {
        var allowed: Set<String> = ["localhost"]
        if let listen, let host = Self.host(of: listen) { allowed.insert(host) }
        var name = [CChar](repeating: 0, count: 256)
        if gethostname(&name, 255) == 0 {
            let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
            if !text.isEmpty { allowed.insert(text) }
        }
        for host in allowedHosts { allowed.insert(host.lowercased()) }
        self.allowed = allowed
    }

    /// The host of `host:port`, lower case, without brackets; nil when it is none.
    static func host(of authority: String) -> String? {
        let text = authority.lowercased()
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || (rest.first == ":" && rest.dropFirst().allSatisfy(\.isNumber)) else { return nil }
            return String(text[text.index(after: text.startIndex)..<close])
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let host = parts.first, !host.isEmpty else { return nil }
        if parts.count == 2, !parts[1].allSatisfy({ $0.isASCII && $0.isNumber }) { return nil }
        return String(host.hasSuffix(".") ? host.dropLast() : host)
    }

    func allows(_ authority: String?) -> Bool {
        guard let authority, let host = Self.host(of: authority) else { return false }
        if allowed.contains(host) || host.hasSuffix(".localhost") { return true }
        var v4 = in_addr()
        var v6 = in6_addr()
        return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1
    }

    func handle(_ request: Request, context: FrontendContext, next: (Request, FrontendContext) async throws -> Response) async throws
        -> Response
    {
        guard allows(request.head.authority) else {
            let given = request.head.authority.map { "`\($0.prefix(100))`" } ?? "missing"
            throw Problem(
                .misdirectedRequest, "wrong-host", "Wrong host",
                "the Host header is \(given); this listener answers to IP addresses, localhost, this machine's name and those in `listen: { hosts: … }`"
            )
        }
        return try await next(request, context)
    }
}
