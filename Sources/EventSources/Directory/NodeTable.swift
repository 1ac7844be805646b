/// A hash table of numbers of nodes, 8 bytes a slot; the owner has the keys and tells what equals what. Open addressing with linear probing;
/// removing closes the gap, so that there are no tombstones to clean up.
struct NodeTable {
    private struct Slot {
        var hash: UInt32
        var node: UInt32
    }

    /// No node.
    static let none = UInt32.max
    private var slots: [Slot]
    private(set) var count = 0

    init() { slots = Array(repeating: Slot(hash: 0, node: Self.none), count: 64) }

    /// Memory in use.
    var bytes: Int { slots.count * MemoryLayout<Slot>.stride }

    private var mask: Int { slots.count - 1 }

    /// The first node with this hash that `isWanted`.
    func first(_ hash: UInt32, _ isWanted: (UInt32) -> Bool) -> UInt32? {
        var at = Int(hash) & mask
        while slots[at].node != Self.none {
            if slots[at].hash == hash, isWanted(slots[at].node) { return slots[at].node }
            at = (at + 1) & mask
        }
        return nil
    }

    mutating func insert(_ hash: UInt32, _ node: UInt32) {
        if (count + 1) * 4 > slots.count * 3 { grow() }
        place(Slot(hash: hash, node: node))
        count += 1
    }

    /// Removes a node that is there; does nothing when it is not.
    mutating func remove(_ hash: UInt32, _ node: UInt32) {
        var gap = Int(hash) & mask
        while slots[gap].node != node {
            if slots[gap].node == Self.none { return }
            gap = (gap + 1) & mask
        }
        count -= 1
        var at = (gap + 1) & mask
        while slots[at].node != Self.none {
            // A slot may move back into the gap unless its own place lies between the gap and it.
            let home = Int(slots[at].hash) & mask
            if (at - home) & mask >= (at - gap) & mask {
                slots[gap] = slots[at]
                gap = at
            }
            at = (at + 1) & mask
        }
        slots[gap].node = Self.none
    }

    private mutating func place(_ slot: Slot) {
        var at = Int(slot.hash) & mask
        while slots[at].node != Self.none { at = (at + 1) & mask }
        slots[at] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Slot(hash: 0, node: Self.none), count: old.count * 2)
        for slot in old where slot.node != Self.none { place(slot) }
    }
}
