import Routing
import Supervisor

/// What a routing file and a set of plugins come to: which generation serves which lambda, and which lambdas cannot be served.
struct HostPlan: Sendable {
    /// The generation for each lambda that a domain names and that can be served.
    var generations: [String: PluginGeneration] = [:]
    /// What the plugins folder has for each lambda; with a rollback this is not what serves.
    var latest: [String: PluginGeneration] = [:]
    /// The rollbacks that hold, by lambda; also of lambdas that no domain names at the moment.
    var rollbacks: [String: Rollback] = [:]
    /// Those that hold no longer, and why.
    var endedRollbacks: [(rollback: Rollback, reason: String)] = []
    /// Why the others cannot be served, by lambda.
    var missing: [String: String] = [:]
    /// How each of those is confined.
    var sandboxes: [String: LambdaSandbox] = [:]
    /// Plugins that cannot be loaded, and why, whether somebody wants them or not.
    var unreadable: [String] = []

    /// Makes the plan; touches nothing but what `kept` does.
    ///
    /// - Parameters:
    ///   - rollbacks: what operators have decided so far.
    ///   - kept: the generation that a rollback leads to.
    init(
        table: RouteTable, scan: PluginScan, rollbacks: [Rollback] = [],
        kept: (Rollback) -> Result<PluginGeneration, PluginFailure> = { .failure(PluginFailure(plugin: $0.plugin, path: "", reason: "")) }
    ) {
        unreadable = scan.failures.map { "\($0)" }.sorted()
        let names = Set(table.domains.values.flatMap(\.lambdas))
        for rollback in rollbacks {
            let found = names.contains(rollback.lambda) ? table.lambdas[rollback.lambda] : nil
            if let reason = Self.end(of: rollback, lambda: found, table: table, scan: scan) {
                endedRollbacks.append((rollback, reason))
            } else {
                self.rollbacks[rollback.lambda] = rollback
            }
        }
        for name in names.sorted() {
            guard let lambda = table.lambdas[name] else { continue }
            let found = lambda.function.map { Self.find($0, scan: scan) } ?? Self.find(lambda, table: table, scan: scan)
            if case .success(let generation) = found { latest[name] = generation }
            switch self.rollbacks[name].map({ Self.serving($0, lambda, kept) }) ?? found {
            case .success(let generation): generations[name] = generation
            case .failure(let reason): missing[name] = reason.text
            }
        }
    }

    /// Decides how each lambda is confined, and makes its state folder. A lambda whose sandbox cannot be had is not served.
    mutating func confine(by planner: SandboxPlanner, table: RouteTable) {
        for name in generations.keys.sorted() {
            guard let route = table.lambdas[name] else { continue }
            var sources: [String] = []
            for domain in table.domains.values where domain.lambdas.contains(name) {
                if case .directory(let settings)? = domain.source { sources.append(settings.path) }
            }
            do throws(SandboxRefusal) {
                sandboxes[name] = try planner.plan(
                    route, state: table.data + "/state/" + name, sources: sources.sorted(), libraries: table.libraries)
            } catch {
                generations[name] = nil
                missing[name] = "\(error)"
            }
        }
    }

    /// The ids of all generations that are needed.
    var inUse: Set<String> { Set(generations.values.map(\.id)).union(rollbacks.values.flatMap { [$0.fromID, $0.toID] }) }

    private struct Missing: Error { var text: String }

    /// Why a rollback holds no longer; nil: it does. A plugin that is not there or cannot be loaded ends nothing: the lambda does not need it.
    private static func end(of rollback: Rollback, lambda: LambdaRoute?, table: RouteTable, scan: PluginScan) -> String? {
        if let function = lambda?.function { return "it is the function \(function.function) now" }
        if let plugin = lambda?.plugin, plugin != rollback.plugin { return "the routing file names the plugin \(plugin)" }
        if let present = scan.generations[rollback.plugin], present.id != rollback.fromID {
            return "\(rollback.plugin) has other contents in the plugins folder"
        }
        if let lambda, case .success(let found) = find(lambda, table: table, scan: scan), found.plugin != rollback.plugin {
            return "the plugin \(found.plugin) has it now"
        }
        return nil
    }

    private static func serving(
        _ rollback: Rollback, _ lambda: LambdaRoute, _ kept: (Rollback) -> Result<PluginGeneration, PluginFailure>
    ) -> Result<PluginGeneration, Missing> {
        let advice = "put the plugin that is wanted into the plugins folder, or run: capelet rollback \(rollback.lambda) --undo"
        switch kept(rollback) {
        case .success(let generation):
            if generation.lambdas.contains(where: { $0.name == lambda.entry }) { return .success(generation) }
            return .failure(Missing(text: "it is \(rollback.words), which has no lambda '\(lambda.entry)'; \(advice)"))
        case .failure(let failure):
            return .failure(Missing(text: "it is \(rollback.words), which cannot be loaded: \(failure.reason); \(advice)"))
        }
    }

    private static func find(_ function: FunctionRoute, scan: PluginScan) -> Result<PluginGeneration, Missing> {
        guard let generation = scan.libraries[function.library] else {
            let reason = scan.libraryFailures[function.library] ?? "it was not looked for"
            return .failure(Missing(text: "its library '\(function.library)' cannot be loaded: \(reason)"))
        }
        if let reason = scan.missingFunctions[LibraryFunction(library: function.library, function: function.function)] {
            return .failure(Missing(text: "its library '\(function.library)' has no function '\(function.function)': \(reason)"))
        }
        return .success(generation)
    }

    private static func find(_ lambda: LambdaRoute, table: RouteTable, scan: PluginScan) -> Result<PluginGeneration, Missing> {
        if let plugin = lambda.plugin {
            if let failure = scan.failures.first(where: { $0.plugin == plugin }) { return .failure(Missing(text: "\(failure)")) }
            guard let generation = scan.generations[plugin] else {
                return .failure(
                    Missing(
                        text: "there is no plugin '\(plugin)' (\(plugin).so or \(plugin)/\(plugin).so) in \(table.plugins)\(known(scan))"))
            }
            guard generation.lambdas.contains(where: { $0.name == lambda.entry }) else {
                let names = generation.lambdas.map(\.name).joined(separator: ", ")
                return .failure(Missing(text: "plugin '\(plugin)' has no lambda '\(lambda.entry)'; it has: \(names)"))
            }
            return .success(generation)
        }
        let found = scan.plugins(exporting: lambda.entry)
        if found.count > 1 {
            let names = found.map(\.plugin).joined(separator: ", ")
            return .failure(Missing(text: "several plugins have a lambda '\(lambda.entry)' (\(names)); say which with `plugin:`"))
        }
        if let only = found.first { return .success(only) }
        let failures = scan.failures.isEmpty ? "" : "; these could not be loaded: " + scan.failures.map { "\($0)" }.joined(separator: "; ")
        return .failure(Missing(text: "no plugin in \(table.plugins) has a lambda '\(lambda.entry)'\(known(scan))\(failures)"))
    }

    private static func known(_ scan: PluginScan) -> String {
        let names = scan.generations.values.sorted { $0.plugin < $1.plugin }
            .map { "\($0.plugin) (\($0.lambdas.map(\.name).joined(separator: ", ")))" }
        return names.isEmpty ? "; no plugin is there" : "; there are: " + names.joined(separator: ", ")
    }
}
