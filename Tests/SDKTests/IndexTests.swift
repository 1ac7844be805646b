import CCapelet
import CapeletSDK
import Documents
import Foundation
import Testing

@Suite("documents: index")
struct IndexTests {
    private let fixture: DocumentsFixture

    init() throws { fixture = try DocumentsFixture() }

    private func succeeds(_ host: FakeHost, _ events: [FakeEvent]) {
        #expect(host.handleBatch(events).map(\.message) == events.map { _ in "" })
    }

    @Test("texts can be searched, are replaced and go away")
    func lifecycle() throws {
        let host = fixture.indexHost()
        #expect(host.start() == nil)
        succeeds(host, [fixture.indexed("a", 1, "text", "the apache license"), fixture.indexed("b", 2, "text", "no such thing")])
        #expect(try fixture.query("select path from documents where documents match 'LICENSE'") == ["a"])
        let snippet = try fixture.query(
            "select path, snippet(documents,1,'[',']','…',8) from documents where documents match 'license' order by rank")
        #expect(snippet == ["a|the apache [license]"])
        succeeds(host, [fixture.indexed("a", 3, "text", "other words"), fixture.indexed("b", 4, "deleted")])
        #expect(try fixture.query("select path from documents where documents match 'license'") == [])
        #expect(try fixture.query("select path, text from documents") == ["a|other words"])
        #expect(try fixture.query("select path, kind, sequence, offset from files order by path") == ["a|text|3|103", "b|deleted|4|104"])
        #expect(try fixture.query("select path from present") == ["a"])
        succeeds(host, [fixture.indexed("a", 5, "binary"), fixture.indexed("c", 6, "gone")])
        #expect(try fixture.query("select count(*) from documents") == ["0"])
        #expect(try fixture.query("select path, kind from present") == ["a|binary"])
        host.stop()
    }

    @Test("an older event changes nothing, not even for a deleted path; a repeat changes nothing")
    func order() throws {
        let host = fixture.indexHost()
        #expect(host.start() == nil)
        succeeds(host, [fixture.indexed("a", 5, "text", "new"), fixture.indexed("b", 6, "deleted")])
        succeeds(
            host, [fixture.indexed("a", 4, "text", "old"), fixture.indexed("b", 3, "text", "ghost"), fixture.indexed("a", 2, "deleted")])
        succeeds(host, [fixture.indexed("a", 5, "text", "new")])
        #expect(try fixture.query("select path, text from documents") == ["a|new"])
        #expect(try fixture.query("select path, kind, sequence from files order by path") == ["a|text|5", "b|deleted|6"])
        host.stop()
    }

    @Test("a replayed event writes its text again, an unchanged one does not")
    func replay() throws {
        let host = fixture.indexHost()
        #expect(host.start() == nil)
        succeeds(host, [fixture.indexed("a", 1, "text", "same")])
        succeeds(
            host, [fixture.indexed("a", 2, "text", "same"), fixture.indexed("a", 3, "text", "same", flags: UInt32(CAPELET_EVENT_REPLAYED))])
        #expect(try fixture.query("select path, text from documents") == ["a|same"])
        #expect(try fixture.query("select sequence from files") == ["3"])
        host.stop()
    }

    @Test("what is indexed is there after a restart, in WAL mode")
    func restart() throws {
        for round in UInt64(1)...3 {
            let host = fixture.indexHost(config: ["database": "other.db", "synchronous": "normal"])
            #expect(host.start() == nil)
            succeeds(host, [fixture.indexed("f\(round)", round, "text", "words of round")])
            host.stop()
        }
        #expect(try fixture.query("select path from documents order by path", database: "other.db") == ["f1", "f2", "f3"])
        #expect(try fixture.query("pragma journal_mode", database: "other.db") == ["wal"])
        #expect(try fixture.query("pragma integrity_check", database: "other.db") == ["ok"])
    }

