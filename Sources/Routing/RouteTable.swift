/// What a routing file says, checked: who gets which events, and how each lambda is run.
///
/// Immutable. The whole host works from one table at a time; a reload makes a new one. Names in it are valid, references in
/// it exist, its topologies have no cycle.
public struct RouteTable: Sendable, Equatable {
    /// The folder that is scanned for plugins. Absolute.
    public var plugins: String
    /// The data directory. Absolute. Cannot change while the host runs.
    public var data: String
    /// Folders with shared libraries, beside the system's, that every plugin may load from. Absolute.
    public var libraries: [String] = []
    /// Where the host listens.
    public var listen: ListenSettings
    /// Who may use the HTTP listener.
    public var tokens = TokenSettings()
    /// Limits of the host as a whole.
    public var limits: HostLimits
    /// By name.
    public var domains: [String: DomainRoute]
    /// By name.
    public var lambdas: [String: LambdaRoute]
    /// What looks like a mistake but can be served: one line each, with file, line and column. No part of equality: a comment that
    /// moves a line changes nothing.
    public var warnings: [String] = []

    /// Makes a table from parts that are already checked.
    public init(
        plugins: String, data: String, listen: ListenSettings = ListenSettings(), limits: HostLimits = HostLimits(),
        domains: [String: DomainRoute], lambdas: [String: LambdaRoute]
    ) {
        self.plugins = plugins
        self.data = data
        self.listen = listen
        self.limits = limits
        self.domains = domains
        self.lambdas = lambdas
    }

    /// Whether tokens are asked for over TCP: they are as soon as there are any.
    public var hasTokens: Bool { tokens.admin != nil || tokens.producers != nil || domains.values.contains { $0.tokens != nil } }

    /// Whether both tables make the host do the same. Warnings do not count.
    public static func == (left: RouteTable, right: RouteTable) -> Bool {
        left.plugins == right.plugins && left.data == right.data && left.libraries == right.libraries && left.listen == right.listen
            && left.tokens == right.tokens && left.limits == right.limits && left.domains == right.domains && left.lambdas == right.lambdas
    }
}

extension RouteTable {
    /// Lambdas that a domain names.
    public var routedLambdas: [LambdaRoute] {
        Set(domains.values.flatMap(\.lambdas)).sorted().compactMap { lambdas[$0] }
    }

    /// Whether a lambda that a domain names lives in a plugin, or there is none.
    public var needsPlugins: Bool {
        let routed = routedLambdas
        return routed.isEmpty || routed.contains { $0.function == nil }
    }

    /// The functions that lambdas in domains are, by their library.
    public var functionsByLibrary: [String: Set<String>] {
        var functions: [String: Set<String>] = [:]
        for case let function? in routedLambdas.map(\.function) { functions[function.library, default: []].insert(function.function) }
        return functions
    }
}
