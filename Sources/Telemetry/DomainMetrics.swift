/// What is counted for one domain. Make it once and keep it.
public final class DomainMetrics: Sendable {
    /// Events that became durable. Shared: the doors and the sources count.
    public let accepted: Counter
    /// Bytes of them, as they are stored. Shared.
    public let acceptedBytes: Counter
    /// Events that were known already. Shared.
    public let duplicates: Counter
    /// Events that were refused, by reason. Shared.
    public let refused: [RefusalReason: Counter]
    /// Oldest offset that is kept. Set when metrics are read.
    public let start: Gauge
    /// Offset of the next event. Set when metrics are read.
    public let end: Gauge
    /// Bytes kept. Set when metrics are read.
    public let bytes: Gauge

    /// Why an event was refused.
    public enum RefusalReason: String, Sendable, CaseIterable {
        /// Malformed or over a limit.
        case malformed
        /// The backlog is full.
        case backlog
        /// Its sequence is not above the subject's last.
        case outOfOrder = "out-of-order"
        /// The journal is at fault, or the host is ending.
        case unavailable
    }

    /// The metrics of the domain `name`.
    public init(_ registry: MetricsRegistry, domain name: String) {
        let labels = [MetricLabel("domain", name)]
        accepted = registry.counter("capelet_events_accepted_total", help: "Events that became durable.", labels: labels)
        acceptedBytes = registry.counter(
            "capelet_events_accepted_bytes_total", help: "Bytes of accepted events, as they are stored.", labels: labels)
        duplicates = registry.counter("capelet_events_duplicate_total", help: "Events that were known already.", labels: labels)
        refused = Dictionary(
            uniqueKeysWithValues: RefusalReason.allCases.map { reason in
                (
                    reason,
                    registry.counter(
                        "capelet_events_refused_total", help: "Events that were refused at a door, by reason.",
                        labels: labels + [MetricLabel("reason", reason.rawValue)])
                )
            })
        start = registry.gauge("capelet_domain_start_offset", help: "Oldest offset that is kept.", labels: labels)
        end = registry.gauge("capelet_domain_end_offset", help: "Offset of the next event.", labels: labels)
        bytes = registry.gauge("capelet_domain_bytes", help: "Bytes of events that are kept.", labels: labels)
    }
}
