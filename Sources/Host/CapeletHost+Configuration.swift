import Dispatcher
import Foundation
import Journal
import Logging
import Routing
import Supervisor

// From a routing file and plugins to what the engine works from.

extension CapeletHost {
    /// What a plan comes to in this data directory.
    struct Made {
        var configuration: EngineConfiguration
        var streams: [String: StreamID]
        var routes: [RouteState]
    }

    /// Makes streams, routes and folders as needed and describes it all for the engine.
    ///
    /// - Parameter known: routes that the engine has already: their deferred events are not read again.
    func configuration(table: RouteTable, plan: HostPlan, known: Set<RouteID>) throws -> Made {
        var streams: [String: StreamID] = [:]
        var domains: [String: DomainTarget] = [:]
        for (name, domain) in table.domains {
            let stream = try journal.stream(.domain, named: name)
            journal.configure(stream, Self.settings(domain, table: table))
            streams[name] = stream
            domains[name] = DomainTarget(stream: stream, payloadBytesMax: domain.payloadBytesMax)
        }
        var routes: [RouteSpec] = []
        for (name, domain) in table.domains.sorted(by: { $0.key < $1.key }) {
            guard let domainStream = streams[name] else { continue }
            var inputs: [String: StreamID] = [:]
            for lambda in domain.lambdas {
                guard let route = table.lambdas[lambda], !route.after.isEmpty else { continue }
                inputs[lambda] = try journal.stream(.input, named: "\(name)/\(lambda)")
            }
            for lambda in domain.lambdas {
                guard let route = table.lambdas[lambda] else { continue }
                let dependents = domain.lambdas.compactMap { other -> DependentSpec? in
                    guard let after = table.lambdas[other]?.after, after.contains(lambda), let stream = inputs[other] else { return nil }
                    return DependentSpec(lambda: other, stream: stream, upstreams: after)
                }
                let stream = inputs[lambda] ?? domainStream
                let state = try journal.route(lambda: lambda, domain: name, stream: stream, start: start(route))
                if state.isNew {
                    let place = route.after.isEmpty ? "offset \(state.watermark)" : "what its upstreams finish from now on"
                    logger.notice("\(lambda) is new in domain \(name): it begins with \(place) (`from: \(Self.word(route.from))`)")
                } else if !known.contains(state.id) {
                    let oldest = journal.start(of: stream)
                    if oldest > state.watermark && route.after.isEmpty {
                        logger.warning("\(lambda) has missed \(oldest - state.watermark) events of domain \(name): they are no longer kept")
                    }
                }
                routes.append(
                    RouteSpec(
                        state: state, domainStream: domainStream, streamEnd: journal.end(of: stream), dependents: dependents,
                        heads: known.contains(state.id) ? [] : try journal.deferredHeads(state.id)))
            }
        }
        journal.setLive(routes.map(\.state.id))

        var pools: [PoolSpec] = []
        var workers: [WorkerSpec] = []
        for name in Set(table.domains.values.flatMap(\.lambdas)).sorted() {
            guard let route = table.lambdas[name] else { continue }
            let numbers = table.domains.values.filter { $0.lambdas.contains(name) }.compactMap { domain in
                streams[domain.name].map { (number: $0.rawValue, name: domain.name) }
            }
            var version = Hasher()
            version.combine(plan.generations[name]?.id)
            version.combine(route.function)
            version.combine(try route.config.jsonText(resolvingSecrets: true))
            if let generation = plan.generations[name] {
                workers.append(
                    try WorkerSpec(
                        route: route, generation: generation, domains: numbers, stateDirectory: table.data + "/state/" + name,
                        sandbox: plan.sandboxes[name] ?? LambdaSandbox()))
            }
            pools.append(PoolSpec(lambda: route, version: UInt64(bitPattern: Int64(version.finalize()))))
        }
        return Made(
            configuration: EngineConfiguration(
                pools: pools, routes: routes, workers: workers, domains: domains, drainMillis: Int64(table.limits.drain / .milliseconds(1))),
            streams: streams, routes: routes.map(\.state))
    }

    private func start(_ route: LambdaRoute) -> RouteStart {
        guard route.after.isEmpty else { return .beginning }
        switch route.from {
        case .now: return .end
        case .beginning: return .beginning
        case .offset(let offset): return .position(offset)
        }
    }

    private static func word(_ from: StartPosition) -> String {
        switch from {
        case .now: "now"
        case .beginning: "beginning"
        case .offset(let offset): "\(offset)"
        }
    }

    private static func settings(_ domain: DomainRoute, table: RouteTable) -> StreamSettings {
        var settings = StreamSettings()
        settings.producerSequence = domain.sequence == .producer
        settings.deduplicateSeconds = domain.deduplicate.components.seconds
        settings.deduplicateCountMax = domain.deduplicateCountMax
        settings.retentionSeconds = domain.retention.components.seconds
        settings.retentionBytesMax = domain.retentionBytesMax
        settings.backlogBytesMax = table.limits.backlogBytesMax
        return settings
    }
}
