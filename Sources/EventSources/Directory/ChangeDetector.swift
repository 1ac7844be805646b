/// Decides, from what was seen and when, where to look next and what to announce. Pure: no clock, no files, no threads. The owner (the
/// directory loop; in tests a simulation) feeds it and does what it says:
///
///     ping, hint               a path may have changed         ─┐
///     observe, unreadable      what a look or a scan has seen    ├▶ takeLooks   paths to look at now
///     beginScan … sweep        what a scan has not seen          │  takeBatch   announcements for the journal
///     succeeded, failed        what became of a batch          ─┘  nextWake    when to ask again
///
/// A path is *active* from the first sign of a change until what was seen of it is what the journal has:
///
///     looking ──observed──▶ (same as announced: no longer active)
///        ▲                  waiting  until quiet, or for the other half of a move ──due──▶ looking
///        │                  ready    to be announced ──takeBatch──▶ in flight ──succeeded──▶ looking or no longer active
///        └──────ping───────                                             └──failed──▶ waiting
///
/// Promises: at most one append is under way for a path. The catalog changes only when the journal has the change. A path is announced only
/// in a state that differs from the announced one. Absence is believed only from a look, never from what a scan missed.
struct ChangeDetector {
    struct Settings: Sendable {
        /// How long nothing must have been written to a file whose closing was not seen. All in nanoseconds.
        var quiet: Int64 = 500_000_000
        /// After so long a file that never gets quiet is announced as it is.
        var patience: Int64 = 60_000_000_000
        /// How long a vanished file waits for its appearance elsewhere.
        var moveWindow: Int64 = 50_000_000
        /// The clock that stamps inodes stands still for so long at most. A file that was changed within the tick it is looked at could change again
        /// without a trace; it is looked at again in the next tick, and believed after `tickMax` in any case (another machine's clock).
        var tick: Int64 = 4_000_000
        var tickMax: Int64 = 20_000_000
        /// Limits of a batch and of batches under way. A second batch goes out early; more only when they are full.
        var batchEvents = 1000
        var batchBytes = 256 << 10
        var batchesMax = 8
        /// From so many active paths on scans have to wait (`isCrowded`) …
        var crowded = 20_000
        /// … and from so many pings of other paths are dropped, and a scan asked for (`takeOverflow`).
        var activeMax = 100_000
        /// First and longest pause after a failed append.
        var backoffMin: Int64 = 100_000_000
        var backoffMax: Int64 = 5_000_000_000
    }

    /// What a ping tells.
    enum Ping: Sendable {
        /// Something was written: it is not quiet.
        case written
        /// It was closed after writing, or moved here whole.
        case closed
        /// Anything else.
        case changed
    }

    enum Stage: UInt8 {
        /// In the queue of looks, or being looked at.
        case looking
        /// Until `due`.
        case waiting
        /// In the queue of announcements.
        case ready
        /// Vanished, and announced together with the path it moved to.
        case paired
        /// In flight, and nothing new known.
        case idle
    }

    struct Active {
        var observed: Observation?
        /// When `observed` was first seen.
        var observedSince: Int64 = 0
        /// When it was first known that it is not as announced.
        var dirtySince: Int64
        /// When something was written, as far as seen.
        var lastWrite: Int64?
        /// Its closing was seen after the last write.
        var isClosed = false
        /// A ping has told of writing or closing since it was last looked at.
        var isTold = false
        var stage = Stage.idle
        var due: Int64 = 0
        /// Number of its place in the queue of looks; earlier places do not count any more.
        var place: UInt64 = 0
        /// What the catalog will say when its batch succeeds.
        var inFlight: Observation?
        /// Where it moved from: by inotify's word; and as it will be announced.
        var hint: RelativePath?
        var movedFrom: RelativePath?
        /// Paired: where it moved to.
        var movedTo: RelativePath?
        /// Whether the other half of a move was asked for.
        var hasAsked = false
        /// It never gets quiet, and is announced as it was within the tick it was looked at: it may have changed since without a trace.
        var isUncertain = false
        /// The last scan that saw it.
        var seen: UInt32
    }

