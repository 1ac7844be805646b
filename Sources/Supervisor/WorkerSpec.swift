public import Routing

/// Everything that a lambda's workers are made from. Immutable; a reload makes a new one.
///
/// Holds resolved secrets: never log or show its configuration.
public struct WorkerSpec: Sendable {
    /// The lambda's settings.
    public let route: LambdaRoute
    /// The plugin as it is to be loaded.
    public let generation: PluginGeneration
    /// Names of the domains whose events it may get, by their number.
    public let domains: [(number: UInt32, name: String)]
    /// Absolute path of the lambda's state folder. Made by the caller.
    public let stateDirectory: String
    /// How its processes are confined.
    public let sandbox: LambdaSandbox
    /// The supervisor's count of specs; tells old workers from new. 0 before `Supervisor.setPool`.
    public internal(set) var revision: UInt64 = 0
    let config: ConfigText

    /// The lambda's name.
    public var lambda: String { route.name }

    /// Encodes the configuration and reads its secrets.
    ///
    /// - Throws: when a secret's file cannot be read.
    public init(
        route: LambdaRoute, generation: PluginGeneration, domains: [(number: UInt32, name: String)], stateDirectory: String,
        sandbox: LambdaSandbox = LambdaSandbox()
    ) throws(ConfigSecretError) {
        self.sandbox = sandbox
        self.route = route
        self.generation = generation
        self.domains = domains.sorted { $0.number < $1.number }
        self.stateDirectory = stateDirectory
        config = try ConfigText(route.config, lambda: route.name)
    }

    /// Whether workers made from either are the same.
    func makesSameWorkers(as other: WorkerSpec) -> Bool {
        route.name == other.route.name && route.entry == other.route.entry && route.function == other.route.function
            && route.limits == other.route.limits
            && route.environment == other.route.environment && route.sandbox == other.route.sandbox
            && generation.plugin == other.generation.plugin && generation.id == other.generation.id && config == other.config
            && stateDirectory == other.stateDirectory && sandbox == other.sandbox && domains.count == other.domains.count
            && zip(domains, other.domains).allSatisfy { $0.number == $1.number && $0.name == $1.name }
    }
}
