import Foundation
@testable import Journal
import Testing
import WorkerProtocol

@Suite("The SQLite file") struct SQLiteTests {
    private let folder = TemporaryFolder()
    private var data: String { folder.path + "/data" }

    private func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: data + "/" + name))) }
    private func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: data + "/" + name)) }

    @Test("A second opener is refused and told who has it")
    func secondOpener() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        let error = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(error?.code == .inUse)
        #expect(error?.message == "data directory \(data) is in use by process \(getpid()); stop it or choose another `data:`")
        journal.close()
        try SQLiteJournal.open(directory: data).close()
    }

    @Test("The directory is private, commits are synced, pages are large")
    func settings() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        defer { journal.close() }
        let attributes = try FileManager.default.attributesOfItem(atPath: data)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
        #expect(try journal.writerPragma("synchronous") == 2)
        #expect(try journal.writerPragma("page_size") == 16384)
        let stream = try journal.stream(.domain, named: "orders")
        _ = try await journal.append(stream, numbered(0..<1), relaxed: true)
        _ = try await journal.append(stream, numbered(1..<2))
        #expect(try journal.writerPragma("synchronous") == 2)
        // A relaxed group is synced soon, without another one.
        _ = try await journal.append(stream, numbered(2..<3), relaxed: true)
        #expect(try await eventually { try journal.writerPragma("synchronous") == 2 })
    }

    @Test("A newer schema and a foreign file are refused")
    func schema() throws {
        try SQLiteJournal.open(directory: data).close()
        var file = try bytes("journal.sqlite")
        #expect(file[60..<64].elementsEqual([0, 0, 0, UInt8(Schema.migrations.count)]))
        file[63] += 1
        try write(file, to: "journal.sqlite")
        let newer = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(newer?.code == .newerSchema)
        #expect(newer?.message.contains("newer Capelet") == true)
        file[63] -= 1
        file[68] = 0
        try write(file, to: "journal.sqlite")
        let foreign = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(foreign?.message.contains("no journal of Capelet's") == true)
    }

    @Test("Subjects hash alike after opening again, and differently in another directory")
    func key() throws {
        let first = try SQLiteJournal.open(directory: data)
        let hash = first.subjectHash
        first.close()
        let again = try SQLiteJournal.open(directory: data)
        #expect(again.subjectHash == hash)
        again.close()
        let other = try SQLiteJournal.open(directory: folder.path + "/other")
        #expect(other.subjectHash != hash)
        other.close()
    }

    /// Closes a journal of 100 groups of 10 events each, "marker-N-" in each payload, and flips one bit in the one of `event`.
    private func damage(event: Int, padding: Int) async throws {
        let journal = try SQLiteJournal.open(directory: data)
        let stream = try journal.stream(.domain, named: "orders")
        let pad = String(repeating: "x", count: padding)
        for group in 0..<100 {
            _ = try await journal.append(stream, (group * 10..<group * 10 + 10).map { SampleEvent(payload: "marker-\($0)-" + pad) })
        }
        journal.close()
        var file = try bytes("journal.sqlite")
        let marker = Array("marker-\(event)-".utf8)
        let place = try #require(file.firstRange(of: marker)).lowerBound
        file[place + 2] ^= 4
        try write(file, to: "journal.sqlite")
    }

    @Test("A flipped bit in a new row is found on opening, naming the offsets")
    func flippedNew() async throws {
        try await damage(event: 987, padding: 100)
        let error = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(error?.code == .damaged)
        #expect(error?.message.contains("events 980…989 of 'orders' are damaged") == true)
        // Opening all the same reads all but these.
        var options = SQLiteJournal.Options()
        options.acceptsLosses = true
        let journal = try SQLiteJournal.open(directory: data, options: options)
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        #expect(try journal.read(stream, from: 0, maximumBytes: 100).first?.count == 10)
    }

    @Test("A flipped bit in an old row is found on reading, naming the offsets")
    func flippedOld() async throws {
        try await damage(event: 123, padding: 100)
        let journal = try SQLiteJournal.open(directory: data)
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        #expect(try journal.read(stream, from: 200, maximumBytes: .max).count == 80)
        let error = #expect(throws: JournalError.self) { try journal.read(stream, from: 0, maximumBytes: .max) }
        #expect(error?.code == .damaged)
        #expect(error?.message.contains("events 120…129 of 'orders' are damaged") == true)
    }

    @Test("Rows that are gone are found on opening and on reading, naming the offsets")
    func lostRows() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        let stream = try journal.stream(.domain, named: "orders")
        for group in 0..<10 { _ = try await journal.append(stream, numbered(group * 10..<group * 10 + 10)) }
        try journal.execute("DELETE FROM batches WHERE base IN (30, 40)")
        let error = #expect(throws: JournalError.self) { try journal.read(stream, from: 0, maximumBytes: .max) }
        #expect(error?.message.contains("events 30…49 of 'orders' are lost") == true)
        let inside = #expect(throws: JournalError.self) { try journal.read(stream, from: 35, maximumBytes: .max) }
        #expect(inside?.message.contains("events 35…49 of 'orders' are lost") == true)
        journal.close()
        let opening = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(opening?.code == .damaged)
        #expect(opening?.message.contains("events 30…49 of 'orders' are lost") == true)
    }

    @Test("Rows that are gone from the end or the beginning are found on opening", arguments: ["base >= 80", "base < 20", "1"])
    func lostEnds(_ condition: String) async throws {
        let journal = try SQLiteJournal.open(directory: data)
        let stream = try journal.stream(.domain, named: "orders")
        for group in 0..<10 { _ = try await journal.append(stream, numbered(group * 10..<group * 10 + 10)) }
        try journal.execute("DELETE FROM batches WHERE \(condition)")
        journal.close()
        let error = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        let lost = ["base >= 80": "80…99", "base < 20": "0…19", "1": "0…99"][condition] ?? ""
        #expect(error?.message.contains("events \(lost) of 'orders' are lost") == true)
    }

    @Test("A backup taken under load opens, and equals the journal up to its end")
    func backup() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        let route = try journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        _ = try await journal.append(stream, numbered(0..<100, id: true))
        try await journal.commit {
            $0.progress = [RouteProgress(route: route.id, watermark: 10, ranges: [20..<30])]
            $0.dead = [
                DeadLetter(
                    id: 5, route: route.id, records: records(stream, numbered(0..<1), hash: journal.subjectHash), atMillis: 1,
                    reason: "fatal",
                    history: .init())
            ]
        }
        let answers = (1..<200).map { journal.start(stream, numbered($0 * 100..<$0 * 100 + 100)) }
        let copy = folder.path + "/copy"
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        try journal.backup(to: copy + "/journal.sqlite")
        for answer in answers { _ = try await answer.get() }
        #expect(throws: JournalError.self) { try journal.backup(to: copy + "/journal.sqlite") }

        let restored = try SQLiteJournal.open(directory: copy)
        defer { restored.close() }
        let events = try restored.events(stream)
        #expect(events.count >= 100)
        #expect(events == Array(try journal.events(stream).prefix(events.count)))
        #expect(try restored.routes() == journal.routes())
        #expect(try restored.deadLetters(RowQuery()).map(\.id) == [5])
        #expect(restored.subjectHash == journal.subjectHash)
        #expect(try await restored.append(stream, [SampleEvent(id: "id-7")]).entries == [.duplicate(offset: 7)])
    }

    @Test("The write-ahead log is bounded while readers come and go")
    func walIsBounded() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        let pad = String(repeating: "x", count: 10_000)
        var largest: UInt64 = 0
        for group in 0..<150 {
            _ = try await journal.append(stream, numbered(group * 100..<group * 100 + 100, payload: pad))
            _ = try journal.read(stream, from: UInt64(group * 50), maximumBytes: 1 << 20)
            largest = max(largest, journal.figures().walBytes)
        }
        #expect(journal.figures().databaseBytes > 100 << 20)
        #expect(largest < 64 << 20)
    }

    @Test("Throughput, for the reader of the log")
    func throughput() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        #if DEBUG
            let groups = 100
        #else
            let groups = 1000
        #endif
        let payload = String(repeating: "x", count: 120)
        let buffers = (0..<groups).map { group in
            records(
                stream, (0..<1000).map { SampleEvent(subject: "c\($0)", id: "\(group)-\($0)", payload: payload) }, hash: journal.subjectHash
            )
        }
        let clock = ContinuousClock()
        let began = clock.now
        var answers: [Answer<AppendReceipt>] = []
        for buffer in buffers {
            let answer = Answer<AppendReceipt>()
            journal.append(AppendRequest(stream: stream, records: buffer) { answer.set($0) })
            answers.append(answer)
            if answers.count > 4 { _ = try await answers[answers.count - 5].get() }
        }
        for answer in answers.suffix(5) { _ = try await answer.get() }
        let seconds = (clock.now - began) / .seconds(1)
        #expect(journal.end(of: stream) == UInt64(groups * 1000))
        print(
            "journal: \(Int(Double(groups * 1000) / seconds)) events/s of \(buffers[0].size / 1000) bytes, \(journal.figures().groups) groups, full sync"
        )
    }
}
