internal import CLinux
internal import Glibc
internal import Logging
internal import Routing

/// Scans under way: that of everything, and above it that of one directory.
struct ScanStack: ~Copyable {
    private var innermost: ScanLink?

    var isRunning: Bool { innermost != nil }
    var isRunningWhole: Bool { scan(where: { $0.isEmpty }) != nil }
    /// Files that the scan of everything has seen so far.
    var wholeFiles: Int { scan(where: { $0.isEmpty })?.scan.files ?? 0 }
    var top: ScanLink? { innermost }

    mutating func push(_ scan: consuming DirectoryScan) { innermost = ScanLink(scan, below: innermost) }
    mutating func pop() { innermost = innermost?.below }
    mutating func removeAll() { innermost = nil }

    private func scan(where isWanted: (RelativePath) -> Bool) -> ScanLink? {
        var at = innermost
        while let link = at {
            if isWanted(link.scan.path) { return link }
            at = link.below
        }
        return nil
    }
}

/// Directories that have to be scanned.
struct WantedScans {
    private var order: [RelativePath] = []
    private var all: Set<RelativePath> = []

    var isEmpty: Bool { order.isEmpty }

    mutating func insert(_ path: RelativePath) {
        if all.insert(path).inserted { order.append(path) }
    }

    /// The last one that does not lie in another one.
    mutating func popNotCovered() -> RelativePath? {
        while let path = order.popLast() {
            all.remove(path)
            var above = path
            var isCovered = false
            while !all.isEmpty, !isCovered, let slash = above.lastIndex(of: UInt8(ascii: "/")) {
                above.removeSubrange(slash...)
                isCovered = all.contains(above)
            }
            if !isCovered { return path }
        }
        return nil
    }
}

/// One of the scans of a `ScanStack`.
final class ScanLink {
    var scan: DirectoryScan
    let below: ScanLink?

    init(_ scan: consuming DirectoryScan, below: ScanLink?) {
        self.scan = scan
        self.below = below
    }
}

extension DirectoryLoop {
    /// The next scan of everything begins no sooner: at least half of the time there is none.
    var earliestScan: Int64 { lastScanEnded == .min ? .min : lastScanEnded + lastScanNanos }

    /// Whether scans of old places of directories may begin: after all others of single directories.
    var takesMovedDirectories: Bool { wantedScans.isEmpty && (scans.top.map { $0.scan.path.isEmpty } ?? true) }

    /// Begins scans that are due and goes on with the innermost one.
    func runScans() {
        let now = Moment.nanos(CLOCK_MONOTONIC)
        if !scans.isRunningWhole, now >= max(wholeScanAt, earliestScan), !scans.isRunning {
            checkRoot()
            guard heldUntil == nil else { return }
            // It sees whatever was to be scanned anyway.
            wantedScans = WantedScans()
            movedDirectories = []
            wholeScanAt = .max
            unreadable = []
            watches.beginScan()
            scans.push(DirectoryScan(path: [], number: detector.beginScan(), began: now))
        }
        if takesMovedDirectories {
            while let moved = movedDirectories.first, moved.at <= now {
                wantedScans.insert(moved.path)
                movedDirectories.removeFirst()
            }
        }
        var budget = Self.entriesPerTurn
        while budget > 0, !detector.isCrowded {
            beginWantedScan()
            guard let link = scans.top else { return }
            budget -= 1
            if link.scan.unseen == nil { walk(link) } else { sweep(link) }
            guard heldUntil == nil else { return }
        }
    }

    func abandonScans() { scans.removeAll() }

    /// Begins the scan of a directory that was asked for, one at a time. The last one first: of a directory that moved that is the new place, whose
    /// files then find their old places before those are taken as gone.
    private func beginWantedScan() {
        while !wantedScans.isEmpty, scans.top.map({ $0.scan.path.isEmpty }) ?? true {
            guard let path = wantedScans.popNotCovered() else { return }
            scans.push(DirectoryScan(path: path, number: detector.beginScan(), began: Moment.nanos(CLOCK_MONOTONIC)))
        }
    }

