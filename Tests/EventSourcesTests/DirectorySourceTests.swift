import Foundation
import Glibc
import Journal
import Logging
import Routing
import Testing

@testable import EventSources

extension DirectoryTests {
    @Suite struct DirectorySourceTests {
        @Test func announcesWhatIsThereAndWhatChanges() async throws {
            let folder = try WatchedFolder()
            try folder.write("old.txt", "12345")
            try folder.make("d/e")
            try folder.write("d/e/deep")
            try await folder.startAndScan()
            try await folder.expect(["created old.txt", "created d/e/deep"], from: 0)

            let event = try #require(folder.events.first { $0.subject == "old.txt" })
            var entry = stat()
            stat(folder.path("old.txt"), &entry)
            let mtime = Int64(entry.st_mtim.tv_sec) * 1_000_000_000 + Int64(entry.st_mtim.tv_nsec)
            #expect(
                event.headers == ["root": folder.root, "size": "5", "mtime": "\(mtime)", "inode": "\(entry.st_ino)"])
            #expect(event.payload == Array("old.txt".utf8))
            #expect(event.timeMicros == mtime / 1000)

            try folder.write("new.txt")
            try await folder.expect(["created new.txt"], from: 2)
            try folder.write("new.txt", "longer than before")
            try await folder.expect(["modified new.txt"], from: 3)
            try folder.delete("d/e/deep")
            try await folder.expect(["deleted d/e/deep"], from: 4)
            #expect(folder.events[4].headers == ["root": folder.root])
            #expect(folder.source.status().files == 2)
            #expect(folder.source.status().state == .watching)
            try folder.expectComplete()
        }

        @Test func isQuickWithClosedFiles() async throws {
            let folder = try WatchedFolder(quiet: .seconds(30))
            try await folder.startAndScan()
            let began = ContinuousClock.now
            try folder.write("a")
            try await folder.expect(["created a"], from: 0)
            let took = ContinuousClock.now - began
            print("from close to the journal: \(took)")
            #expect(took < .seconds(20))
        }

        @Test func movesAreOneAppend() async throws {
            let folder = try WatchedFolder()
            try folder.write("a", "one")
            try folder.write("target", "two two")
            try folder.make("d")
            try await folder.startAndScan()
            let appends = folder.store.appends

            try folder.move("a", "d/b")
            try await folder.expect(["deleted a to d/b", "created d/b from a"], from: 2)
            #expect(folder.store.appends == appends + 1)

            try folder.move("d/b", "target")
            try await folder.expect(["deleted d/b to target", "modified target from d/b"], from: 4)

            // Out of the tree and into it.
            try folder.move("target", "../outside")
            try await folder.expect(["deleted target"], from: 6)
            try folder.move("../outside", "back")
            try await folder.expect(["created back"], from: 7)
            try folder.expectComplete()
        }

        @Test func directoriesMoveWithEverythingInThem() async throws {
            let folder = try WatchedFolder()
            try folder.make("one/sub/deep")
            let names = ["a", "sub/b", "sub/deep/c"]
            for name in names { try folder.write("one/\(name)", name) }
            try await folder.startAndScan()
            try folder.move("one", "two")
            try await folder.expect(names.flatMap { ["deleted one/\($0) to two/\($0)", "created two/\($0) from one/\($0)"] }, from: 3)
            // What happens in it afterwards is seen, too.
            try folder.write("two/sub/deep/new")
            try await folder.expect(["created two/sub/deep/new"], from: 9)
            try folder.move("two", "../gone")
            try await folder.expect((names + ["sub/deep/new"]).map { "deleted two/\($0)" }, from: 10)
            #expect(folder.source.status().files == 0)
            try folder.move("../gone", "three")
            try await folder.expect((names + ["sub/deep/new"]).map { "created three/\($0)" }, from: 14)
            try folder.delete("three")
            try await folder.expect((names + ["sub/deep/new"]).map { "deleted three/\($0)" }, from: 18)
            try folder.expectComplete()
        }

        @Test func largeDirectoriesMoveInPairs() async throws {
            let folder = try WatchedFolder()
            let count = 1500
            try folder.make("one")
            for index in 0..<count { try folder.write("one/f\(index)") }
            try await folder.startAndScan()
            #expect(folder.events.count == count)
            try folder.move("one", "two")
            try await folder.until("the moves") { $0.events.count == 3 * count && $0.source.status().pending == 0 }
            let alone = folder.events.dropFirst(count).filter { $0.headers["from"] == nil && $0.headers["to"] == nil }
            #expect(alone.isEmpty, "\(alone.count) alone, the first of them \(alone.prefix(3).map(\.offset))")
            try folder.expectComplete()
        }

