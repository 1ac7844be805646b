@testable import EventSources

/// A small world around a detector: a file system whose clock ticks every 4 ms and which uses inode numbers again, inotify that is late and may
/// lose events, scans that take their time, and a journal that is slow, refuses, and outlives crashes.
struct DetectorWorld {
    struct File: Equatable {
        var inode: UInt64
        var size: Int64
        var modified: Int64
        var changed: Int64
        var isOpen = false
        /// When it last changed, other than by a move of its directory; for checking only.
        var touched: Int64

        var state: FileState { FileState(size: size, modified: modified, changed: changed, inode: inode) }
    }

    enum Ping {
        case ping(RelativePath, ChangeDetector.Ping)
        case hint(RelativePath, from: RelativePath)
    }

    struct Scan {
        var number: UInt32
        var waiting: [RelativePath]
        var unseen: [Catalog.NodeID]?
    }

    var random: SeededRandom
    var detector: ChangeDetector
    var files: [RelativePath: File] = [:]
    var freeInodes: [UInt64] = []
    var lastInode: UInt64 = 0
    var pings: [Ping] = []
    var hasLost = false
    var scan: Scan?
    var batches: [(batch: AnnouncementBatch, taken: Int64)] = []
    var durable: [RelativePath: FileState] = [:]
    /// When the last event of each path was taken for the journal.
    var lastEvent: [RelativePath: Int64] = [:]
    var violations: [String] = []
    var events = 0
    var moves = 0
    var now: Int64 = 1_000_000_000
    let settings: ChangeDetector.Settings

