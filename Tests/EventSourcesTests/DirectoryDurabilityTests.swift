import Foundation
import Glibc
import Journal
import Testing

@testable import EventSources

extension DirectoryTests {
    /// Restarts, crashes, a journal that refuses, floods and roots that vanish.
    @Suite struct DirectoryDurabilityTests {
        @Test func aRestartFindsWhatHappenedMeanwhileAndRepeatsNothing() async throws {
            let folder = try WatchedFolder()
            try folder.make("d")
            for name in ["same", "changed", "gone", "moved", "d/inside"] { try folder.write(name, name) }
            try await folder.startAndScan()
            folder.crash()
            try folder.write("changed", "something else")
            try folder.delete("gone")
            try folder.move("moved", "d/moved")
            try folder.move("d", "e")
            try folder.write("new")
            // ctime of the renamed file is new, so without the move's being known it would have to be quiet first.
            try await folder.startAndScan()
            try await folder.expect(
                [
                    "modified changed", "deleted gone", "deleted moved to e/moved", "created e/moved from moved",
                    "deleted d/inside to e/inside",
                    "created e/inside from d/inside", "created new",
                ], from: 5)
            folder.crash()
            try await folder.startAndScan()
            #expect(folder.events.count == 12)
            try folder.expectComplete()
        }

        @Test(arguments: 1...6) func killedAtAnyMoment(seed: UInt64) async throws {
            var random = SeededRandom(seed)
            let folder = try WatchedFolder(quiet: .milliseconds(20)) { $0.batchEvents = 7 }
            let names = (0..<30).map { "d\($0 % 4)/f\($0)" }
            for directory in 0..<4 { try folder.make("d\(directory)") }
            for _ in 0..<6 {
                try folder.start()
                if random.chance(60) { folder.journal.behave(.hold) }
                for _ in 0..<Int.random(in: 5...60, using: &random) {
                    let name = names.randomElement(using: &random)!
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0...1: try folder.write(name, String(repeating: "x", count: Int.random(in: 0...9, using: &random)))
                    case 2: unlink(folder.path(name))
                    default: rename(folder.path(name), folder.path(names.randomElement(using: &random)!))
                    }
                    if random.chance(10) { usleep(UInt32.random(in: 0...30_000, using: &random)) }
                    if random.chance(5) { folder.journal.release() }
                }
                if random.chance(20) { rename(folder.path("d0"), folder.path("d9")) }
                if random.chance(20) { rename(folder.path("d9"), folder.path("d0")) }
                mkdir(folder.path("d0"), 0o755)
                folder.crash(committing: Int.random(in: 0...4, using: &random))
                folder.expectConsistent()
            }
            try await folder.startAndScan()
            try folder.expectComplete()
        }

        @Test func aRefusingJournalIsTriedAgain() async throws {
            let folder = try WatchedFolder()
            for index in 0..<50 { try folder.write("f\(index)") }
            folder.journal.behave(.fail(JournalError(.backlog, "lambda x holds the log")))
            try folder.start()
            try await folder.until("refusals") { $0.journal.refusals >= 2 && $0.source.status().pending == 50 }
            #expect(folder.source.status().lastError == "lambda x holds the log")
            #expect(folder.events.isEmpty)
            try folder.write("f1", "changed meanwhile")
            try folder.delete("f2")
            folder.journal.behave(.commit)
            try await folder.expect((0..<50).filter { $0 != 2 }.map { "created f\($0)" }, from: 0)
            #expect(folder.source.status().lastError == nil)
            try folder.expectComplete()
        }

        @Test func oneAppendForAPathAtATime() async throws {
            let folder = try WatchedFolder()
            try await folder.startAndScan()
            folder.journal.behave(.hold)
            try folder.write("a", "1")
            try await folder.until("the append") { $0.journal.held == 1 }
            for size in 2..<10 {
                try folder.write("a", String(repeating: "x", count: size))
                try folder.write("b\(size)")
            }
            try await folder.until("the others") { $0.source.status().pending >= 9 }
            #expect(folder.journal.held <= 8)
            folder.journal.release()
            try await folder.until("all") { $0.source.status().pending == 0 }
            #expect(folder.texts.filter { $0.hasSuffix(" a") } == ["created a", "modified a"])
            try folder.expectComplete()
        }

