/// One label of a metric.
public struct MetricLabel: Sendable, Hashable {
    /// Letters, digits and underscores, not beginning with a digit.
    public var name: String
    /// Any text.
    public var value: String

    /// Makes a label.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}
