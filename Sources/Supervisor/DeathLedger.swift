/// The last deaths of workers, and how many there were of each kind since the host started.
///
/// Belongs to the engine's thread; `Sendable` copies of its parts go to the status page.
public struct DeathLedger: Sendable {
    /// How many deaths are kept.
    public static let capacity = 256
    private var ring: [Verdict] = []
    private var next = 0
    /// Deaths by kind since the start.
    public private(set) var counts: [Verdict.Kind: UInt64] = [:]
    /// Deaths by lambda since the start, those that the host meant left out.
    public private(set) var countsByLambda: [String: UInt64] = [:]

    /// No deaths.
    public init() {}

    /// Adds one.
    public mutating func add(_ verdict: Verdict) {
        counts[verdict.kind, default: 0] += 1
        if !verdict.isIntended { countsByLambda[verdict.lambda, default: 0] += 1 }
        if ring.count < Self.capacity {
            ring.append(verdict)
        } else {
            ring[next] = verdict
            next = (next + 1) % Self.capacity
        }
    }

    /// The last deaths, oldest first.
    public var recent: [Verdict] { Array(ring[next...] + ring[..<next]) }

    /// The last death of this lambda that the host did not mean.
    public func last(lambda: String) -> Verdict? { recent.last { $0.lambda == lambda && !$0.isIntended } }
}
