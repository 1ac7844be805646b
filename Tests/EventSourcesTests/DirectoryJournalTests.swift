import CWorkerProtocol
import Foundation
import Glibc
import Journal
import Logging
import Routing
import Testing
import WorkerProtocol

@testable import EventSources

extension DirectoryTests {
    /// The source over the real journals.
    @Suite struct DirectoryJournalTests {
        final class Folder {
            let root: String
            let base: String

            init() throws {
                var template = Array("/tmp/capelet-journal-XXXXXX".utf8CString)
                guard let path = mkdtemp(&template) else { throw POSIXError(.EIO) }
                base = String(cString: path)
                root = base + "/root"
                mkdir(root, 0o755)
            }

            deinit { try? FileManager.default.removeItem(atPath: base) }

            func write(_ name: String, _ size: Int) throws {
                try Data(repeating: 0x78, count: size).write(to: URL(fileURLWithPath: "\(root)/\(name)"))
            }

            func source(_ journal: any Journal) throws -> (source: DirectorySource, stream: StreamID) {
                let stream = try journal.stream(.domain, named: "files")
                let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                let source = DirectorySource(
                    settings: DirectorySourceSettings(path: root), domain: "files", stream: stream, journal: journal, logger: log)
                return (source, stream)
            }

            /// Replays a journal's events: a file's state by path. Fails where an event does not fit what was announced before.
            func replay(_ journal: any Journal, _ stream: StreamID) throws -> [String: String] {
                var known: [String: String] = [:]
                var at: UInt64 = 0
                while at < journal.end(of: stream) {
                    for batch in try journal.read(stream, from: at, maximumBytes: 1 << 20) {
                        for index in 0..<batch.count {
                            let view = batch.records.view(index)
                            let name = String(decoding: view.payloadSection, as: UTF8.self)
                            #expect(view.header.pointee.offset == batch.base + UInt64(index))
                            #expect((view.typeText == "created") == (known[name] == nil), "\(view.typeText) \(name)")
                            var headers: [String: String] = [:]
                            view.forEachHeader { headers[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self) }
                            let state = headers["mtime"].map { "\(headers["size"] ?? "") \($0)" }
                            #expect((view.typeText == "deleted") == (state == nil))
                            known[name] = state
                        }
                        at = batch.end
                    }
                }
                return known
            }

            func actual() throws -> [String: String] {
                var actual: [String: String] = [:]
                for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
                    var entry = stat()
                    guard lstat("\(root)/\(name)", &entry) == 0, entry.st_mode & S_IFMT == S_IFREG else { continue }
                    actual[name] = "\(entry.st_size) \(Int64(entry.st_mtim.tv_sec) * 1_000_000_000 + Int64(entry.st_mtim.tv_nsec))"
                }
                return actual
            }

            func settle(_ source: DirectorySource) async throws {
                let end = ContinuousClock.now + .seconds(15)
                while source.status().lastScan == nil || source.status().pending > 0 {
                    try #require(ContinuousClock.now < end, "\(source.status())")
                    try await Task.sleep(for: .milliseconds(2))
                }
            }
        }

        @Test(arguments: 1...6) func aCrashOfTheMemoryJournalLosesAndDoublesNothing(seed: UInt64) async throws {
            var random = SeededRandom(seed)
            let folder = try Folder()
            var journal = MemoryJournal(manual: true)
            for _ in 0..<4 {
                let (source, _) = try folder.source(journal)
                try source.start()
                for _ in 0..<40 {
                    let name = "f\(Int.random(in: 0..<12, using: &random))"
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: try folder.write(name, Int.random(in: 0...5, using: &random))
                    case 1: unlink("\(folder.root)/\(name)")
                    default: rename("\(folder.root)/\(name)", "\(folder.root)/f\(Int.random(in: 0..<12, using: &random))")
                    }
                    if random.chance(30) { journal.step(1) }
                    if random.chance(10) { usleep(5000) }
                }
                journal = journal.crash()
                // What was not stepped is never answered; its end is not waited for.
                Thread.detachNewThread { source.stop() }
            }
            let (source, stream) = try folder.source(journal)
            try source.start()
            let end = ContinuousClock.now + .seconds(15)
            while source.status().lastScan == nil || source.status().pending > 0, ContinuousClock.now < end {
                journal.step()
                try await Task.sleep(for: .milliseconds(2))
            }
            source.stop()
            #expect(try folder.replay(journal, stream) == folder.actual())
        }

        @Test func aRestartOverSQLiteRepeatsNothing() async throws {
            let folder = try Folder()
            for index in 0..<300 { try folder.write("f\(index)", index) }
            for round in 0..<3 {
                let journal = try SQLiteJournal.open(directory: folder.base + "/data")
                let (source, stream) = try folder.source(journal)
                try source.start()
                try await folder.settle(source)
                if round == 2 { #expect(journal.end(of: stream) == 300 + 1 + 3 + 1, "nothing happened while it was down") }
                try folder.write("live", round)
                try await folder.settle(source)
                let end = ContinuousClock.now + .seconds(15)
                while try folder.replay(journal, stream)["live"] != folder.actual()["live"], ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(2))
                }
                source.stop()
                #expect(try folder.replay(journal, stream) == folder.actual())
                journal.close()
                if round == 0 {
                    unlink("\(folder.root)/f1")
                    rename("\(folder.root)/f2", "\(folder.root)/moved")
                }
            }
        }
    }
}
