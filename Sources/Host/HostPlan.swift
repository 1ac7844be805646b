import Routing
import Supervisor

/// What a routing file and a set of plugins come to: which generation serves which lambda, and which lambdas cannot be served.
struct HostPlan: Sendable {
    /// The generation for each lambda that a domain names and that can be served.
    var generations: [String: PluginGeneration] = [:]
    /// Why the others cannot be served, by lambda.
    var missing: [String: String] = [:]
    /// How each of those is confined.
    var sandboxes: [String: LambdaSandbox] = [:]
    /// Plugins that cannot be loaded, and why, whether somebody wants them or not.
    var unreadable: [String] = []

    /// Makes the plan; touches nothing.
    init(table: RouteTable, scan: PluginScan) {
        unreadable = scan.failures.map { "\($0)" }.sorted()
        for name in Set(table.domains.values.flatMap(\.lambdas)).sorted() {
            guard let lambda = table.lambdas[name] else { continue }
            let found = lambda.function.map { Self.find($0, scan: scan) } ?? Self.find(lambda, table: table, scan: scan)
            switch found {
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

    private struct Missing: Error { var text: String }

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