    static let paths = ["a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "f/a", "f/e/a", "f/b"].map { Array($0.utf8) }
    static let directories = ["d", "d/e", "f"].map { Array($0.utf8) }

    init(seed: UInt64) {
        random = SeededRandom(seed)
        var settings = ChangeDetector.Settings()
        settings.batchEvents = 3
        settings.batchesMax = 3
        // Some worlds are impatient, or have little memory.
        if seed % 4 == 1 { settings.patience = 600_000_000 }
        if seed % 5 == 2 { settings.activeMax = 4 }
        self.settings = settings
        detector = ChangeDetector(settings: settings, catalog: Catalog())
    }

    var wall: Int64 { 1_700_000_000_000_000_000 + now / 4_000_000 * 4_000_000 }
    var moment: Moment { Moment(monotonic: now, wall: wall) }

    // MARK: The file system

    mutating func act() {
        let path = Self.paths.randomElement(using: &random)!
        switch Int.random(in: 0..<10, using: &random) {
        case 0...2: write(path)
        case 3: close(path)
        case 4...5: delete(path)
        case 6...7: rename(path, Self.paths.randomElement(using: &random)!)
        case 8: renameDirectory()
        default: if let file = files[path] { link(path, file) }
        }
    }

    private mutating func tell(_ ping: Ping) {
        if random.chance(3) { hasLost = true } else { pings.append(ping) }
    }

    private mutating func write(_ path: RelativePath) {
        var file: File
        if let old = files[path] {
            file = old
        } else {
            if random.chance(60), let inode = freeInodes.popLast() {
                file = File(inode: inode, size: 0, modified: 0, changed: 0, touched: 0)
            } else {
                lastInode += 1
                file = File(inode: lastInode, size: 0, modified: 0, changed: 0, touched: 0)
            }
        }
        file.size = Int64.random(in: 0...1, using: &random)
        if random.chance(80) { file.modified = wall }
        file.changed = wall
        file.touched = now
        file.isOpen = true
        set(path, file)
        tell(.ping(path, .written))
        if random.chance(60) { close(path) }
    }

    /// All names of the same inode change together.
    private mutating func set(_ path: RelativePath, _ file: File) {
        for (other, old) in files where old.inode == file.inode && other != path {
            files[other] = file
            // inotify tells only of the name that was used.
            hasLost = true
        }
        files[path] = file
    }

    private mutating func close(_ path: RelativePath) {
        guard var file = files[path], file.isOpen else { return }
        file.isOpen = false
        set(path, file)
        tell(.ping(path, .closed))
    }

    private mutating func delete(_ path: RelativePath) {
        guard let file = files.removeValue(forKey: path) else { return }
        if var rest = files.first(where: { $0.value.inode == file.inode }) {
            rest.value.changed = wall
            set(rest.key, rest.value)
            hasLost = true
        } else {
            freeInodes.append(file.inode)
        }
        tell(.ping(path, .changed))
    }

    private mutating func rename(_ from: RelativePath, _ to: RelativePath) {
        guard from != to, var file = files[from], files[to]?.inode != file.inode else { return }
        if files[to] != nil { delete(to) }
        files[from] = nil
        file.changed = wall
        file.touched = now
        if files.values.contains(where: { $0.inode == file.inode }) { hasLost = true }
        set(to, file)
        tell(.ping(from, .changed))
        if random.chance(90) { tell(.hint(to, from: from)) }
        tell(.ping(to, .closed))
    }

    private mutating func link(_ path: RelativePath, _ file: File) {
        guard let to = Self.paths.first(where: { files[$0] == nil }) else { return }
        var file = file
        file.changed = wall
        file.touched = now
        files[to] = file
        set(path, file)
        tell(.ping(path, .changed))
        tell(.ping(to, .written))
        hasLost = true
    }

    /// Like the shell, this leaves it to a scan of both.
    private mutating func renameDirectory() {
        let from = Self.directories.randomElement(using: &random)!
        let to = Self.directories.randomElement(using: &random)!
        guard !from.starts(with: to), !to.starts(with: from) else { return }
        for (path, file) in files where path.starts(with: to + [0x2f]) && file.size >= 0 { delete(path) }
        for (path, file) in files where path.starts(with: from + [0x2f]) {
            files[path] = nil
            files[to + path.dropFirst(from.count)] = file
        }
        hasLost = true
    }

    // MARK: The shell

    mutating func deliver(_ count: Int) {
        for ping in pings.prefix(count) {
            switch ping {
            case .ping(let path, let kind): detector.ping(path, kind, now: now)
            case .hint(let path, let from): detector.hint(path, from: from, now: now)
            }
        }
        pings.removeFirst(min(count, pings.count))
    }

    private func seen(_ path: RelativePath) -> Observation { files[path].map { .file($0.state) } ?? .absent }

    mutating func look() {
        for path in detector.takeLooks(now: now, limit: Int.random(in: 1...20, using: &random)) {
            if random.chance(1) {
                detector.unreadable(path)
                hasLost = true
            } else {
                detector.observe(path, seen(path), at: moment)
            }
        }
    }

    mutating func scanStep() {
        guard var scan else {
            guard hasLost else { return }
            hasLost = false
            self.scan = Scan(number: detector.beginScan(), waiting: Self.allPaths.shuffled(using: &random))
            return
        }
        if let path = scan.waiting.popLast() {
            if files[path] != nil { detector.observe(path, seen(path), at: moment) }
        } else if let unseen = scan.unseen {
            detector.sweep(unseen[...], scan: scan.number, now: now)
            self.scan = nil
            return
        } else {
            scan.unseen = detector.unseen(below: [], scan: scan.number)
            detector.sweepActive(scan: scan.number, now: now)
        }
        self.scan = scan
    }

    /// Renaming directories makes paths that are not in `paths`.
    static let allPaths: [RelativePath] = {
        var all = Set(paths)
        for _ in 0..<4 {
            for path in all {
                for from in directories where path.starts(with: from + [0x2f]) {
                    for to in directories where !from.starts(with: to) && !to.starts(with: from) {
                        let moved = to + path.dropFirst(from.count)
                        if moved.count < 12 { all.insert(moved) }
                    }
                }
            }
        }
        return all.sorted { $0.lexicographicallyPrecedes($1) }
    }()

    mutating func takeBatches() {
        while let batch = detector.takeBatch(now: now) {
            let underWay = Set(batches.flatMap { $0.batch.announcements.map(\.path) })
            for announcement in batch.announcements where underWay.contains(announcement.path) {
                violations.append("two appends under way for one path")
            }
            if Set(batch.announcements.map(\.path)).count != batch.announcements.count { violations.append("a path twice in a batch") }
            batches.append((batch, now))
        }
    }

    mutating func answer() {
        guard !batches.isEmpty else { return }
        let (batch, taken) = batches.remove(at: Int.random(in: 0..<batches.count, using: &random))
        if random.chance(20) {
            detector.failed(batch.id, now: now)
        } else {
            apply(batch, taken)
            detector.succeeded(batch.id, now: now)
        }
    }

    private mutating func apply(_ batch: AnnouncementBatch, _ taken: Int64) {
        for announcement in batch.announcements {
            let path = announcement.path
            events += 1
            let known = durable[path]
            if (announcement.kind == .created) != (known == nil) {
                violations.append("\(announcement.kind) of a file known: \(known != nil)")
            }
            if (announcement.kind == .deleted) != (announcement.state == nil) {
                violations.append("\(announcement.kind) with the wrong state")
            }
            if let known, known == announcement.state { violations.append("the same state twice") }
            if let from = announcement.from {
                moves += 1
                if !batch.announcements.contains(where: { $0.path == from && $0.to == path && $0.kind == .deleted }) {
                    violations.append("half a move")
                }
            }
            if let to = announcement.to, !batch.announcements.contains(where: { $0.path == to && $0.from == path }) {
                violations.append("half a move")
            }
            durable[path] = announcement.state
            lastEvent[path] = taken
        }
    }

    /// The process dies; some of what was under way is in the journal, and a new one starts.
    mutating func crash() {
        for (batch, taken) in batches where random.chance(50) { apply(batch, taken) }
        batches = []
        pings = []
        scan = nil
        hasLost = true
        var catalog = Catalog()
        for (path, state) in durable { catalog.put(path, state, seen: 0) }
        detector = ChangeDetector(settings: settings, catalog: catalog)
    }

    mutating func step() {
        now += [0, 100_000, 1_000_000, 3_000_000, 20_000_000, 300_000_000].randomElement(using: &random)!
        switch Int.random(in: 0..<12, using: &random) {
        case 0...2: act()
        case 3...4: deliver(Int.random(in: 1...4, using: &random))
        case 5...6: look()
        case 7: scanStep()
        case 8...9: takeBatches()
        case 10: answer()
        default: if random.chance(3) { crash() }
        }
        if detector.takeOverflow() { hasLost = true }
    }

    /// The world stands still; false when the detector does not come to rest.
    mutating func settle() -> Bool {
        for path in files.keys { close(path) }
        for _ in 0..<20_000 {
            deliver(100)
            look()
            scanStep()
            takeBatches()
            answer()
            now += 5_000_000
            if detector.takeOverflow() { hasLost = true }
            if pings.isEmpty, scan == nil, !hasLost, batches.isEmpty, detector.pending == 0 { return true }
        }
        return false
    }

    /// What is wrong at the end.
    mutating func check() -> [String] {
        let actual = files.mapValues(\.state)
        if durable != actual { violations.append("the journal's catalog is not what is there: \(Self.difference(durable, actual))") }
        var catalog: [RelativePath: FileState] = [:]
        detector.catalog.forEach { catalog[$0] = $1 }
        if catalog != durable { violations.append("memory and journal differ") }
        for (path, file) in files where (lastEvent[path] ?? 0) < file.touched {
            violations.append("\(String(decoding: path, as: UTF8.self)) changed after its last event")
        }
        return violations
    }

    private static func difference(_ one: [RelativePath: FileState], _ other: [RelativePath: FileState]) -> [String] {
        Set(one.keys).union(other.keys).filter { one[$0] != other[$0] }.map { String(decoding: $0, as: UTF8.self) }
    }
}
