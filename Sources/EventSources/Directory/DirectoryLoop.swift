internal import CLinux
internal import Glibc
internal import Journal
internal import Logging
internal import Routing

/// The thread of a directory source: the shell around `ChangeDetector`. It reads inotify and the mailbox, looks, scans and hands batches
/// to the journal, a bounded amount of each in every turn, so that none keeps the others waiting.
///
/// Made by one thread, then run and owned by another.
final class DirectoryLoop {
    /// Directories and files that are dealt with in one turn.
    static let looksPerTurn = 1000
    static let entriesPerTurn = 1000
    /// How long the end waits for the journal.
    static let stopNanos: Int64 = 5_000_000_000
    /// How often a root that is gone is looked for.
    static let holdNanos: Int64 = 1_000_000_000

    let settings: DirectorySourceSettings
    let source: String
    let journal: any SourceJournal
    let mailbox: DirectoryMailbox
    let encoding: AnnouncementEncoding
    let rootText: String
    var log: Logger

    var tree: DirectoryTree
    var watches: DirectoryWatches
    var detector: ChangeDetector
    var status = SourceStatus()

    /// The root as the journal knows it; as it is written with the next batch; in which batch that is.
    var savedRoot: RootIdentity?
    var rootWrites: [UInt64: RootIdentity] = [:]
    /// When to look for the root again; nil: it is there.
    var heldUntil: Int64?
    var isRootSuspect = false
    /// The kernel keeps silent on a root that is removed as long as it is open here.
    static let rootCheckNanos: Int64 = 2_000_000_000
    var rootCheckAt: Int64 = .min

    /// Scans under way: the last one runs, the one of everything is the first.
    var scans = ScanStack()
    var wantedScans = WantedScans()
    /// Directories that were moved away, and when they are scanned: after the place they were moved to, if that is below the root.
    var movedDirectories: [(path: RelativePath, at: Int64)] = []
    /// When everything is scanned next.
    var wholeScanAt: Int64 = .min
    var lastScanEnded: Int64 = .min
    var lastScanNanos: Int64 = 0
    /// Directories that cannot be read.
    var unreadable: Set<RelativePath> = []
    /// Old paths of moves whose new path is not known yet, by cookie.
    var movedFrom: [UInt32: RelativePath] = [:]
    var loggedShortage: Int32 = 0
    var failureLoggedAt: Int64?
    /// Paths that were too long; the first ones are logged.
    var tooLong = 0

    init(
        settings: DirectorySourceSettings, source: String, tree: consuming DirectoryTree, encoding: AnnouncementEncoding,
        detector: ChangeDetector, savedRoot: RootIdentity?, journal: any SourceJournal, mailbox: DirectoryMailbox, log: Logger,
        watchesMax: Int = .max
    ) {
        self.settings = settings
        self.source = source
        self.journal = journal
        self.mailbox = mailbox
        self.encoding = encoding
        self.rootText = SubjectEncoding.text(tree.path)
        self.log = log
        self.tree = tree
        self.detector = detector
        self.savedRoot = savedRoot
        watches = DirectoryWatches(limit: watchesMax)
        status.state = .scanning
        status.files = detector.catalog.count
    }

    /// Runs until the mailbox wants it to stop.
    func run() {
        rootOpened()
        while turn() {}
        finish()
    }

    /// One turn; false when it is to end.
    private func turn() -> Bool {
        let hasMoreEvents = readEvents()
        let mail = mailbox.take()
        if mail.wantsStop {
            settle(mail.outcomes)
            return false
        }
        settle(mail.outcomes)
        if mail.wantsScan || detector.takeOverflow() { wholeScanAt = .min }
        let now = Moment.nanos(CLOCK_MONOTONIC)
        if heldUntil == nil, isRootSuspect || now >= rootCheckAt {
            isRootSuspect = false
            rootCheckAt = now + Self.rootCheckNanos
            checkRoot()
        }
        if let until = heldUntil {
            if now >= until { reopenRoot() }
        } else {
            for path in mail.pings { pinged(path) }
            runLooks()
            if heldUntil == nil { runScans() }
        }
        sendBatches()
        publish()
        wait(hasMoreEvents: hasMoreEvents)
        return true
    }

