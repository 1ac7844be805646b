/// Finds the lane of a subject: open addressing with linear probing, no tombstones. One for each route.
struct LaneTable {
    private var keys: [UInt64]
    private var values: [Int32]
    private var mask: Int
    private(set) var count = 0

    /// An empty table.
    init() {
        keys = Array(repeating: 0, count: 64)
        values = Array(repeating: -1, count: 64)
        mask = 63
    }

    /// The hashes are keyed and spread already; this only decorrelates the table's order from theirs.
    @inline(__always) private func slot(_ key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 20) & mask }

    /// The lane for a hash, or -1.
    func find(_ key: UInt64) -> Int32 {
        var at = slot(key)
        while values[at] >= 0 {
            if keys[at] == key { return values[at] }
            at = (at + 1) & mask
        }
        return -1
    }

    /// Adds a hash that is not in the table.
    mutating func insert(_ key: UInt64, _ lane: Int32) {
        if (count + 1) * 4 > (mask + 1) * 3 { grow() }
        var at = slot(key)
        while values[at] >= 0 { at = (at + 1) & mask }
        keys[at] = key
        values[at] = lane
        count += 1
    }

    /// Removes a hash; what followed it in its run moves up.
    mutating func remove(_ key: UInt64) {
        var at = slot(key)
        while values[at] >= 0 && keys[at] != key { at = (at + 1) & mask }
        guard values[at] >= 0 else { return }
        count -= 1
        var hole = at
        var next = (at + 1) & mask
        while values[next] >= 0 {
            let home = slot(keys[next])
            if (next &- home) & mask >= (next &- hole) & mask {
                keys[hole] = keys[next]
                values[hole] = values[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        values[hole] = -1
    }

    private mutating func grow() {
        let oldKeys = keys
        let oldValues = values
        mask = (mask + 1) * 2 - 1
        keys = Array(repeating: 0, count: mask + 1)
        values = Array(repeating: -1, count: mask + 1)
        count = 0
        for (key, value) in zip(oldKeys, oldValues) where value >= 0 { insert(key, value) }
    }

    /// All lanes.
    var lanes: [Int32] { values.filter { $0 >= 0 } }
}