        @Test func stopWaitsForWhatIsUnderWay() async throws {
            let folder = try WatchedFolder()
            try await folder.startAndScan()
            folder.journal.behave(.hold)
            try folder.write("a")
            try await folder.until("the append") { $0.journal.held == 1 }
            let journal = folder.journal
            Thread.detachNewThread {
                usleep(100_000)
                journal.release()
            }
            folder.stop()
            #expect(folder.texts == ["created a"])
            #expect(folder.source.status().state == .stopped)
            #expect(folder.source.status().pending == 0)
        }

        @Test func anOverflowingQueueLeadsToAScan() async throws {
            let folder = try WatchedFolder(inMemory: true) { $0.batchesMax = 1 }
            let limit =
                Int(
                    (try? String(contentsOfFile: "/proc/sys/fs/inotify/max_queued_events", encoding: .utf8))?.dropLast() ?? "16384")
                ?? 16384
            try folder.write("seed")
            // The source's thread is caught in the journal while the kernel's queue fills.
            let gate = Gate()
            try await folder.startAndScan()
            folder.journal.blockNextAppend(until: gate)
            try folder.write("first")
            try await folder.until("the block") { _ in gate.isEntered }
            let files = min(limit / 3 + 100, 8000)
            for index in 0..<files { try folder.write("f\(index)") }
            for index in 0..<files where index % 3 == 0 { unlink(folder.path("f\(index)")) }
            let scans = folder.source.status().lastScan
            gate.open()
            try await folder.until("a scan") { $0.source.status().lastScan != scans && $0.source.status().pending == 0 }
            try await folder.until("everything") { $0.source.status().files == 2 + files - (files + 2) / 3 }
            try folder.expectComplete()
        }

        @Test func manyFilesAreScannedQuicklyInBatches() async throws {
            let folder = try WatchedFolder(inMemory: true)
            for directory in 0..<200 {
                try folder.make("d\(directory)")
                for file in 0..<100 { try folder.write("d\(directory)/f\(file)") }
            }
            let clock = ContinuousClock()
            let first = try await clock.measure { try await folder.startAndScan() }
            #expect(folder.events.count == 20_000)
            #expect(folder.store.appends < 200)
            #expect(folder.source.status().watches == 201)
            let status = folder.source.status()
            folder.crash()
            let again = try await clock.measure { try await folder.startAndScan() }
            print("20,000 files: announced in \(first), first scan \(status.lastScan?.durationMillis ?? 0) ms; started again in \(again)")
            #expect(folder.events.count == 20_000)
            #expect(folder.source.status().files == 20_000)
            folder.expectConsistent()
        }

        @Test func aVanishedRootDeletesNothing() async throws {
            let folder = try WatchedFolder()
            try folder.make("d")
            try folder.write("a")
            try folder.write("d/b")
            try await folder.startAndScan()
            rename(folder.root, folder.root + ".away")
            folder.source.refresh()
            try await folder.until("holding") { $0.source.status().state == .held }
            #expect(folder.source.status().detail.contains("No such file"))
            folder.source.ping(subject: "a")
            rename(folder.root + ".away", folder.root)
            try folder.write("c")
            try await folder.until("the new file") { $0.texts.contains("created c") }
            #expect(folder.source.status().state == .watching)
            try await folder.expect(["created a", "created d/b", "created c"], from: 0)
            // Watches work again.
            try folder.write("d/e")
            try await folder.expect(["created d/e"], from: 3)
        }

