internal import CCapelet

/// What a lambda is told about its worker when it starts. Valid until `stop` has returned; may be used from any thread.
public struct Context: Sendable {
    let host: Host

    init(host: Host) { self.host = host }

    /// The lambda's name in the routing file: the name under which others see its outputs.
    public var lambda: String { String(host.table.pointee.lambda) }

    /// The name by which the plugin exports the lambda. Another than `lambda` where the routing file uses it under a name of its own.
    public var entry: String { host.entry.map { String(cString: $0.pointee.name) } ?? lambda }

    /// The path of a folder of the lambda's own: writable, kept across restarts and reloads, and shared by all its workers.
    public var stateDirectory: String { String(host.table.pointee.state_directory) }

    /// 0 for the first worker of the lambda, then 1, 2 and so on, up to `workers:` - 1.
    public var workerIndex: Int { Int(host.table.pointee.worker_index) }

    /// The lambda's `config:`, value by value.
    public var config: Configuration { Configuration(host: host) }

    /// The lambda's `config:` as one JSON object.
    public var configJSON: [UInt8] { [UInt8](host.table.pointee.config_json.buffer) }

    /// The lambda's log, with lines tied to no event.
    public var log: LambdaLog { LambdaLog(host: host, token: 0) }
}