    let settings: Settings
    /// What the journal has.
    private(set) var catalog: Catalog
    /// Announcements in the journal since the start.
    private(set) var announced: UInt64 = 0

    private var active: [RelativePath: Active] = [:]
    private var looks = PathQueue()
    private var timers = TimerHeap()
    private var ready = PathQueue()
    private var batches: [UInt64: AnnouncementBatch] = [:]
    private var nextBatch: UInt64 = 1
    private var scan: UInt32 = 1
    private var hasOverflowed = false
    private var failures = 0
    private var retryAt: Int64 = .min

    init(settings: Settings, catalog: Catalog) {
        self.settings = settings
        self.catalog = catalog
    }

    /// Paths with a change that is not in the journal yet.
    var pending: Int { active.count }
    /// Whether scans should wait.
    var isCrowded: Bool { active.count >= settings.crowded }
    /// Whether there is something to look at right now.
    var hasLooks: Bool { !looks.isEmpty }
    /// Batches under way.
    var batchesUnderWay: Int { batches.count }

    /// Whether pings were dropped since the last call: then only a scan can tell.
    mutating func takeOverflow() -> Bool {
        defer { hasOverflowed = false }
        return hasOverflowed
    }

    // MARK: Signs of change

    /// A path may have changed.
    mutating func ping(_ path: RelativePath, _ ping: Ping, now: Int64) {
        guard var entry = active[path] ?? newEntry(now: now) else { return }
        release(path, &entry)
        entry.hasAsked = false
        switch ping {
        case .written:
            entry.lastWrite = now
            entry.isClosed = false
            entry.isTold = true
            // A look that is coming anyway will do; a timer that comes too early is set again then.
            if entry.stage != .looking { wait(path, &entry, until: quietAt(entry, now: now), keepingEarlier: true) }
        case .closed:
            entry.lastWrite = now
            entry.isClosed = true
            entry.isTold = true
            look(path, &entry)
        case .changed:
            look(path, &entry)
        }
        active[path] = entry
    }

    /// inotify says that `path` was moved here from `from`; before the ping for `path`.
    mutating func hint(_ path: RelativePath, from: RelativePath, now: Int64) {
        guard var entry = active[path] ?? newEntry(now: now) else { return }
        release(path, &entry)
        entry.hint = from
        look(path, &entry)
        active[path] = entry
    }

    /// Paths to look at now, `limit` at most; each has to be answered by `observe` or `unreadable`.
    mutating func takeLooks(now: Int64, limit: Int) -> [RelativePath] {
        while let timer = timers.first, timer.time <= now {
            _ = timers.popFirst()
            guard var entry = active[timer.path], entry.stage == .waiting, entry.due == timer.time else { continue }
            // Written to since the timer was set: then it is not quiet yet.
            if entry.observed != .absent, !entry.isClosed, let last = entry.lastWrite, entry.inFlight == nil,
                min(last + settings.quiet, entry.dirtySince + settings.patience) > now
            {
                wait(timer.path, &entry, until: quietAt(entry, now: now), keepingEarlier: false)
            } else {
                look(timer.path, &entry)
            }
            active[timer.path] = entry
        }
        var result: [RelativePath] = []
        while result.count < limit, let (path, place) = looks.popFirst() {
            if let entry = active[path], entry.stage == .looking, entry.place == place { result.append(path) }
        }
        return result
    }

