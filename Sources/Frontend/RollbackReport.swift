/// What `rollback` did.
public struct RollbackReport: Codable, Sendable, Equatable {
    /// The lambda.
    public var lambda: String
    /// Its plugin.
    public var plugin: String
    /// The generation in the plugins folder, which the rollback is from, or was.
    public var from: Int
    /// The generation that serves now.
    public var to: Int
    /// Whether the rollback was taken back: `to` is what the plugins folder has.
    public var undone: Bool
    /// How long it took.
    public var millis: Int64

    /// Makes a report.
    public init(lambda: String, plugin: String, from: Int, to: Int, undone: Bool = false, millis: Int64 = 0) {
        self.lambda = lambda
        self.plugin = plugin
        self.from = from
        self.to = to
        self.undone = undone
        self.millis = millis
    }
}
