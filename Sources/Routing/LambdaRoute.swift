/// One lambda.
public struct LambdaRoute: Sendable, Equatable {
    /// The lambda's name in the routing file.
    public var name: String
    /// The plugin it lives in; nil: the one plugin that exports `entry` is looked for.
    public var plugin: String?
    /// Its name within the plugin.
    public var entry: String
    /// The plain C function that it is instead of living in a plugin; nil: it lives in a plugin.
    public var function: FunctionRoute?
    /// Whether events go to it at all; `false`: its cursor holds.
    public var enabled: Bool = true
    /// Number of worker processes.
    public var workers: Int = 1
    /// Most events that run at the same time in one worker (more than 1 only for lambdas that return pending).
    public var concurrency: Int = 64
    /// Upstream lambdas whose success and output this one needs, for the same event.
    public var after: [String] = []
    /// Which events it gets.
    public var filter = EventFilter()
    /// Whether subjects are kept in order.
    public var order: Order = .subject
    /// Where it begins in a domain it has never seen.
    public var from: StartPosition = .now
    /// What happens to failures.
    public var retry = RetrySettings()
    /// What happens when attempts are used up.
    public var exhausted: Exhausted = .deadLetter
    /// What its processes may use.
    public var limits = LambdaLimits()
    /// When its workers are replaced although they are well.
    public var recycle = RecycleSettings()
    /// `config:`, as a JSON object text. Secrets are resolved into it only for the worker: see `secrets`.
    public var config: ConfigValue = .object([])
    /// Extra environment of its workers.
    public var environment: [String: String] = [:]
    /// How strongly its processes are confined. Later issue; kept so that the file format does not change.
    public var sandbox: SandboxSettings = SandboxSettings()

    /// A lambda with default settings.
    public init(name: String) {
        self.name = name
        self.entry = name
    }
}
