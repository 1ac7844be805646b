// Telemetry: what the host counts and measures about itself, and the text in which Prometheus reads it.
//
// Whoever counts asks the registry once for a handle (`Counter`, `Gauge`, `LatencyHistogram`, or the ready-made sets `DomainMetrics` and
// `LambdaMetrics`) and keeps it. Counting is then a relaxed load and store on the handle's own words: no lock, no lookup, no allocation.
// Reading (`MetricsRegistry.exposition`) happens on another thread, sees each word whole, and may see one handle a moment older than
// another.
//
// Invariants:
// - A counter or histogram that says so has one writing thread. `addShared` is for those that have several.
// - A set of labels is written out once, when its handle is made.
