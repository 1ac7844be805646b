/// What is counted for one lambda in one domain. Make it once and keep it. One thread, the engine's, writes counters and histograms.
public final class LambdaMetrics: Sendable {
    /// Runs begun.
    public let started: Counter
    /// Events that succeeded.
    public let succeeded: Counter
    /// Runs that failed and are tried again.
    public let retried: Counter
    /// Events that became dead letters.
    public let dead: Counter
    /// Events that its filter or an upstream kept away.
    public let skipped: Counter
    /// Deaths of workers by verdict.
    private let crashes: [String: Counter]
    /// Workers that were well and were replaced, by reason.
    private let recycles: [String: Counter]
    /// Events in workers.
    public let inFlight: Gauge
    /// Events in memory that wait for their turn.
    public let waiting: Gauge
    /// Events that wait for a retry, or behind one.
    public let deferred: Gauge
    /// Events that wait for an operator, or behind one.
    public let parked: Gauge
    /// Events that are not done.
    public let lagEvents: Gauge
    /// Age of the oldest event that is not done, whole seconds.
    public let lagSeconds: Gauge
    /// Workers that are ready.
    public let workers: Gauge
    /// From accepting to the start of the handler.
    public let startLatency: LatencyHistogram
    /// From accepting to the end state.
    public let doneLatency: LatencyHistogram

    /// The verdicts that are exposed from the start (DESIGN §1). Any other is counted as `other`.
    public static let verdicts = [
        "exit", "signal", "timeout", "cpu-limit", "memory", "file-size", "seccomp", "protocol", "external", "reload", "shutdown", "boot",
        "other",
    ]
    /// The reasons for which workers are recycled.
    public static let recycleReasons = ["memory", "events", "age", "cpu"]

    /// The metrics of the lambda `name` in `domain`.
    public init(_ registry: MetricsRegistry, lambda name: String, domain: String) {
        let labels = [MetricLabel("lambda", name), MetricLabel("domain", domain)]
        func counter(_ part: String, _ help: String) -> Counter {
            registry.counter("capelet_lambda_\(part)_total", help: help, labels: labels)
        }
        func gauge(_ part: String, _ help: String) -> Gauge { registry.gauge("capelet_lambda_\(part)", help: help, labels: labels) }
        func histogram(_ part: String, _ help: String) -> LatencyHistogram {
            registry.histogram("capelet_lambda_\(part)_seconds", help: help, labels: labels)
        }
        started = counter("started", "Runs begun.")
        succeeded = counter("succeeded", "Events that succeeded.")
        retried = counter("retried", "Runs that failed and are tried again.")
        dead = counter("dead", "Events that became dead letters.")
        skipped = counter("skipped", "Events that a filter or an upstream kept away.")
        crashes = Dictionary(
            uniqueKeysWithValues: Self.verdicts.map { verdict in
                (
                    verdict,
                    registry.counter(
                        "capelet_lambda_crashes_total", help: "Deaths of workers by verdict.",
                        labels: labels + [MetricLabel("verdict", verdict)])
                )
            })
        recycles = Dictionary(
            uniqueKeysWithValues: Self.recycleReasons.map { reason in
                (
                    reason,
                    registry.counter(
                        "capelet_lambda_recycled_total", help: "Workers that were well and were replaced, by reason.",
                        labels: labels + [MetricLabel("reason", reason)])
                )
            })
        inFlight = gauge("in_flight", "Events in workers.")
        waiting = gauge("waiting", "Events in memory that wait for their turn.")
        deferred = gauge("deferred", "Events that wait for a retry, or behind one.")
        parked = gauge("parked", "Events that wait for an operator, or behind one.")
        lagEvents = gauge("lag_events", "Events that are not done.")
        lagSeconds = gauge("lag_seconds", "Age of the oldest event that is not done.")
        workers = gauge("workers", "Workers that are ready.")
        startLatency = histogram("accept_to_start", "From accepting an event to the start of its handler.")
        doneLatency = histogram("accept_to_done", "From accepting an event to its end state.")
    }

    /// Counts the death of a worker.
    public func crashed(verdict: String) {
        (crashes[verdict] ?? crashes["other"])?.add()
    }

    /// Counts a worker that is replaced although it is well.
    public func recycled(reason: String) { recycles[reason]?.add() }

    /// Deaths by verdict, without those that never happened. Any thread.
    public func crashCounts() -> [String: UInt64] {
        crashes.compactMapValues { $0.value == 0 ? nil : $0.value }
    }
}