    /// What is at `path`, as a look or a scan has seen it; `moment` is from before it was looked at.
    mutating func observe(_ path: RelativePath, _ observation: Observation, at moment: Moment) {
        let node = catalog.find(path)
        if let node { catalog.markSeen(node, scan: scan) }
        let now = moment.monotonic
        guard var entry = active[path] else {
            if observation == (node.map { .file(catalog.state($0)) } ?? .absent) { return }
            var entry = Active(dirtySince: now, seen: scan)
            entry.observed = observation
            entry.observedSince = now
            decide(path, &entry, moment)
            return
        }
        entry.seen = scan
        let isTold = entry.isTold
        entry.isTold = false
        if entry.observed != observation {
            release(path, &entry)
            // It changed between two looks: somebody writes, and nobody has told.
            if !isTold, case .file = entry.observed, case .file = observation {
                entry.lastWrite = now
                entry.isClosed = false
            }
            entry.observed = observation
            entry.observedSince = now
            entry.hasAsked = false
        } else if entry.stage == .ready || entry.stage == .paired || (entry.stage == .waiting && entry.due > now) {
            active[path] = entry
            return
        }
        decide(path, &entry, moment)
    }

    /// `path` could not be looked at: what is known of it stays, and a scan tries again.
    mutating func unreadable(_ path: RelativePath) {
        guard var entry = active[path] else { return }
        if entry.inFlight == nil {
            release(path, &entry)
            active[path] = nil
        } else {
            entry.stage = .idle
            active[path] = entry
        }
    }

    // MARK: Scans

    /// A scan begins; its number is for `keep` and `unseen`. Scans may be nested.
    mutating func beginScan() -> UInt32 {
        scan += 1
        return scan
    }

    /// A scan could not read the directory at `path`.
    mutating func keep(_ path: RelativePath, scan: UInt32) { catalog.keep(path, scan: scan) }

    /// What a scan below `path` has not seen: to be handed to `sweep`, piece by piece.
    func unseen(below path: RelativePath, scan: UInt32) -> [Catalog.NodeID] { catalog.unseen(below: path, scan: scan) }

    /// Sees to it that files that a scan has not seen are looked at.
    mutating func sweep(_ nodes: ArraySlice<Catalog.NodeID>, scan: UInt32, now: Int64) {
        for node in nodes where catalog.isUnseen(node, scan: scan) { ping(catalog.path(node), .changed, now: now) }
    }

    /// After a scan of everything: looks at the active paths that it has not seen (announced, but not yet in the catalog, and gone again).
    mutating func sweepActive(scan: UInt32, now: Int64) {
        for (path, entry) in active where entry.seen < scan && entry.observed != .absent { ping(path, .changed, now: now) }
    }

    // MARK: Announcing

    /// Announcements for the journal; nil when there are none, or enough under way. Each batch has to be answered by `succeeded` or `failed`.
    mutating func takeBatch(now: Int64) -> AnnouncementBatch? {
        guard now >= retryAt, !ready.isEmpty else { return nil }
        let isFull = ready.count >= settings.batchEvents
        guard batches.count < (failures > 0 ? 1 : isFull ? settings.batchesMax : 2) else { return nil }
        var batch = AnnouncementBatch(id: nextBatch, announcements: [])
        var bytes = 0
        while batch.announcements.count < settings.batchEvents, bytes < settings.batchBytes, let (path, _) = ready.popFirst() {
            guard var entry = active[path], entry.stage == .ready, let observed = entry.observed else { continue }
            let base = catalog.observation(path)
            let from = entry.movedFrom
            if let from, var other = active[from] {
                precondition(other.stage == .paired && other.inFlight == nil, "a moved file waits for the one it became")
                other.inFlight = .absent
                other.stage = .idle
                other.movedTo = nil
                active[from] = other
                batch.announcements.append(Announcement(path: from, kind: .deleted, to: path))
            }
            let state = entry.isUncertain ? observed.state?.uncertain : observed.state
            batch.announcements.append(
                Announcement(
                    path: path, kind: state == nil ? .deleted : base == .absent ? .created : .modified, state: state, from: from))
            entry.inFlight = state.map { .file($0) } ?? .absent
            entry.stage = .idle
            entry.movedFrom = nil
            entry.hint = nil
            active[path] = entry
            bytes += path.count * 2 + (from?.count ?? 0) * 3 + 256
        }
        guard !batch.announcements.isEmpty else { return nil }
        nextBatch += 1
        batches[batch.id] = batch
        return batch
    }

