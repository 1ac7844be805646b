internal import Glibc
public import Journal
public import Logging
public import Routing
internal import Synchronization
internal import WorkerProtocol

/// A folder as a source of events: every regular file in it, at any depth, is a subject; `AnnouncementEncoding` tells what its events look
/// like, SEMANTICS §8 when they come.
///
/// - Symbolic links below the root are not followed and are no subjects, like everything that is neither file nor directory. Mounts are crossed.
/// - A change is a change of size, mtime, ctime or inode. Two quick changes can be one event: it tells that the file is not what it was.
/// - `created` is announced where the catalog has nothing at that path, else `modified`, also when a moved file replaces one (with `from`).
/// - While the root is gone or cannot be read, and for directories that cannot be read, nothing is announced as deleted.
///
/// All functions may be called from any thread.
public final class DirectorySource: EventSource {
    private let settings: DirectorySourceSettings
    private let stream: StreamID
    private let journal: any SourceJournal
    private let log: Logger
    private let source: String
    private let detection: ChangeDetector.Settings
    private let watchesMax: Int
    private let running = Mutex<Running?>(nil)

    private struct Running: Sendable {
        var mailbox: DirectoryMailbox
        var thread: SourceThread
    }

    /// A source that has not started.
    ///
    /// - Parameters:
    ///   - settings: what to watch, and how.
    ///   - domain: the domain that its events belong to. Names the catalog in the journal, `directory:DOMAIN`.
    ///   - stream: the domain's stream.
    ///   - journal: where events and catalog go.
    ///   - logger: where it tells what it does; the domain is added to each line.
    public convenience init(
        settings: DirectorySourceSettings, domain: String, stream: StreamID, journal: any Journal, logger: Logger
    ) {
        self.init(
            settings: settings, domain: domain, stream: stream, journal: JournalPart(journal: journal), logger: logger,
            detection: ChangeDetector.Settings())
    }

    /// For tests: with other times and limits.
    init(
        settings: DirectorySourceSettings, domain: String, stream: StreamID, journal: any SourceJournal, logger: Logger,
        detection: ChangeDetector.Settings, watchesMax: Int = .max
    ) {
        self.settings = settings
        self.stream = stream
        self.journal = journal
        self.watchesMax = watchesMax
        source = "directory:\(domain)"
        var log = logger
        log[metadataKey: "domain"] = "\(domain)"
        self.log = log
        var detection = detection
        detection.quiet = settings.quiet.nanos
        self.detection = detection
    }

    /// Opens the folder, reads the catalog and begins to watch. Blocks while it reads the catalog, about a second for a million files.
    public func start() throws(SourceError) {
        let path = try Self.resolve(settings.path)
        var tree = DirectoryTree(path: path)
        let error = tree.open()
        guard error == 0 else { throw Self.cannot("open", settings.path, error) }
        let descriptor = tree.openDirectory([])
        guard descriptor >= 0 else { throw Self.cannot("read", settings.path, -descriptor) }
        close(descriptor)
        let (catalog, root) = try readCatalog()
        guard let mailbox = DirectoryMailbox() else {
            throw SourceError(.system, "no descriptor is left for watching \(settings.path): raise the limit of open files (ulimit -n)")
        }
        let loop = DirectoryLoop(
            settings: settings, source: source, tree: tree,
            encoding: AnnouncementEncoding(stream: stream, subjectHash: journal.subjectHash, root: path),
            detector: ChangeDetector(settings: detection, catalog: catalog), savedRoot: root, journal: journal, mailbox: mailbox, log: log,
            watchesMax: watchesMax)
        mailbox.status = loop.status
        guard let thread = SourceThread(name: "capelet-source", { loop.run() }) else {
            throw SourceError(.system, "no thread could be started for watching \(settings.path): raise the limit of processes (ulimit -u)")
        }
        running.withLock {
            precondition($0 == nil, "a source is started once")
            $0 = Running(mailbox: mailbox, thread: thread)
        }
    }

    /// See `EventSource.stop`; waits 5 seconds at most.
    public func stop() {
        guard let running = running.withLock({ $0 }) else { return }
        running.mailbox.post { $0.wantsStop = true }
        running.thread.join()
    }

    /// See `EventSource.ping`. A directory's path has everything below it scanned.
    public func ping(subject: String) {
        guard let path = SubjectEncoding.decode(subject.utf8) else { return }
        running.withLock { $0 }?.mailbox.post { $0.pings.append(path) }
    }

    /// See `EventSource.refresh`.
    public func refresh() { running.withLock { $0 }?.mailbox.post { $0.wantsScan = true } }

    /// See `EventSource.status`.
    public func status() -> SourceStatus { running.withLock { $0 }?.mailbox.status ?? SourceStatus() }

    private static func resolve(_ path: String) throws(SourceError) -> RelativePath {
        guard let resolved = realpath(path, nil) else { throw cannot("open", path, errno) }
        defer { free(resolved) }
        return Array(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
    }

    private static func cannot(_ what: String, _ path: String, _ error: Int32) -> SourceError {
        let isMissing = error == ENOENT || error == ENOTDIR
        return SourceError(
            isMissing ? .missing : .unreadable,
            "cannot \(what) the directory \(path) of source.directory: \(String(cString: strerror(error))). "
                + (isMissing
                    ? "Make it, or correct the path in the configuration" : "Give the host's user the right to read and to search it"))
    }

    private func readCatalog() throws(SourceError) -> (Catalog, RootIdentity?) {
        var catalog = Catalog()
        var root: RootIdentity?
        var strange: RelativePath?
        do {
            try journal.sourceState(source) { key, row in
                let key = Array(key)
                if key == CatalogRow.rootKey {
                    root = RootIdentity(row)
                } else if !key.isEmpty, let state = CatalogRow.decode(row) {
                    catalog.put(key, state, seen: 0)
                } else {
                    strange = key
                }
            }
        } catch {
            throw SourceError(.journal, "the catalog \(source) cannot be read from the journal: \(error.message)")
        }
        if let strange {
            throw SourceError(
                .journal,
                "the catalog \(source) in the journal has a row for \(SubjectEncoding.text(strange)) that this version cannot read: "
                    + "it is damaged, or a newer Capelet wrote it. Start that one, or restore a backup")
        }
        return (catalog, root)
    }
}
