import CLinux
import Foundation
import Glibc
import Logging
import Testing
import WorkerProtocol

@testable import Supervisor

/// Which generation came before which, and what is written down of rollbacks.
@Suite struct GenerationHistoryTests {
    private let a = "p-aaaaaaaaaaaaaaaa"
    private let b = "p-bbbbbbbbbbbbbbbb"
    private let c = "p-cccccccccccccccc"
    private let other = "p-q-aaaaaaaaaaaaaaaa"

    private func isNew(_ history: inout GenerationHistory, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let isNew = history.cameToServe(name)
        #expect(isNew, sourceLocation: sourceLocation)
    }

    private func isKnown(_ history: inout GenerationHistory, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let isNew = history.cameToServe(name)
        #expect(!isNew, "it serves already", sourceLocation: sourceLocation)
    }

    @Test func theOneBeforeIsOfTheSamePlugin() {
        var history = GenerationHistory()
        for name in [a, other, b] { isNew(&history, name) }
        #expect(history.before(b) == [a])
        #expect(history.before(a) == [])
        #expect(history.before(other) == [])
        isKnown(&history, b)
        isKnown(&history, other)
        isNew(&history, c)
        #expect(history.before(c) == [b, a])
        #expect(history.before("p-dddddddddddddddd") == [c, b, a], "one that has never served comes after all")
    }

    @Test func whatComesBackStandsWhereItServedLast() {
        var history = GenerationHistory()
        for name in [a, b, a] { isNew(&history, name) }
        #expect(history.names == [b, a])
        #expect(history.before(a) == [b])
        #expect(history.rank(a) > history.rank(b) && history.rank(b) > history.rank(c))
        history.keep { $0 != b }
        #expect(history.before(a) == [])
        #expect(GenerationHistory(parsing: history.text) == history)
    }

    // MARK: on disk

    private let plugins = Fixture.newFolder()
    private let data = Fixture.newFolder()

    /// A store that has just been started.
    private func store(kept: Int = 3) -> GenerationStore {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return GenerationStore(
            plugins: plugins, data: data, workerExecutable: Fixture.worker, generationsKept: kept, boot: .seconds(10), logger: logger)
    }

    /// What a host does at a reload that is accepted.
    @discardableResult
    private func serve(_ name: String, _ store: GenerationStore, inUse: Set<String> = []) throws -> PluginGeneration {
        try Fixture.install(name, as: "p", in: plugins)
        let generation = try #require(try store.scan(inUse: inUse).generations["p"])
        try store.cameToServe([generation], inUse: inUse)
        return generation
    }

    @Test func theOrderOutlivesRestarts() throws {
        let well = try serve("well", store())
        let two = try serve("two", store())
        let thread = try serve("thread", store())
        // All within a second, and by a store that knows nothing but what is on disk.
        #expect(store().previous(of: thread) == two.id)
        #expect(store().previous(of: two) == well.id)
        #expect(store().previous(of: well) == nil)
        // A content that has never come to serve is no generation to go back to.
        try Fixture.install("well", as: "p", in: plugins)
        _ = try store().scan(inUse: [thread.id])
        #expect(store().previous(of: thread) == two.id)
        try serve("well", store())
        #expect(store().previous(of: well) == thread.id)
        #expect(store().previous(of: thread) == two.id)
    }

    @Test func oneThatIsKeptIsLoaded() throws {
        let first = store()
        let well = try serve("well", first)
        try serve("two", first)
        #expect(try first.generation(plugin: "p", id: well.id) == well)
        #expect(try store().generation(plugin: "p", id: well.id) == well, "asked anew, with the number that it had")
        let failure = #expect(throws: PluginFailure.self) { try first.generation(plugin: "p", id: "0123456789abcdef") }
        #expect(failure?.reason == "its copy is gone")
        FileOperations.remove(well.directory)
        #expect(throws: PluginFailure.self) { try first.generation(plugin: "p", id: well.id) }
        #expect(first.previous(of: try #require(try first.scan().generations["p"])) == nil)
    }

    @Test func copiesGoInTheOrderInWhichTheyServed() throws {
        let kept = store(kept: 2)
        let well = try serve("well", kept)
        let two = try serve("two", kept)
        // The file's time says nothing: it is that of the last scan, and all are within a second.
        var times = [timeval(tv_sec: 4_000_000_000, tv_usec: 0), timeval(tv_sec: 4_000_000_000, tv_usec: 0)]
        utimes(well.directory, &times)
        let thread = try serve("thread", kept)
        func isThere(_ generation: PluginGeneration) -> Bool { FileManager.default.fileExists(atPath: generation.directory) }
        #expect(!isThere(well) && isThere(two) && isThere(thread))
        #expect(kept.previous(of: two) == nil, "what is gone is none to go back to")
    }

    @Test func whatARollbackNeedsStays() throws {
        let kept = store(kept: 1)
        let well = try serve("well", kept)
        let two = try serve("two", kept, inUse: [well.id])
        for _ in 0..<2 {
            try serve("thread", kept, inUse: [well.id, two.id])
            try serve("two", kept, inUse: [well.id, two.id])
        }
        #expect(FileManager.default.fileExists(atPath: well.directory))
        _ = try store(kept: 1).scan(inUse: [well.id])
        #expect(FileManager.default.fileExists(atPath: well.directory))
        _ = try store(kept: 1).scan()
        #expect(!FileManager.default.fileExists(atPath: well.directory))
    }

    @Test func withoutAHistoryNumbersTell() throws {
        let well = try serve("well", store())
        let two = try serve("two", store())
        unlink(data + "/generations/history")
        #expect(store().previous(of: two) == well.id)
    }

    @Test func rollbacksAreWrittenDown() throws {
        let file = RollbackFile(data: data)
        #expect(try file.read() == [])
        let from = PluginGeneration(plugin: "p", number: 4, id: "00000000deadbeef", directory: "", library: "")
        let to = PluginGeneration(plugin: "p", number: 3, id: "0123456789abcdef", directory: "", library: "")
        let rollbacks = ["b.c", "a-_"].map { Rollback(lambda: $0, from: from, to: to) }
        try file.write(rollbacks)
        #expect(try file.read() == rollbacks.reversed())
        #expect(rollbacks[0].words == "rolled back from #4 to #3")
        var status = stat()
        #expect(stat(data + "/rollbacks", &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(!FileManager.default.fileExists(atPath: data + "/rollbacks.new"))
        try file.write([])
        #expect(try file.read() == [])
    }

    @Test func aDamagedFileIsNotGuessedAt() throws {
        let file = RollbackFile(data: data)
        let whole = "capelet rollbacks 1\na p 00000000deadbeef 4 0123456789abcdef 3\n"
        for wrong in [
            "", "capelet rollbacks 2\n", String(whole.dropLast(4)), whole + "b p\n", whole.replacing("deadbeef", with: "deadbee/"),
            whole.replacing(" p ", with: " ../p "),
        ] {
            try Data(wrong.utf8).write(to: URL(fileURLWithPath: data + "/rollbacks"))
            #expect(throws: RollbackFile.Damaged.self, "\(wrong)") { try file.read() }
        }
    }
}