        @Test func newDirectoriesAreWatchedHoweverDeep() async throws {
            let folder = try WatchedFolder()
            try await folder.startAndScan()
            let deep = (0..<40).map { "level-\($0)" }.joined(separator: "/")
            try folder.make(deep)
            try folder.write("\(deep)/file")
            try await folder.expect(["created \(deep)/file"], from: 0)
            try folder.write("level-0/level-1/other")
            try await folder.expect(["created level-0/level-1/other"], from: 1)
            try folder.write("\(deep)/file", "changed")
            try await folder.expect(["modified \(deep)/file"], from: 2)
        }

        @Test func aFileIsNotAnnouncedBeforeItIsClosed() async throws {
            let folder = try WatchedFolder(quiet: .seconds(300))
            try await folder.startAndScan()
            let file = open(folder.path("slow"), O_WRONLY | O_CREAT, 0o644)
            for _ in 0..<10 {
                write(file, "part", 4)
                try folder.write("mark")
                let count = folder.events.count
                try await folder.until("the mark") { $0.events.count > count || $0.texts.contains("created mark") }
                #expect(!folder.texts.contains("created slow"))
            }
            close(file)
            try await folder.until("the slow file") { $0.texts.contains("created slow") }
            let event = try #require(folder.events.first { $0.subject == "slow" })
            #expect(event.headers["size"] == "40")
        }

        @Test func aFileThatStaysOpenIsAnnouncedOnceQuietAndOneThatNeverIsAfterAWhile() async throws {
            let folder = try WatchedFolder(quiet: .seconds(4)) { $0.patience = 1_500_000_000 }
            try await folder.startAndScan()
            let began = ContinuousClock.now
            let file = open(folder.path("log"), O_WRONLY | O_CREAT, 0o644)
            defer { close(file) }
            while !folder.texts.contains("created log") {
                write(file, "x", 1)
                try await Task.sleep(for: .milliseconds(20))
                try #require(ContinuousClock.now - began < .seconds(60))
            }
            #expect(ContinuousClock.now - began >= .milliseconds(1500))
            let count = folder.events.count
            write(file, "y", 1)
            try await folder.until("the last change") { $0.events.count > count && $0.source.status().pending == 0 }
            #expect(Set(folder.texts(from: count)) == ["modified log"])
            try folder.expectComplete()
        }

