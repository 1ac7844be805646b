/// Addresses of the listeners.
public struct ListenSettings: Sendable, Equatable {
    /// `host:port` of the HTTP listener; nil: none. Port 0 picks a free one.
    public var http: String? = "127.0.0.1:7070"
    /// `host:port` of the RESP listener; nil: none.
    public var resp: String? = nil

    /// The defaults.
    public init(http: String? = "127.0.0.1:7070", resp: String? = nil) {
        self.http = http
        self.resp = resp
    }
}