    /// The batch is in the journal.
    mutating func succeeded(_ id: UInt64, now: Int64) {
        guard let batch = batches.removeValue(forKey: id) else { return }
        failures = 0
        retryAt = .min
        announced += UInt64(batch.announcements.count)
        for announcement in batch.announcements {
            let path = announcement.path
            guard var entry = active[path] else { preconditionFailure("a path in flight is active") }
            if let state = announcement.state { catalog.put(path, state, seen: entry.seen) } else { catalog.remove(path) }
            let target = entry.inFlight
            entry.inFlight = nil
            if entry.stage == .idle {
                if entry.observed == target {
                    active[path] = nil
                    continue
                }
                look(path, &entry)
            }
            entry.dirtySince = now
            active[path] = entry
        }
    }

    /// The batch is not in the journal, and nothing of it. Returns when it is tried again.
    @discardableResult
    mutating func failed(_ id: UInt64, now: Int64) -> Int64 {
        guard let batch = batches.removeValue(forKey: id) else { return retryAt }
        if now >= retryAt {
            retryAt = now + min(settings.backoffMin << min(Int64(failures), 10), settings.backoffMax)
            failures += 1
        }
        for announcement in batch.announcements {
            guard var entry = active[announcement.path] else { preconditionFailure("a path in flight is active") }
            entry.inFlight = nil
            entry.hasAsked = false
            if let from = announcement.from { entry.hint = from }
            // Looked at again then, since much may have happened meanwhile.
            if entry.stage == .idle { wait(announcement.path, &entry, until: retryAt, keepingEarlier: false) }
            active[announcement.path] = entry
        }
        return retryAt
    }

    /// When `takeLooks` or `takeBatch` may have something, if nothing else happens; nil: never.
    func nextWake(now: Int64) -> Int64? {
        if !looks.isEmpty { return now }
        let timer = timers.first?.time
        guard !ready.isEmpty, batches.isEmpty else { return timer }
        return min(timer ?? .max, max(now, retryAt))
    }

    // MARK: Deciding

    private mutating func newEntry(now: Int64) -> Active? {
        guard active.count < settings.activeMax else {
            hasOverflowed = true
            return nil
        }
        return Active(dirtySince: now, seen: scan)
    }

    /// What to do with an active path, now that something was seen of it.
    private mutating func decide(_ path: RelativePath, _ entry: inout Active, _ moment: Moment) {
        let now = moment.monotonic
        guard let observed = entry.observed else { preconditionFailure("nothing was seen") }
        if entry.inFlight != nil {
            // Its batch comes first; then it is looked at again, if there is anything new.
            entry.stage = .idle
            active[path] = entry
            return
        }
        let base = catalog.observation(path)
        if observed == base {
            active[path] = nil
            return
        }
        switch observed {
        case .absent:
            let until = entry.observedSince + settings.moveWindow
            if now < until {
                wait(path, &entry, until: until, keepingEarlier: false)
            } else {
                entry.stage = .ready
                ready.append(path)
            }
        case .file(let state):
            let from = base.state?.inode == state.inode ? nil : origin(path, entry, state)
            let isSettled = isSettled(entry, at: moment) || (from != nil && entry.lastWrite == nil)
            guard isSettled || now - entry.dirtySince >= settings.patience else {
                wait(path, &entry, until: settledAt(entry, state, moment), keepingEarlier: false)
                break
            }
            let isInTick = state.changed >= moment.wall
            if isInTick, isSettled || base.state == state.uncertain, now - entry.observedSince < settings.tickMax {
                wait(path, &entry, until: now + settings.tick, keepingEarlier: false)
                break
            }
            if let from, isGone(from) {
                active[from]?.stage = .paired
                active[from]?.movedTo = path
                entry.movedFrom = from
            } else if let from, !entry.hasAsked, askAbout(from, now: now) {
                entry.hasAsked = true
                wait(path, &entry, until: now, keepingEarlier: false)
                break
            }
            entry.isUncertain = isInTick && !isSettled
            entry.stage = .ready
            ready.append(path)
        }
        active[path] = entry
    }