        @Test func anEmptyStrangerInItsPlaceDeletesNothing() async throws {
            let folder = try WatchedFolder()
            try folder.write("a")
            try folder.write("b")
            try await folder.startAndScan()
            folder.stop()
            // As when a file system is not mounted.
            rename(folder.root, folder.root + ".away")
            mkdir(folder.root, 0o755)
            folder.crash()
            try folder.start()
            try await folder.until("holding") { $0.source.status().state == .held }
            #expect(folder.events.count == 2)
            // Mounted again.
            rmdir(folder.root)
            rename(folder.root + ".away", folder.root)
            try await folder.until("watching") { $0.source.status().state == .watching }
            #expect(folder.events.count == 2)
            // Another directory that has something in it is taken at its word.
            folder.stop()
            rename(folder.root, folder.root + ".away")
            mkdir(folder.root, 0o755)
            try folder.write("c")
            folder.crash()
            try await folder.startAndScan()
            try await folder.expect(["deleted a", "deleted b", "created c"], from: 2)
        }

        @Test func anUnreadableDirectoryKeepsItsFiles() async throws {
            let folder = try WatchedFolder()
            try folder.make("d/e")
            try folder.write("d/e/a")
            try folder.startAsNobody()
            try await folder.expect(["created d/e/a"], from: 0)
            chmod(folder.path("d"), 0)
            folder.source.refresh()
            try await folder.until("a scan") { ($0.source.status().lastScan?.unreadable ?? 0) == 1 }
            folder.source.ping(subject: "d/e/a")
            try folder.write("mark")
            try await folder.expect(["created d/e/a", "created mark"], from: 0)
            #expect(folder.source.status().files == 2)
            // Readable again: noticed at once, with what has changed meanwhile.
            if geteuid() == 0 { try folder.write("d/e/b") }
            chmod(folder.path("d"), 0o755)
            if geteuid() != 0 { try folder.write("d/e/b") }
            try await folder.expect(["created d/e/b"], from: 2)
            chmod(folder.root, 0)
            folder.source.refresh()
            try await folder.until("holding") { $0.source.status().state == .held }
            #expect(folder.source.status().detail.contains("Permission denied"))
            chmod(folder.root, 0o755)
            try await folder.until("watching") { $0.source.status().state == .watching }
            try await folder.expect(["created d/e/b"], from: 2)
        }

        @Test func aRootThatIsRemovedAndMadeAgainIsWatchedAgain() async throws {
            let folder = try WatchedFolder()
            try folder.write("a")
            try await folder.startAndScan()
            // What is deleted before the root is, may be announced or not.
            try FileManager.default.removeItem(atPath: folder.root)
            try await folder.until("holding") { $0.source.status().state == .held }
            mkdir(folder.root, 0o755)
            try folder.write("b")
            try await folder.until("the new file") { $0.texts.contains("created b") && $0.source.status().pending == 0 }
            try folder.expectComplete()
        }

        @Test func withoutWatchesItPolls() async throws {
            let folder = try WatchedFolder(quiet: .milliseconds(20), refresh: .milliseconds(100), watchesMax: 2)
            for name in ["a", "b", "c"] { try folder.make(name) }
            try await folder.startAndScan()
            #expect(folder.source.status().state == .polling)
            #expect(folder.source.status().detail.contains("fs.inotify.max_user_watches"))
            #expect(folder.source.status().watches == 2)
            for name in ["a", "b", "c"] { try folder.write("\(name)/f") }
            try await folder.expect(["created a/f", "created b/f", "created c/f"], from: 0)
            try folder.move("a/f", "c/g")
            try folder.delete("b/f")
            try await folder.until("the changes") { $0.events.count >= 6 }
            try folder.expectComplete()
        }

        @Test func refreshFindsWhatNoEventTold() async throws {
            let folder = try WatchedFolder(refresh: .milliseconds(200))
            try folder.write("a")
            try await folder.startAndScan()
            let first = folder.source.status().lastScan
            try await folder.until("another scan") { $0.source.status().lastScan != first }
            #expect(folder.events.count == 1)
        }
    }
}
