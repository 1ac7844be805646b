import Journal

/// Joins that are complete and failed; the oldest go when there are too many.
struct FailedJoins {
    private struct Entry {
        var key: JoinKey
        var serial: UInt64
    }

    private var joins: [JoinKey: (parts: [JoinPart], serial: UInt64)] = [:]
    /// From `first` on: all joins in the order in which they came, and stale entries of such as have gone since.
    private var order: [Entry] = []
    private var first = 0
    private var serial: UInt64 = 0
    /// Bytes of their outputs.
    private(set) var bytes = 0

    /// Number of joins.
    var count: Int { joins.count }

    /// Takes a join out.
    mutating func remove(_ key: JoinKey) -> [JoinPart]? {
        guard let found = joins.removeValue(forKey: key)?.parts else { return nil }
        bytes -= Self.size(found)
        return found
    }

    /// Puts a join in; it must not be in.
    mutating func insert(_ key: JoinKey, _ parts: [JoinPart], limits: SchedulerLimits) {
        serial += 1
        joins[key] = (parts, serial)
        order.append(Entry(key: key, serial: serial))
        bytes += Self.size(parts)
        while first < order.count {
            let oldest = order[first]
            if joins[oldest.key]?.serial == oldest.serial {
                guard joins.count > limits.failedJoinsMax || bytes > limits.failedJoinBytesMax else { break }
                _ = remove(oldest.key)
            }
            first += 1
        }
        // What is stale behind a join that stays goes when it is more than half.
        if order.count > 2 * joins.count + 64 {
            order = order[first...].filter { joins[$0.key]?.serial == $0.serial }
            first = 0
        }
    }

    private static func size(_ parts: [JoinPart]) -> Int { parts.reduce(0) { $0 + $1.output.count } }
}
