/// Limits on routing files themselves, and on what can be set in them.
enum RoutingLimits {
    /// Largest file, bytes.
    static let fileBytesMax = 1 << 20
    /// Deepest nesting of lists and mappings.
    static let depthMax = 64
    /// Most values in a file, each use of an alias counted with all it holds.
    static let valuesMax = 100_000
    /// Most bytes of text in those values.
    static let textBytesMax = 4 << 20
    /// Most problems that are reported.
    static let problemsMax = 50
    /// Most domains, and most lambdas.
    static let namesMax = 4096
    /// Longest name, bytes.
    static let nameBytesMax = 64
    /// Longest path, bytes (PATH_MAX less the final zero).
    static let pathBytesMax = 4095
    /// Most names in `hosts` of `listen`.
    static let hostNamesMax = 64
    /// Largest secret file or file of tokens, bytes.
    static let secretBytesMax = 64 << 10
    /// The largest of all sizes: 1 PiB. Beyond it sums could overflow.
    static let sizeMax: UInt64 = 1 << 50
    /// The longest of all durations: ten years.
    static let durationMax: Duration = .seconds(3650 * 24 * 3600)
}
