import Foundation
@testable import Journal
import Synchronization
import Testing
import WorkerProtocol

@Suite("Crashes and full disks") struct CrashTests {
    /// Appends from several sides until it is killed in the middle, writing down what was acknowledged.
    private static func appendUntilKilled(_ data: String, round: Int) async throws {
        let journal = try SQLiteJournal.open(directory: data)
        let stream = try journal.stream(.domain, named: "orders")
        let route = try journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        let acknowledged = open(data + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let count = Mutex(0)
        let limit = 50 + round * 37
        for number in 0... {
            let first = number * 10
            let events = (first..<first + 10).map { SampleEvent(subject: "s\($0 % 7)", id: "\(round)-\($0)", payload: "\(round)-\($0)") }
            let answered = AsyncStream<Void>.makeStream()
            journal.append(
                AppendRequest(stream: stream, records: records(stream, events, hash: journal.subjectHash)) { result in
                    guard case .success(let receipt) = result else { return }
                    let line = Array("\(receipt.firstOffset) \(round)-\(first)\n".utf8)
                    _ = Foundation.write(acknowledged, line, line.count)
                    if count.withLock({
                        $0 += 1; return $0
                    }) == limit {
                        kill(getpid(), SIGKILL)
                    }
                    answered.continuation.finish()
                })
            var commit = JournalCommit()
            commit.progress = [RouteProgress(route: route.id, watermark: UInt64(first), ranges: [])]
            journal.commit(commit) { _ in }
            // Some of them wait, so that groups of all sizes are open when it ends.
            if number % 8 == 7 { for await _ in answered.stream {} }
        }
    }

    @Test("Kill -9 in the middle of appending loses nothing that was acknowledged")
    func killed() async throws {
        let folder = TemporaryFolder()
        let data = folder.path + "/data"
        for round in 0..<5 {
            await #expect(processExitsWith: .signal(SIGKILL)) { [data = data as String, round = round as Int] in
                try await CrashTests.appendUntilKilled(data, round: round)
            }
            let journal = try SQLiteJournal.open(directory: data)
            let stream = try journal.stream(.domain, named: "orders")
            let events = try journal.events(stream)
            #expect(events.map(\.offset) == Array(0..<UInt64(events.count)))
            let lines = try String(contentsOfFile: data + "/acknowledged", encoding: .utf8).split(separator: "\n")
            #expect(lines.count >= 50)
            for line in lines {
                let parts = line.split(separator: " ")
                let offset = try #require(Int(parts[0]))
                try #require(offset + 10 <= events.count)
                let first = try #require(Int(parts[1].split(separator: "-")[1]))
                let source = parts[1].split(separator: "-")[0]
                #expect((0..<10).allSatisfy { events[offset + $0].payload == "\(source)-\(first + $0)" })
            }
            // Groups are all or nothing.
            #expect(events.count % 10 == 0)
            // A producer that asks again is told the first offsets.
            let again = try await journal.append(stream, [SampleEvent(id: events.last?.payload ?? "")])
            #expect(again.entries == [.duplicate(offset: UInt64(events.count - 1))])
            journal.close()
        }
    }

    /// Appends groups of ten, one after another, and ends without closing, so that all of it is in the write-ahead log.
    private static func appendAndDie(_ data: String, groups: Int) async throws {
        let journal = try SQLiteJournal.open(directory: data)
        let stream = try journal.stream(.domain, named: "orders")
        for group in 0..<groups { _ = try await journal.append(stream, numbered(group * 10..<group * 10 + 10)) }
        kill(getpid(), SIGKILL)
    }

