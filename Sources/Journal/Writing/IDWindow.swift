/// The ids that a stream remembers, with the positions of their events, oldest first.
///
/// A ring of entries in the order of their coming and an open-addressing table over it (linear probing, at most half full; a slot holds 32
/// bits of the hash and the ring index, so that a miss touches one cache line). No allocation per id. Owned by the writer.
final class IDWindow {
    private struct Entry {
        var id: IDHash
        var offset: UInt64
        var atMillis: Int64
    }

    private var ring: UnsafeMutablePointer<Entry>
    private var ringMask: Int
    private var table: UnsafeMutablePointer<UInt64>
    private var tableMask: Int
    /// Running number of the oldest entry; its place in the ring is this, masked.
    private var first = 0
    /// Number of ids.
    private(set) var count = 0

    /// An empty window.
    init() {
        let capacity = 1024
        ring = .allocate(capacity: capacity)
        ringMask = capacity - 1
        table = .allocate(capacity: capacity * 2)
        table.initialize(repeating: 0, count: capacity * 2)
        tableMask = capacity * 2 - 1
    }

    deinit {
        ring.deallocate()
        table.deallocate()
    }

    /// The position of the event with this id; when it is not known, remembers it with `offset` as the newest and returns nil.
    func offset(of id: IDHash, orInsert offset: UInt64, atMillis: Int64) -> UInt64? {
        if count > ringMask { grow() }
        let tag = id.high & 0xffff_ffff_0000_0000
        var slot = Int(truncatingIfNeeded: id.low) & tableMask
        while table[slot] != 0 {
            if table[slot] & 0xffff_ffff_0000_0000 == tag {
                let entry = ring + Int(truncatingIfNeeded: (table[slot] & 0xffff_ffff) - 1)
                if entry.pointee.id == id { return entry.pointee.offset }
            }
            slot = (slot + 1) & tableMask
        }
        let place = (first + count) & ringMask
        (ring + place).initialize(to: Entry(id: id, offset: offset, atMillis: atMillis))
        table[slot] = tag | UInt64(place + 1)
        count += 1
        return nil
    }

    /// The position of the event with this id.
    func offset(of id: IDHash) -> UInt64? {
        var slot = Int(truncatingIfNeeded: id.low) & tableMask
        while table[slot] != 0 {
            let entry = ring + Int(truncatingIfNeeded: (table[slot] & 0xffff_ffff) - 1)
            if entry.pointee.id == id { return entry.pointee.offset }
            slot = (slot + 1) & tableMask
        }
        return nil
    }

    /// Forgets the newest ids until `count` are left: what a group remembered that was not written.
    func removeNewest(downTo count: Int) {
        while self.count > count {
            removeFromTable(place: (first + self.count - 1) & ringMask)
            self.count -= 1
        }
    }

    /// Forgets the oldest ids, until at most `countMax` are left and none is older than `sinceMillis`.
    func removeOldest(countMax: Int, sinceMillis: Int64) {
        while count > 0, count > countMax || ring[first & ringMask].atMillis < sinceMillis {
            removeFromTable(place: first & ringMask)
            first += 1
            count -= 1
        }
    }

    /// Position of the event with the oldest id; nil when no id is remembered.
    var oldestOffset: UInt64? { count > 0 ? ring[first & ringMask].offset : nil }

    private func removeFromTable(place: Int) {
        var hole = Int(truncatingIfNeeded: ring[place].id.low) & tableMask
        while table[hole] & 0xffff_ffff != UInt64(place + 1) { hole = (hole + 1) & tableMask }
        // Close the gap, so that no probe ends early: move back what may lie in the hole (Knuth, volume 3, 6.4, algorithm R).
        var next = (hole + 1) & tableMask
        while table[next] != 0 {
            let home = Int(truncatingIfNeeded: ring[Int(truncatingIfNeeded: (table[next] & 0xffff_ffff) - 1)].id.low) & tableMask
            if (next &- home) & tableMask >= (next &- hole) & tableMask {
                table[hole] = table[next]
                hole = next
            }
            next = (next + 1) & tableMask
        }
        table[hole] = 0
    }

    private func grow() {
        let capacity = (ringMask + 1) * 2
        let old = ring
        let oldMask = ringMask
        ring = .allocate(capacity: capacity)
        ringMask = capacity - 1
        table.deallocate()
        table = .allocate(capacity: capacity * 2)
        table.initialize(repeating: 0, count: capacity * 2)
        tableMask = capacity * 2 - 1
        for number in first..<first + count {
            let entry = old[number & oldMask]
            let place = number & ringMask
            (ring + place).initialize(to: entry)
            var slot = Int(truncatingIfNeeded: entry.id.low) & tableMask
            while table[slot] != 0 { slot = (slot + 1) & tableMask }
            table[slot] = entry.id.high & 0xffff_ffff_0000_0000 | UInt64(place + 1)
        }
        old.deallocate()
    }
}
