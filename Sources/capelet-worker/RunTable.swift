import CCapelet
import CLibC

/// One run of one event, from just before its handler is called until its result is written.
struct Run {
    /// Names it. 0: a free place in the table.
    var token: UInt64 = 0
    var emitBytes = 0
    var outputBytes = 0
    var emitCount = 0
    /// The handler has returned CAPELET_PENDING.
    var isPending = false
    /// A limit of capelet.h was passed: the run ends as fatal, whatever its status.
    var isOverLimit = false
    /// `complete` was called before the handler returned; with `earlyResult`, if it gave one (ours to free).
    var isCompletedEarly = false
    var earlyStatus: Int32 = 0
    var earlyResult: UnsafeMutablePointer<capelet_result>?
}

/// The open runs of a worker, by token: a hash table with open addressing, since every call of the plugin to the host looks a run up, and a
/// worker may hold tens of thousands that are pending. Used under the worker's mutex.
struct RunTable {
    private(set) var count = 0
    private var places: UnsafeMutablePointer<Run>
    /// The number of places is a power of two, at least twice `count`.
    private var mask: Int

    init() {
        mask = 63
        places = Self.makePlaces(mask + 1)
    }

    private static func makePlaces(_ count: Int) -> UnsafeMutablePointer<Run> {
        let places = UnsafeMutablePointer<Run>.allocate(capacity: count)
        places.initialize(repeating: Run(), count: count)
        return places
    }

    @inline(__always)
    private func home(_ token: UInt64) -> Int {
        Int(truncatingIfNeeded: (token &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
    }

    /// The open run of that name, valid until the next change of the table, or nil.
    @inline(__always)
    func find(_ token: UInt64) -> UnsafeMutablePointer<Run>? {
        if token == 0 { return nil }
        var place = home(token)
        while places[place].token != token {
            if places[place].token == 0 { return nil }
            place = (place + 1) & mask
        }
        return places + place
    }

    mutating func insert(_ token: UInt64) {
        if (count + 1) * 2 > mask + 1 { grow() }
        insert(Run(token: token))
        count += 1
    }

    private func insert(_ run: Run) {
        var place = home(run.token)
        while places[place].token != 0 { place = (place + 1) & mask }
        places[place] = run
    }

    private mutating func grow() {
        let old = places
        let oldCount = mask + 1
        mask = oldCount * 2 - 1
        places = Self.makePlaces(mask + 1)
        for i in 0..<oldCount where old[i].token != 0 { insert(old[i]) }
        old.deallocate()
    }

    /// Takes a run out. Others move up into the hole, so that no search ends too early.
    mutating func remove(_ run: UnsafeMutablePointer<Run>) {
        if let result = run.pointee.earlyResult { free(result) }
        count -= 1
        var hole = run - places
        var place = hole
        while true {
            place = (place + 1) & mask
            if places[place].token == 0 { break }
            // It may move only if the hole lies between its home and its place.
            let fromHome = (place - home(places[place].token)) & mask
            if fromHome >= (place - hole) & mask {
                places[hole] = places[place]
                hole = place
            }
        }
        places[hole] = Run()
    }
}