    private func walk(_ link: ScanLink) {
        switch link.scan.step(&tree) {
        case .file(let path, let observation, let moment): detector.observe(path, observation, at: moment)
        case .directory(let path, let descriptor):
            unreadable.remove(path)
            watches.watch(descriptor, path: path, scan: link.scan.number)
        case .unreadable(let path, let error):
            if path.isEmpty {
                hold("it cannot be read: \(String(cString: strerror(error)))")
                return
            }
            detector.keep(path, scan: link.scan.number)
            if unreadable.insert(path).inserted, unreadable.count <= 10 {
                log.warning(
                    "a directory cannot be read; what is known of it is kept",
                    metadata: ["path": "\(rootText)/\(SubjectEncoding.text(path))", "reason": "\(String(cString: strerror(error)))"])
            }
        case .tooLong(let path):
            tooLong += 1
            guard tooLong <= 10 else { return }
            log.warning(
                "a path over \(SubjectEncoding.pathBytesMax) bytes is not announced",
                metadata: ["begins": "\(SubjectEncoding.text(path.prefix(100)))"])
        case .other: break
        case .end:
            let now = Moment.nanos(CLOCK_MONOTONIC)
            link.scan.unseen = detector.unseen(below: link.scan.path, scan: link.scan.number)
            if link.scan.path.isEmpty { detector.sweepActive(scan: link.scan.number, now: now) }
        }
    }

    private func sweep(_ link: ScanLink) {
        guard let unseen = link.scan.unseen else { return }
        let now = Moment.nanos(CLOCK_MONOTONIC)
        if link.scan.swept < unseen.count {
            let end = min(link.scan.swept + 100, unseen.count)
            detector.sweep(unseen[link.scan.swept..<end], scan: link.scan.number, now: now)
            link.scan.swept = end
            return
        }
        scans.pop()
        if link.scan.path.isEmpty { ended(link, now: now) }
    }

    private func ended(_ link: ScanLink, now: Int64) {
        watches.endScan(link.scan.number)
        lastScanEnded = now
        lastScanNanos = now - link.scan.began
        let isFirst = status.lastScan == nil
        status.lastScan = SourceStatus.Scan(
            endedMillis: Moment.nanos(CLOCK_REALTIME) / 1_000_000, durationMillis: lastScanNanos / 1_000_000, files: link.scan.files,
            directories: link.scan.directories, unreadable: link.scan.unreadable)
        log.log(
            level: isFirst ? .info : .debug, "directory scanned",
            metadata: [
                "path": "\(rootText)", "files": "\(link.scan.files)", "directories": "\(link.scan.directories)",
                "milliseconds": "\(lastScanNanos / 1_000_000)",
            ])
        let refresh = settings.refresh.nanos
        var interval = refresh
        if watches.shortage == 0 {
            status.state = .watching
            status.detail = ""
        } else {
            // Without watches only scans find changes: more often, but not all the time.
            interval = min(refresh, max(5_000_000_000, 10 * lastScanNanos))
            status.state = .polling
            status.detail = shortageReason(link.scan.directories)
            if loggedShortage != watches.shortage {
                log.warning("directories are polled", metadata: ["path": "\(rootText)", "reason": "\(status.detail)"])
            }
        }
        loggedShortage = watches.shortage
        // Asked for again meanwhile: as soon as possible.
        if wholeScanAt == .max { wholeScanAt = now + interval }
    }

    private func shortageReason(_ directories: Int) -> String {
        switch watches.shortage {
        case ENOSPC:
            "\(watches.count) of \(directories) directories are watched: raise the limit with sysctl fs.inotify.max_user_watches=N"
        case EMFILE where watches.descriptor < 0:
            "no inotify instance is left: raise the limit with sysctl fs.inotify.max_user_instances=N, or that of open files"
        default: "inotify: \(String(cString: strerror(watches.shortage)))"
        }
    }
}

extension Duration {
    /// In nanoseconds; at most some 292 years.
    var nanos: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : min(product + attoseconds / 1_000_000_000, .max / 4)
    }
}