    @Test("A flipped bit in the write-ahead log does not take acknowledged events away unnoticed")
    func flippedLog() async throws {
        let folder = TemporaryFolder()
        let data = folder.path + "/data"
        await #expect(processExitsWith: .signal(SIGKILL)) { [data = data as String] in
            try await CrashTests.appendAndDie(data, groups: 50)
        }
        let url = URL(fileURLWithPath: data + "/journal.sqlite-wal")
        var log = Array(try Data(contentsOf: url))
        let place = try #require(log.lastRange(of: Array("p250".utf8))).lowerBound
        log[place] ^= 1
        try Data(log).write(to: url)
        let error = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(error?.code == .damaged)
        #expect(error?.message.contains("…499 of 'orders' were acknowledged and are lost") == true)
        // As asked, it opens with what is left, and goes on from there.
        var options = SQLiteJournal.Options()
        options.acceptsLosses = true
        let said = Mutex("")
        options.log = { line in said.withLock { $0 += line } }
        let journal = try SQLiteJournal.open(directory: data, options: options)
        let stream = try journal.stream(.domain, named: "orders")
        let left = try journal.events(stream).count
        #expect(left >= 200 && left < 500)
        #expect(said.withLock { $0 }.contains("events \(left)…499"))
        #expect(try await journal.append(stream, numbered(0..<1)).firstOffset == UInt64(left))
        journal.close()
        try SQLiteJournal.open(directory: data).close()
    }

    @Test("An older file in the place of the journal is noticed")
    func olderFile() async throws {
        let folder = TemporaryFolder()
        let data = folder.path + "/data"
        let journal = try SQLiteJournal.open(directory: data)
        let stream = try journal.stream(.domain, named: "orders")
        _ = try await journal.append(stream, numbered(0..<10))
        try journal.backup(to: folder.path + "/backup")
        _ = try await journal.append(stream, numbered(10..<20))
        journal.close()
        // All of it is in the one file.
        #expect((try? Data(contentsOf: URL(fileURLWithPath: data + "/journal.sqlite-wal")))?.isEmpty ?? true)
        try FileManager.default.removeItem(atPath: data + "/journal.sqlite")
        try FileManager.default.copyItem(atPath: folder.path + "/backup", toPath: data + "/journal.sqlite")
        let error = #expect(throws: JournalError.self) { try SQLiteJournal.open(directory: data) }
        #expect(error?.message.contains("events 10…19 of 'orders' were acknowledged") == true)
        #expect(error?.message.contains("remove the file `tail`") == true)
        try FileManager.default.removeItem(atPath: data + "/tail")
        try SQLiteJournal.open(directory: data).close()
    }

    @Test("After an I/O error nothing is acknowledged before the log has been written back")
    func doubt() async throws {
        let folder = TemporaryFolder()
        let journal = try SQLiteJournal.open(directory: folder.path + "/data")
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        for group in 0..<20 { _ = try await journal.append(stream, numbered(group * 10..<group * 10 + 10)) }
        let before = journal.figures().databaseBytes
        try journal.setDoubtful()
        _ = try await journal.append(stream, numbered(200..<210))
        #expect(journal.figures().databaseBytes > before)
        #expect(try journal.events(stream).count == 210)
    }

    @Test("A full disk fails appends without acknowledging, is shown, and is over when there is room")
    func full() async throws {
        await #expect(processExitsWith: .success) {
            let folder = TemporaryFolder()
            signal(SIGXFSZ, SIG_IGN)
            let journal = try SQLiteJournal.open(directory: folder.path + "/data")
            let stream = try journal.stream(.domain, named: "orders")
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let before = limit
            limit.rlim_cur = 3 << 20
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            var accepted = 0
            var refusals = 0
            while refusals < 3 {
                try #require(accepted < 100)
                let pad = String(repeating: "x", count: 10_000)
                do {
                    let receipt = try await journal.append(stream, numbered(accepted * 10..<accepted * 10 + 10, id: true, payload: pad))
                    #expect(receipt.firstOffset == UInt64(accepted * 10) && receipt.entries.isEmpty)
                    accepted += 1
                } catch {
                    #expect((error as? JournalError)?.code == .full)
                    #expect(journal.figures().fault?.contains("full") == true)
                    refusals += 1
                }
            }
            #expect(accepted > 5)
            #expect(journal.end(of: stream) == UInt64(accepted * 10))
            #expect(try journal.events(stream).count == accepted * 10)
            limit = before
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            // What was refused is not known.
            let receipt = try await journal.append(stream, numbered(accepted * 10..<accepted * 10 + 10, id: true))
            #expect(receipt.entries.isEmpty && receipt.firstOffset == UInt64(accepted * 10))
            #expect(journal.figures().fault == nil)
            journal.close()
            let again = try SQLiteJournal.open(directory: folder.path + "/data")
            #expect(try again.events(stream).count == accepted * 10 + 10)
            again.close()
        }
    }
}