        @Test func anyNameThatLinuxAllows() async throws {
            let folder = try WatchedFolder()
            let names: [[UInt8]] = [
                Array("with space".utf8), Array("new\nline".utf8), Array("100%".utf8), Array("%41".utf8), Array("ümlaut-e\u{301}".utf8),
                [0xff, 0xfe],
                [0x61, 0xc3], Array(repeating: 0x78, count: 255), Array(repeating: 0xff, count: 255), [0x01, 0x7f, 0x5c, 0x22],
                Array("-rf *".utf8),
                Array("😀".utf8), Array("...".utf8),
            ]
            func write(_ name: [UInt8]) throws {
                let path = Array(folder.root.utf8) + [0x2f] + name + [0]
                let file = path.withUnsafeBytes { open($0.assumingMemoryBound(to: CChar.self).baseAddress!, O_WRONLY | O_CREAT, 0o644) }
                try #require(file >= 0)
                close(file)
            }
            for name in names.prefix(6) { try write(name) }
            try await folder.startAndScan()
            for name in names.dropFirst(6) { try write(name) }
            try await folder.until("all names") { $0.events.count >= names.count }
            #expect(Set(folder.events.map(\.payload)) == Set(names))
            #expect(Set(folder.events.map(\.subject)).count == names.count)
            for event in folder.events { #expect(SubjectEncoding.decode(event.subject.utf8) == event.payload) }
            #expect(folder.events.contains { $0.subject == "100%25" })
            #expect(folder.events.contains { $0.subject == "%FF%FE" })
            #expect(folder.events.contains { $0.subject == String(repeating: "%FF", count: 255) })
            folder.expectConsistent()
            // By subject, as from a ping.
            folder.source.ping(subject: "%FF%FE")
            let path = Array(folder.root.utf8) + [0x2f, 0xff, 0xfe, 0]
            path.withUnsafeBytes { _ = unlink($0.assumingMemoryBound(to: CChar.self).baseAddress!) }
            try await folder.until("the deletion") { $0.texts.last == "deleted %FF%FE" }
        }

        @Test func linksAndOtherThingsAreNoFiles() async throws {
            let folder = try WatchedFolder()
            mkdir(folder.path("../elsewhere"), 0o755)
            try folder.write("../elsewhere/secret")
            symlink(folder.path("../elsewhere"), folder.path("dirlink"))
            symlink(folder.path("../elsewhere/secret"), folder.path("filelink"))
            mkfifo(folder.path("fifo"), 0o644)
            try folder.write("real")
            try await folder.startAndScan()
            symlink("nowhere", folder.path("dangling"))
            folder.source.ping(subject: "dirlink/secret")
            folder.source.ping(subject: "filelink")
            try folder.write("mark")
            try await folder.expect(["created real", "created mark"], from: 0)
            // A file that becomes a link is gone.
            try folder.delete("real")
            symlink("mark", folder.path("real"))
            try await folder.expect(["deleted real"], from: 2)
            // A directory whose place a link takes is gone with all that was in it.
            try folder.make("d")
            try folder.write("d/x")
            try await folder.expect(["created d/x"], from: 3)
            try folder.move("d", "../elsewhere/d")
            symlink(folder.path("../elsewhere/d"), folder.path("d"))
            try await folder.expect(["deleted d/x"], from: 4)
        }

        @Test func hardLinksAndChangedModesAreChanges() async throws {
            let folder = try WatchedFolder(quiet: .milliseconds(50))
            try folder.write("one")
            try await folder.startAndScan()
            link(folder.path("one"), folder.path("two"))
            try await folder.until("the second name") { $0.texts.contains("created two") && $0.source.status().pending == 0 }
            // Its link count moved the inode's time; a refresh or the attribute event finds that.
            try await folder.expect(["created one", "created two", "modified one"], from: 0)
            chmod(folder.path("one"), 0o600)
            folder.source.refresh()
            try await folder.until("both names") { $0.events.count == 5 }
            try folder.expectComplete()
        }

        @Test func pathsLongerThanLinuxTakesAreLeftOutAndShorterOnesAreNot() async throws {
            let folder = try WatchedFolder()
            let part = String(repeating: "d", count: 200)
            // Directories below one another, each made from within the last: no path needs to be short.
            var at = open(folder.root, O_RDONLY | O_DIRECTORY)
            var path = ""
            for _ in 0..<21 {
                mkdirat(at, part, 0o755)
                let next = openat(at, part, O_RDONLY | O_DIRECTORY)
                close(at)
                at = next
                path += (path.isEmpty ? "" : "/") + part
                if path.utf8.count < 4000 { close(openat(at, "f", O_WRONLY | O_CREAT, 0o644)) }
            }
            close(openat(at, "too-far", O_WRONLY | O_CREAT, 0o644))
            close(at)
            try await folder.startAndScan()
            #expect(folder.events.count == 19)
            #expect(folder.events.map(\.subject.utf8.count).max() == 19 * 201 + 1)
            folder.expectConsistent()
            // FileManager cannot remove what it cannot name.
            let rm = Process()
            rm.executableURL = URL(fileURLWithPath: "/bin/rm")
            rm.arguments = ["-rf", folder.path(part)]
            try rm.run()
            rm.waitUntilExit()
            try await folder.until("their end") { $0.events.count == 38 }
        }

        @Test func aMissingRootIsAnErrorThatNamesIt() throws {
            let folder = try WatchedFolder()
            rmdir(folder.root)
            do {
                try folder.start()
                Issue.record("it started")
            } catch let error as SourceError {
                #expect(error.code == .missing)
                #expect(error.message.contains(folder.root))
            }
            close(open(folder.root, O_CREAT | O_WRONLY, 0o644))
            #expect(throws: SourceError.self) { try folder.start() }
        }

        @Test func theRootMayBeALink() async throws {
            let folder = try WatchedFolder()
            try folder.write("a")
            let link = folder.path("../link")
            symlink(folder.root, link)
            let journal = ScriptedJournal()
            let source = DirectorySource(
                settings: DirectorySourceSettings(path: link), domain: "files", stream: .init(rawValue: 1), journal: journal,
                logger: .init(label: "test"), detection: ChangeDetector.Settings())
            try source.start()
            defer { source.stop() }
            try await folder.until("the event") { _ in !journal.store.events.isEmpty }
            #expect(journal.store.events.first?.headers["root"] == folder.root)
        }
    }
}
