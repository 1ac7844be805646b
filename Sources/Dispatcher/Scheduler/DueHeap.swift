/// Lanes whose rows become due, the earliest first: a binary heap. Entries may be stale; the lane's serial and due time tell.
struct DueHeap {
    /// One entry.
    struct Entry {
        /// When. Monotonic microseconds.
        var dueMicros: UInt64
        /// The lane's place.
        var lane: Int32
        /// The lane's serial when the entry was made.
        var serial: UInt32
    }

    private var entries: [Entry] = []

    /// Number of entries, stale ones included.
    var count: Int { entries.count }

    /// The earliest entry.
    var first: Entry? { entries.first }

    /// Adds an entry.
    mutating func push(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if entries[parent].dueMicros <= entries[child].dueMicros { break }
            entries.swapAt(parent, child)
            child = parent
        }
    }

    /// Removes and returns the earliest entry.
    mutating func pop() -> Entry? {
        guard let top = entries.first else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            var parent = 0
            while true {
                var child = parent * 2 + 1
                if child >= entries.count { break }
                if child + 1 < entries.count && entries[child + 1].dueMicros < entries[child].dueMicros { child += 1 }
                if entries[parent].dueMicros <= entries[child].dueMicros { break }
                entries.swapAt(parent, child)
                parent = child
            }
        }
        return top
    }
}