    private func isSettled(_ entry: Active, at moment: Moment) -> Bool {
        if isSettled(entry, now: moment.monotonic) { return true }
        // Nobody was seen writing: then the inode's own time tells for how long it has been quiet.
        guard entry.lastWrite == nil, let state = entry.observed?.state else { return false }
        return moment.wall - state.changed >= settings.quiet
    }

    private func isSettled(_ entry: Active, now: Int64) -> Bool {
        entry.isClosed || now - (entry.lastWrite ?? entry.observedSince) >= settings.quiet
    }

    private func settledAt(_ entry: Active, _ state: FileState, _ moment: Moment) -> Int64 {
        let now = moment.monotonic
        var time = (entry.lastWrite ?? entry.observedSince) + settings.quiet
        let age = moment.wall - state.changed
        if entry.lastWrite == nil, age >= 0 { time = min(time, now + settings.quiet - age) }
        return max(now + 1_000_000, min(time, entry.dirtySince + settings.patience))
    }

    private func quietAt(_ entry: Active, now: Int64) -> Int64 {
        max(now, min((entry.lastWrite ?? now) + settings.quiet, entry.dirtySince + settings.patience))
    }

    // MARK: Moves

    /// Where the file at `path` may have come from: a path that the catalog knows with the same inode.
    private func origin(_ path: RelativePath, _ entry: Active, _ state: FileState) -> RelativePath? {
        if let hint = entry.hint, hint != path, catalog.observation(hint).state?.inode == state.inode { return hint }
        guard let node = catalog.file(inode: state.inode) else { return nil }
        // Inode numbers are used again; size and mtime tell that it is the same file.
        let known = catalog.state(node)
        guard known.size == state.size, known.modified == state.modified else { return nil }
        let from = catalog.path(node)
        return from == path ? nil : from
    }

    private func isGone(_ path: RelativePath) -> Bool {
        guard let entry = active[path] else { return false }
        return entry.observed == .absent && entry.inFlight == nil && entry.stage != .paired
    }

    /// Has the other end of a possible move looked at; false when there is no sense in it.
    private mutating func askAbout(_ path: RelativePath, now: Int64) -> Bool {
        guard var entry = active[path] ?? newEntry(now: now) else { return false }
        if entry.inFlight != nil || entry.stage == .paired || entry.observed?.state != nil { return false }
        look(path, &entry)
        active[path] = entry
        return true
    }

    /// Takes a path out of the announcements; its other half, if it moved, has to be decided on again.
    private mutating func release(_ path: RelativePath, _ entry: inout Active) {
        if let from = entry.movedFrom {
            entry.movedFrom = nil
            entry.hint = from
            if var other = active[from], other.stage == .paired {
                other.movedTo = nil
                look(from, &other)
                active[from] = other
            }
        }
        if let to = entry.movedTo {
            entry.movedTo = nil
            if var other = active[to] {
                other.movedFrom = nil
                if other.stage == .ready { other.stage = .idle }
                look(to, &other)
                active[to] = other
            }
        }
        if entry.stage == .ready || entry.stage == .paired { entry.stage = .idle }
    }

    private mutating func look(_ path: RelativePath, _ entry: inout Active) {
        if entry.stage != .looking { entry.place = looks.append(path) }
        entry.stage = .looking
    }

    private mutating func wait(_ path: RelativePath, _ entry: inout Active, until: Int64, keepingEarlier: Bool) {
        if keepingEarlier, entry.stage == .waiting, entry.due <= until { return }
        entry.stage = .waiting
        entry.due = until
        timers.push(until, path)
    }
}
