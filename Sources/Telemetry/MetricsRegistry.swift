import Synchronization

/// All metrics that are exposed, by family and labels. Any thread.
///
/// Asking twice for the same name and labels gives the same handle. Asking with another kind or help text is a programmer's error.
public final class MetricsRegistry: Sendable {
    enum Kind: String {
        case counter, gauge, histogram
    }

    enum Handle {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(LatencyHistogram)
    }

    struct Family {
        var kind: Kind
        var help: String
        /// By written-out labels, so that the order is stable.
        var children: [String: Handle] = [:]
        var labels: [String: [MetricLabel]] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    /// Upper bounds of the exposed latency buckets, microseconds.
    public static let latencyBounds: [UInt64] = [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
        30_000_000, 60_000_000, 300_000_000, 3_600_000_000,
    ]

    /// A registry without metrics.
    public init() {}

    /// The counter with this name and these labels. The name ends in `_total` by convention.
    public func counter(_ name: String, help: String, labels: [MetricLabel] = []) -> Counter {
        let handle = child(name, .counter, help, labels) { .counter(Counter()) }
        guard case .counter(let counter) = handle else { preconditionFailure("\(name) is not a counter") }
        return counter
    }

    /// The gauge with this name and these labels.
    public func gauge(_ name: String, help: String, labels: [MetricLabel] = []) -> Gauge {
        let handle = child(name, .gauge, help, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = handle else { preconditionFailure("\(name) is not a gauge") }
        return gauge
    }

    /// The latency histogram with this name and these labels; recorded in microseconds, exposed in seconds. The name ends in `_seconds` by
    /// convention.
    public func histogram(_ name: String, help: String, labels: [MetricLabel] = []) -> LatencyHistogram {
        let handle = child(name, .histogram, help, labels) { .histogram(LatencyHistogram()) }
        guard case .histogram(let histogram) = handle else { preconditionFailure("\(name) is not a histogram") }
        return histogram
    }

    /// Stops exposing everything that has all of these labels (a lambda that was removed). Handles go on working, unseen.
    public func remove(labels: [MetricLabel]) {
        families.withLock { families in
            for name in families.keys {
                let gone = families[name]!.labels.filter { entry in labels.allSatisfy { entry.value.contains($0) } }.map(\.key)
                for key in gone {
                    families[name]!.children[key] = nil
                    families[name]!.labels[key] = nil
                }
            }
        }
    }

    /// Everything in Prometheus' text format 0.0.4, families and children in the order of their names.
    public func exposition() -> String {
        let families = families.withLock { $0 }
        var text = PrometheusText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.children.isEmpty {
            text.family(name, kind: family.kind.rawValue, help: family.help)
            for (labels, handle) in family.children.sorted(by: { $0.key < $1.key }) {
                switch handle {
                case .counter(let counter): text.sample(name, labels: labels, value: counter.value)
                case .gauge(let gauge): text.sample(name, labels: labels, value: gauge.value)
                case .histogram(let histogram):
                    text.histogram(name, labels: labels, snapshot: histogram.snapshot(), boundsMicros: Self.latencyBounds)
                }
            }
        }
        return text.text
    }

    private func child(_ name: String, _ kind: Kind, _ help: String, _ labels: [MetricLabel], make: () -> Handle) -> Handle {
        precondition(PrometheusText.isMetricName(name), "\(name) is not a metric's name")
        precondition(
            labels.allSatisfy { PrometheusText.isLabelName($0.name) && $0.name != "le" }, "\(name) has a label with an impossible name")
        let key = PrometheusText.labels(labels)
        return families.withLock { families in
            var family = families[name] ?? Family(kind: kind, help: help)
            precondition(family.kind == kind, "\(name) was made as a \(family.kind)")
            if let handle = family.children[key] { return handle }
            let handle = make()
            family.children[key] = handle
            family.labels[key] = labels
            families[name] = family
            return handle
        }
    }
}
