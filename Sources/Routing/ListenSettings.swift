/// Addresses of the listeners.
public struct ListenSettings: Sendable, Equatable {
    /// `host:port` of the HTTP listener; nil: none. Port 0 picks a free one.
    public var http: String? = "127.0.0.1:7070"
    /// `host:port` of the RESP listener; nil: none.
    public var resp: String? = nil
    /// Names under which clients may address the HTTP listener, beside IP addresses, `localhost` and this machine's name.
    public var hosts: [String] = []

    /// The defaults.
    public init(http: String? = "127.0.0.1:7070", resp: String? = nil, hosts: [String] = []) {
        self.http = http
        self.resp = resp
        self.hosts = hosts
    }

    /// Whether other machines can reach the HTTP listener: then it needs tokens.
    public var isReachable: Bool {
        guard let http else { return false }
        // What cannot be read is taken for the worst.
        return (try? ListenAddress(http).isLoopback) != true
    }
}
