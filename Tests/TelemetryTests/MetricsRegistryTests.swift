import Telemetry
import Testing

@Suite struct MetricsRegistryTests {
    @Test func expositionReadsBackExactly() throws {
        let registry = MetricsRegistry()
        let odd = "a\\b\"c\nd=},é"
        registry.counter("capelet_test_total", help: "Back\\slash\nand newline.", labels: [MetricLabel("domain", odd)]).add(7)
        registry.counter("capelet_test_total", help: "ignored", labels: [MetricLabel("domain", "x")]).addShared(UInt64.max)
        registry.gauge("capelet_gauge", help: "A gauge.").set(-3)
        let histogram = registry.histogram(
            "capelet_lat_seconds", help: "Latency.", labels: [MetricLabel("lambda", "l"), MetricLabel("domain", "d")])
        histogram.record(micros: 90)
        histogram.record(micros: 3_000)
        histogram.record(micros: 9_000_000_000)
        let parsed = try PrometheusParser(registry.exposition())
        #expect(parsed.value("capelet_test_total", ["domain": odd]) == 7)
        #expect(parsed.value("capelet_test_total", ["domain": "x"]) == Double(UInt64.max))
        #expect(parsed.value("capelet_gauge") == -3)
        #expect(parsed.families["capelet_test_total"]?.help == "Back\\\\slash\\nand newline.")
        let labels = ["lambda": "l", "domain": "d"]
        #expect(parsed.value("capelet_lat_seconds_bucket", labels.merging(["le": "0.0001"]) { $1 }) == 1)
        #expect(parsed.value("capelet_lat_seconds_bucket", labels.merging(["le": "0.0025"]) { $1 }) == 1)
        #expect(parsed.value("capelet_lat_seconds_bucket", labels.merging(["le": "0.005"]) { $1 }) == 2)
        #expect(parsed.value("capelet_lat_seconds_bucket", labels.merging(["le": "+Inf"]) { $1 }) == 3)
        #expect(parsed.value("capelet_lat_seconds_sum", labels) == 9000.00309)
        #expect(parsed.value("capelet_lat_seconds_count", labels) == 3)
    }

    @Test func handlesAreShared() {
        let metrics = HostMetrics()
        #expect(metrics.lambda("l", domain: "d") === metrics.lambda("l", domain: "d"))
        #expect(metrics.lambda("l", domain: "d") !== metrics.lambda("l", domain: "e"))
        #expect(metrics.domain("d") === metrics.domain("d"))
        let one = metrics.registry.counter("c_total", help: "", labels: [MetricLabel("a", "1")])
        #expect(one === metrics.registry.counter("c_total", help: "", labels: [MetricLabel("a", "1")]))
    }

    @Test func everythingOfALambdaIsExposedAndCanBeForgotten() throws {
        let metrics = HostMetrics()
        let lambda = metrics.lambda("charge", domain: "orders")
        let domain = metrics.domain("orders")
        domain.accepted.addShared(5)
        domain.refused[.backlog]?.addShared()
        lambda.started.add(4)
        lambda.succeeded.add(3)
        lambda.retried.add()
        lambda.dead.add()
        lambda.skipped.add(2)
        lambda.crashed(verdict: "memory")
        lambda.crashed(verdict: "never heard of")
        lambda.inFlight.add(2)
        lambda.inFlight.add(-1)
        lambda.lagEvents.set(clamping: .max)
        lambda.startLatency.record(micros: 12, count: 3)
        var parsed = try PrometheusParser(metrics.registry.exposition())
        let labels = ["lambda": "charge", "domain": "orders"]
        #expect(parsed.value("capelet_events_accepted_total", ["domain": "orders"]) == 5)
        #expect(parsed.value("capelet_events_refused_total", ["domain": "orders", "reason": "backlog"]) == 1)
        #expect(parsed.value("capelet_lambda_started_total", labels) == 4)
        #expect(parsed.value("capelet_lambda_crashes_total", labels.merging(["verdict": "memory"]) { $1 }) == 1)
        #expect(parsed.value("capelet_lambda_crashes_total", labels.merging(["verdict": "other"]) { $1 }) == 1)
        #expect(parsed.value("capelet_lambda_in_flight", labels) == 1)
        #expect(parsed.value("capelet_lambda_lag_events", labels) == Double(Int64.max))
        #expect(parsed.value("capelet_lambda_accept_to_start_seconds_count", labels) == 3)
        #expect(lambda.crashCounts() == ["memory": 1, "other": 1])
        metrics.forget(lambda: "charge", domain: "orders")
        parsed = try PrometheusParser(metrics.registry.exposition())
        #expect(parsed.value("capelet_lambda_started_total", labels) == nil)
        #expect(parsed.value("capelet_events_accepted_total", ["domain": "orders"]) == 5)
    }

    @Test func theParserIsStrict() {
        for bad in [
            "x 1\n", "# HELP a b\n# TYPE a counter\nb 1\n", "# HELP a b\n# TYPE a counter\na{x=\"1} 1\n", "# HELP a b\n# TYPE a nothing\n",
        ] {
            #expect(throws: PrometheusParser.Failure.self) { try PrometheusParser(bad) }
        }
    }
}
