public import Routing

/// Where the Frontend listens and how it ends.
public struct FrontendSettings: Sendable, Equatable {
    /// `host:port` of the TCP listener; port 0 picks a free one; nil: none.
    public var http: String?
    /// Absolute path of the Unix socket. Its folder has to exist and be the host's own.
    public var socketPath: String
    /// Names beside the usual ones that a `Host` header may have.
    public var allowedHosts: [String] = []
    /// Tokens that the TCP listener asks for.
    public var tokens = TokenBook()
    /// How long `run` lets outstanding requests finish once it is to end.
    public var stopWithin: Duration = .seconds(5)
    /// Connections at the same time, for each listener.
    public var connectionsMax = 1_000

    /// Settings with the usual limits.
    public init(http: String?, socketPath: String) {
        self.http = http
        self.socketPath = socketPath
    }

    /// What a routing table says. Tokens come apart from it, since their files can be wrong.
    public init(_ routes: RouteTable, tokens: TokenBook = TokenBook()) {
        self.init(http: routes.listen.http, socketPath: routes.data + "/capelet.sock")
        allowedHosts = routes.listen.hosts
        self.tokens = tokens
    }
}

/// Where the Frontend listens in fact.
public struct FrontendAddresses: Sendable, Equatable {
    /// `127.0.0.1:41234`; nil: no TCP listener.
    public var http: String?
    /// Port of the TCP listener.
    public var httpPort: Int?
    /// Path of the Unix socket.
    public var socketPath: String

    /// For `HostStatus.listening`.
    public var descriptions: [String] { (http.map { ["http://\($0)"] } ?? []) + ["unix:\(socketPath)"] }

    init(http: String?, httpPort: Int?, socketPath: String) {
        self.http = http
        self.httpPort = httpPort
        self.socketPath = socketPath
    }
}

/// Why the Frontend cannot listen.
public struct FrontendError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was wrong, where, and what to do.
    public var message: String

    init(_ message: String) { self.message = message }

    /// The message.
    public var description: String { message }
}
