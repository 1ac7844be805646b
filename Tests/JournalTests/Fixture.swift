import CWorkerProtocol
import Foundation
import Journal
import Synchronization
import WorkerProtocol

/// Every journal that has to pass the conformance suite.
enum JournalKind: String, CaseIterable, CustomStringConvertible {
    case memory
    case sqlite
    var description: String { rawValue }
}

/// A clock that stands still until it is moved.
final class TestClock: Sendable {
    private let millis = Mutex<Int64>(1_700_000_000_000)
    /// Milliseconds since 1970.
    var now: Int64 { millis.withLock { $0 } }
    /// Moves on.
    func advance(seconds: Int64) { millis.withLock { $0 += seconds * 1000 } }
}

/// A folder that goes with its owner.
final class TemporaryFolder: Sendable {
    let path: String
    init() {
        var template = Array("\(NSTemporaryDirectory())capelet-journal-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("no temporary folder") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A journal under test that can be closed and opened again.
final class Fixture {
    let clock = TestClock()
    let folder = TemporaryFolder()
    private(set) var journal: any Journal
    private let cacheBytesMax: Int

    init(_ kind: JournalKind, cacheBytesMax: Int = 64 << 20) throws {
        self.cacheBytesMax = cacheBytesMax
        let clock = clock
        switch kind {
        case .memory: journal = MemoryJournal(cacheBytesMax: cacheBytesMax, now: { clock.now })
        case .sqlite: journal = try Self.open(folder.path + "/data", clock, cacheBytesMax)
        }
    }

    deinit { journal.close() }

    private static func open(_ directory: String, _ clock: TestClock, _ cacheBytesMax: Int) throws -> any Journal {
        var options = SQLiteJournal.Options()
        options.now = { clock.now }
        options.cacheBytesMax = cacheBytesMax
        return try SQLiteJournal.open(directory: directory, options: options)
    }

    /// Ends the journal and opens what it left.
    func reopen() throws {
        if let memory = journal as? MemoryJournal {
            journal = memory.crash()
        } else {
            journal.close()
            journal = try Self.open(folder.path + "/data", clock, cacheBytesMax)
        }
    }
}

/// Waits until `condition` holds; false after ten seconds.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if try condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return try condition()
}

/// Numbered events of one subject.
func numbered(_ range: Range<Int>, subject: String = "s", id: Bool = false, payload: String = "p") -> [SampleEvent] {
    range.map { SampleEvent(subject: subject, id: id ? "id-\($0)" : "", payload: "\(payload)\($0)") }
}
