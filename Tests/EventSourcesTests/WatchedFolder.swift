import Foundation
import Glibc
import Journal
import Logging
import Routing
import Synchronization
import Testing

@testable import EventSources

/// A temporary folder with a source watching it.
final class WatchedFolder {
    let root: String
    let store: DurableStore
    private(set) var journal: ScriptedJournal
    private(set) var source: DirectorySource
    private let settings: DirectorySourceSettings
    private let detection: ChangeDetector.Settings
    private let watchesMax: Int
    private var isRunning = false

    /// - Parameter inMemory: on a file system in memory, for many files.
    init(
        quiet: Duration = .milliseconds(500), refresh: Duration = .seconds(3600), watchesMax: Int = .max, inMemory: Bool = false,
        detection: (inout ChangeDetector.Settings) -> Void = { _ in }
    ) throws {
        var template = Array("\(inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp")/capelet-watched-XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { throw POSIXError(.EIO) }
        root = String(cString: path) + "/root"
        mkdir(root, 0o755)
        var settings = DirectorySourceSettings(path: root)
        settings.quiet = quiet
        settings.refresh = refresh
        self.settings = settings
        var change = ChangeDetector.Settings()
        detection(&change)
        self.detection = change
        store = DurableStore()
        self.watchesMax = watchesMax
        (journal, source) = Self.make(store, settings, change, watchesMax)
    }

    private static func make(
        _ store: DurableStore, _ settings: DirectorySourceSettings, _ detection: ChangeDetector.Settings, _ watchesMax: Int
    ) -> (ScriptedJournal, DirectorySource) {
        let journal = ScriptedJournal(store)
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let source = DirectorySource(
            settings: settings, domain: "files", stream: StreamID(rawValue: 1), journal: journal, logger: log, detection: detection,
            watchesMax: watchesMax)
        return (journal, source)
    }

    deinit {
        if isRunning {
            journal.release()
            source.stop()
        }
        try? FileManager.default.removeItem(atPath: String(root.dropLast("/root".count)))
    }

    func start() throws {
        try source.start()
        isRunning = true
    }

    /// Root may read everything. Its thread, which takes over the file system identity of the thread that starts it, then is nobody's.
    func startAsNobody() throws {
        typealias SetIdentity = @convention(c) (UInt32) -> Int32
        let symbol = try #require(dlsym(nil, "setfsuid"))
        let setIdentity = unsafeBitCast(symbol, to: SetIdentity.self)
        let user = geteuid()
        chmod(String(root.dropLast("/root".count)), 0o755)
        if user == 0 { _ = setIdentity(65534) }
        defer { _ = setIdentity(user) }
        try start()
    }

    func startAndScan() async throws {
        try start()
        try await until("the first scan") { $0.source.status().lastScan != nil && $0.source.status().pending == 0 }
    }

    func stop() {
        source.stop()
        isRunning = false
    }

    /// As after a kill -9: nothing that is not in the store counts, and a new source begins over it.
    func crash(committing committed: Int = 0) {
        journal.cut(committing: committed)
        if isRunning { stop() }
        (journal, source) = Self.make(store, settings, detection, watchesMax)
    }

    // MARK: Files

    func path(_ name: String) -> String { "\(root)/\(name)" }

    func write(_ name: String, _ text: String = "text") throws {
        let file = Glibc.open(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(file >= 0)
        var text = text
        text.withUTF8 { _ = Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    func make(_ directory: String) throws {
        try FileManager.default.createDirectory(atPath: path(directory), withIntermediateDirectories: true)
    }

    func move(_ from: String, _ to: String) throws { try #require(rename(path(from), path(to)) == 0) }
    func delete(_ name: String) throws { try FileManager.default.removeItem(atPath: path(name)) }

    // MARK: Events

    var events: [DurableStore.Event] { store.events }
    var texts: [String] { texts(from: 0) }

    func texts(from: Int) -> [String] { events.dropFirst(from).map(Self.text) }

    static func text(_ event: DurableStore.Event) -> String {
        var text = "\(event.type) \(event.subject)"
        if let from = event.headers["from"] { text += " from \(from)" }
        if let to = event.headers["to"] { text += " to \(to)" }
        return text
    }

    /// Waits until something holds, and fails the test when it does not within the time.
    func until(_ what: String, seconds: Double = 15, _ holds: (WatchedFolder) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while !holds(self) {
            guard ContinuousClock.now < end else {
                Issue.record("waited in vain for \(what); status: \(source.status()), last events: \(texts.suffix(20))")
                throw POSIXError(.ETIMEDOUT)
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Waits for these events, in any order, since the event with this number, and for nothing to be left over.
    func expect(_ expected: [String], from: Int, _ location: SourceLocation = #_sourceLocation) async throws {
        try? await until("\(expected)") { $0.events.count >= from + expected.count && $0.source.status().pending == 0 }
        #expect(texts(from: from).sorted() == expected.sorted(), sourceLocation: location)
        expectConsistent(location)
    }

    /// The promises that hold at any time.
    func expectConsistent(_ location: SourceLocation = #_sourceLocation) {
        #expect(store.violations == [], sourceLocation: location)
    }

    /// The events say what is there: each file of the tree is announced in its present size and mtime, and nothing else is.
    func expectComplete(_ location: SourceLocation = #_sourceLocation) throws {
        var announced: [String: String] = [:]
        for event in events {
            announced[event.path] = event.type == "deleted" ? nil : "\(event.headers["size"] ?? "") \(event.headers["mtime"] ?? "")"
        }
        var actual: [String: String] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
            var entry = stat()
            guard lstat(path(name), &entry) == 0, entry.st_mode & S_IFMT == S_IFREG else { continue }
            actual[name] = "\(entry.st_size) \(Int64(entry.st_mtim.tv_sec) * 1_000_000_000 + Int64(entry.st_mtim.tv_nsec))"
        }
        #expect(announced == actual, sourceLocation: location)
        expectConsistent(location)
    }
}
