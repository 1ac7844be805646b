/// Times at which paths have to be looked at; a binary heap. Times are never taken back: who takes one out checks whether it still holds.
struct TimerHeap {
    struct Entry {
        /// Monotonic, nanoseconds.
        var time: Int64
        var path: RelativePath
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }
    var count: Int { entries.count }

    mutating func push(_ time: Int64, _ path: RelativePath) {
        entries.append(Entry(time: time, path: path))
        var at = entries.count - 1
        while at > 0, entries[(at - 1) / 2].time > entries[at].time {
            entries.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func popFirst() -> Entry? {
        guard let first = entries.first else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first }
        entries[0] = last
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < entries.count && entries[child].time < entries[least].time { least = child }
            if least == at { return first }
            entries.swapAt(at, least)
            at = least
        }
    }
}

/// A queue of paths with numbered places. What is taken out is dropped in large pieces, so that both ends cost the same.
struct PathQueue {
    private var paths: [RelativePath] = []
    private var head = 0
    /// Place of the first path in `paths`.
    private var base: UInt64 = 0

    var isEmpty: Bool { head == paths.count }
    var count: Int { paths.count - head }

    /// Returns the path's place.
    @discardableResult
    mutating func append(_ path: RelativePath) -> UInt64 {
        paths.append(path)
        return base + UInt64(paths.count - 1)
    }

    mutating func popFirst() -> (path: RelativePath, place: UInt64)? {
        guard head < paths.count else { return nil }
        let first = (paths[head], base + UInt64(head))
        head += 1
        if head == paths.count || (head > 4096 && head > paths.count / 2) {
            paths.removeFirst(head)
            base += UInt64(head)
            head = 0
        }
        return first
    }
}