    @Test("an event without a usable input is fatal, and the others of its batch are kept")
    func inputs() throws {
        let host = fixture.indexHost()
        #expect(host.start() == nil)
        var broken = fixture.indexed("x", 3, "text")
        broken.inputs = [("extract", Array("nonsense".utf8))]
        let ended = host.handleBatch([fixture.indexed("a", 1, "text", "kept"), fixture.event("b", sequence: 2), broken])
        #expect(ended.map(\.status) == [Status.success, Status.fatal, Status.fatal])
        #expect(ended[1].message.hasPrefix("there is no output of extract: index needs `after: extract`"))
        #expect(ended[2].message == "the output of extract is not one of extract")
        #expect(try fixture.query("select text from documents") == ["kept"])
        host.stop()
    }

    @Test("a database of a newer plugin, or none at all, is a failed start that says so")
    func foreignDatabase() throws {
        let host = fixture.indexHost()
        #expect(host.start() == nil)
        host.stop()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["sqlite3", "\(fixture.state)/search.db", "pragma user_version = 9"]
        try process.run()
        process.waitUntilExit()
        #expect(fixture.indexHost().start()?.contains("made by a newer version of this plugin (schema 9, known 1)") == true)
        try Data("this is no database, it is a text of some length".utf8).write(to: URL(filePath: fixture.state + "/junk.db"))
        #expect(fixture.indexHost(config: ["database": "junk.db"]).start()?.contains("file is not a database") == true)
        #expect(fixture.indexHost(config: ["synchronous": "off"]).start() == "config: synchronous: \"off\" is neither full nor normal")
    }

    @Test("several workers write one index at the same time")
    func concurrently() async throws {
        let fixture = fixture
        await withTaskGroup(of: Void.self) { group in
            for worker in UInt64(0)..<4 {
                group.addTask {
                    await onThread {
                        let host = fixture.indexHost()
                        #expect(host.start() == nil)
                        for round in UInt64(0)..<20 {
                            let events = (UInt64(0)..<5).map { number in
                                fixture.indexed("w\(worker)/f\(number)", 1 + round * 5 + number, "text", "round \(round)")
                            }
                            #expect(host.handleBatch(events).allSatisfy { $0.status == Status.success })
                        }
                        host.stop()
                    }
                }
            }
        }
        #expect(try fixture.query("select count(*), min(sequence), max(sequence) from files") == ["20|96|100"])
        #expect(try fixture.query("select count(*) from documents where documents match 'round AND 19'") == ["20"])
        #expect(try fixture.query("select count(*) from documents") == ["20"])
    }

    @Test("a tree goes through extract and index, and the index has what is on disk")
    func endToEnd() throws {
        try fixture.write("doc/one.txt", "first words")
        try fixture.write("doc/two.txt", "second words")
        try fixture.write("image", [0x89, 0, 1])
        let extract = FakeHost(documentsPlugin(), "extract"), index = fixture.indexHost()
        #expect(extract.start() == nil && index.start() == nil)
        func run(_ event: FakeEvent) {
            #expect(extract.handle(event).status == Status.success)
            var event = event
            event.inputs = [("extract", Array(extract.output(of: event.token)!.utf8))]
            #expect(index.handleBatch([event]).map(\.status) == [Status.success])
        }
        for (number, path) in ["doc/one.txt", "doc/two.txt", "image"].enumerated() {
            run(fixture.event(path, sequence: UInt64(number + 1)))
        }
        try FileManager.default.removeItem(atPath: fixture.root + "/doc/one.txt")
        run(fixture.event("doc/one.txt", "deleted", sequence: 9))
        #expect(try fixture.query("select path, size, kind from present order by path") == ["doc/two.txt|12|text", "image|3|binary"])
        #expect(try fixture.query("select path from documents where documents match 'words'") == ["doc/two.txt"])
        let size = try fixture.query("select hash from present where kind = 'binary'").first?.count
        #expect(size == 64)
        extract.stop()
        index.stop()
    }
}