    private func wait(hasMoreEvents: Bool) {
        let now = Moment.nanos(CLOCK_MONOTONIC)
        var wake = rootCheckAt
        if let heldUntil {
            wake = heldUntil
        } else if hasMoreEvents || ((scans.isRunning || !wantedScans.isEmpty) && !detector.isCrowded) {
            wake = now
        } else {
            if !scans.isRunning { wake = min(wake, max(wholeScanAt, earliestScan)) }
            if takesMovedDirectories, let moved = movedDirectories.first { wake = min(wake, moved.at) }
            if let due = detector.nextWake(now: now) { wake = min(wake, due) }
        }
        var descriptors = [
            pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: watches.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        // Rounded up: a timer that is not due yet must not spin.
        let millis = wake <= now ? 0 : Int32(clamping: (wake - now + 999_999) / 1_000_000)
        poll(&descriptors, 2, millis)
    }

    /// Waits, not forever, for what the journal has been given; then lets go of everything.
    private func finish() {
        let end = Moment.nanos(CLOCK_MONOTONIC) + Self.stopNanos
        while detector.batchesUnderWay > 0 {
            let left = end - Moment.nanos(CLOCK_MONOTONIC)
            if left <= 0 {
                log.warning(
                    "the journal has not answered; what is under way is found again at the next start",
                    metadata: ["batches": "\(detector.batchesUnderWay)"])
                break
            }
            var descriptor = pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, Int32(clamping: left / 1_000_000 + 1))
            settle(mailbox.take().outcomes)
        }
        status.state = .stopped
        publish()
    }

    // MARK: Looks

    private func pinged(_ path: RelativePath) {
        if case .directory = tree.look(path) { wantScan(path) }
        tree.forgetParent()
        detector.ping(path, .changed, now: Moment.nanos(CLOCK_MONOTONIC))
    }

    private func runLooks() {
        let paths = detector.takeLooks(now: Moment.nanos(CLOCK_MONOTONIC), limit: Self.looksPerTurn)
        guard !paths.isEmpty else { return }
        var seen: [(Observation, Moment)?] = []
        seen.reserveCapacity(paths.count)
        var hasAbsent = false
        for path in paths {
            let moment = Moment.now()
            switch tree.look(path) {
            case .seen(let observation):
                seen.append((observation, moment))
                if observation == .absent { hasAbsent = true }
            case .directory: seen.append((.absent, moment))
            case .failed: seen.append(nil)
            }
        }
        tree.forgetParent()
        // Nothing is gone because the root is.
        if hasAbsent, !tree.isCurrent() {
            for path in paths { detector.unreadable(path) }
            checkRoot()
            return
        }
        for (path, seen) in zip(paths, seen) {
            if let seen { detector.observe(path, seen.0, at: seen.1) } else { detector.unreadable(path) }
        }
    }

    // MARK: The journal

    private func sendBatches() {
        while let batch = detector.takeBatch(now: Moment.nanos(CLOCK_MONOTONIC)) {
            let records = encoding.records(batch.announcements, wall: Moment.nanos(CLOCK_REALTIME))
            var changes = encoding.changes(batch.announcements, offset: journal.end(of: encoding.stream))
            if savedRoot != tree.identity, rootWrites.isEmpty, heldUntil == nil {
                rootWrites[batch.id] = tree.identity
                changes.append(.put(key: CatalogRow.rootKey, value: tree.identity.encoded()))
            }
            let id = batch.id
            journal.append(
                AppendRequest(stream: encoding.stream, records: records, source: source, sourceChanges: changes) { [mailbox] result in
                    mailbox.post { mail in
                        switch result {
                        case .success: mail.outcomes.append((id, nil))
                        case .failure(let error): mail.outcomes.append((id, error))
                        }
                    }
                })
        }
    }

    private func settle(_ outcomes: [(batch: UInt64, error: JournalError?)]) {
        for outcome in outcomes {
            let now = Moment.nanos(CLOCK_MONOTONIC)
            let root = rootWrites.removeValue(forKey: outcome.batch)
            guard let error = outcome.error else {
                if let root { savedRoot = root }
                detector.succeeded(outcome.batch, now: now)
                if status.lastError != nil {
                    status.lastError = nil
                    failureLoggedAt = nil
                    log.notice("the journal takes events again")
                }
                continue
            }
            detector.failed(outcome.batch, now: now)
            status.lastError = error.message
            if now - (failureLoggedAt ?? .min / 2) > 60_000_000_000 {
                failureLoggedAt = now
                log.warning(
                    "the journal did not take events; nothing is lost, they are tried again", metadata: ["error": "\(error.message)"])
            }
        }
    }

    private func publish() {
        status.files = detector.catalog.count
        status.pending = detector.pending
        status.announced = detector.announced
        status.scanned = scans.wholeFiles
        status.watches = watches.count
        mailbox.status = status
    }
}
