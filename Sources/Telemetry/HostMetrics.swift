import Synchronization

/// The registry with the sets of metrics for domains and lambdas, each made once. Any thread.
public final class HostMetrics: Sendable {
    /// All metrics.
    public let registry = MetricsRegistry()

    private struct RouteKey: Hashable {
        var lambda: String
        var domain: String
    }
    private let domains = Mutex<[String: DomainMetrics]>([:])
    private let lambdas = Mutex<[RouteKey: LambdaMetrics]>([:])

    /// No domains and lambdas yet.
    public init() {}

    /// The metrics of a domain, made when they are first asked for.
    public func domain(_ name: String) -> DomainMetrics {
        domains.withLock { domains in
            if let known = domains[name] { return known }
            let made = DomainMetrics(registry, domain: name)
            domains[name] = made
            return made
        }
    }

    /// The metrics of a lambda in a domain, made when they are first asked for. Look up once and keep.
    public func lambda(_ name: String, domain: String) -> LambdaMetrics {
        lambdas.withLock { lambdas in
            let key = RouteKey(lambda: name, domain: domain)
            if let known = lambdas[key] { return known }
            let made = LambdaMetrics(registry, lambda: name, domain: domain)
            lambdas[key] = made
            return made
        }
    }

    /// Stops exposing a lambda in a domain.
    public func forget(lambda name: String, domain: String) {
        lambdas.withLock { $0[RouteKey(lambda: name, domain: domain)] = nil }
        registry.remove(labels: [MetricLabel("lambda", name), MetricLabel("domain", domain)])
    }

    /// Stops exposing a domain.
    public func forget(domain name: String) {
        domains.withLock { $0[name] = nil }
        registry.remove(labels: [MetricLabel("domain", name)])
    }
}
