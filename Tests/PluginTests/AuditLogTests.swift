import Foundation
import Testing

/// What audit-log writes, when it says success, and what it keeps across restarts.
@Suite struct AuditLogTests {
    @Test func recordsEverythingAboutAnEvent() throws {
        let log = try AuditLogFixture()
        var event = TestEvent(7, domain: "orders", subject: "customer-7", payload: "abc")
        event.sequence = 3
        event.type = "order.paid"
        event.id = "id-9"
        event.attempt = 2
        let lambda = try log.start()
        #expect(lambda.handle(event).status == success)
        let record = try #require(try log.records().first)
        #expect(record["n"] as? Int == 1)
        #expect(record["domain"] as? String == "orders")
        #expect(record["offset"] as? Int == 7)
        #expect(record["sequence"] as? Int == 3)
        #expect(record["subject"] as? String == "customer-7")
        #expect(record["type"] as? String == "order.paid")
        #expect(record["id"] as? String == "id-9")
        #expect(record["time"] as? String == "2026-01-02T03:04:05.000006Z")
        #expect(record["attempt"] as? Int == 2)
        #expect(record["payload_size"] as? Int == 3)
        #expect(record["payload_sha256"] as? String == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(record["repeat"] == nil)
        #expect(record["previous"] as? String == String(repeating: "0", count: 64))
    }

    /// The chain is what the README says it is: checked with another program's SHA-256.
    @Test func chainsByHash() throws {
        let log = try AuditLogFixture()
        try log.record((0..<3).map { TestEvent($0) })
        var previous = String(repeating: "0", count: 64)
        for line in try log.lines() {
            let hashed = try #require(line.range(of: ",\"hash\":\""))
            let sum = try Command.run("/usr/bin/env", ["sha256sum"], input: String(line[..<hashed.lowerBound])).output.prefix(64)
            #expect(line.hasSuffix(",\"previous\":\"\(previous)\",\"hash\":\"\(sum)\"}"))
            previous = String(sum)
        }
        let answer = try log.verify()
        #expect(answer.code == 0)
        #expect(answer.output == "records: 3\nunique events: 3\nrepeats: 0\nlast hash: \(previous)\n")
        #expect(try Command.audit("verify", log.file.path, "--contains", previous).code == 0)
        #expect(try Command.audit("verify", log.file.path, "--contains", String(repeating: "0", count: 64)).code == 1)
    }

    @Test func escapesEveryCharacter() throws {
        let log = try AuditLogFixture()
        let controls = String(String.UnicodeScalarView((0..<0x21).map { Unicode.Scalar(UInt8($0)) }))
        let subjects = [
            controls, "quote\" back\\slash /", "\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}", "\u{2028}\u{2029}é😀",
            "tab\tline\nend\r", "",
        ]
        try log.record(subjects.enumerated().map { TestEvent(UInt64($0.offset), subject: $0.element) })
        #expect(try log.records().map { $0["subject"] as? String } == subjects)
        #expect(try log.verify().code == 0)
        let listed = try Command.audit("list", log.file.path).output.split(separator: "\n")
        #expect(listed.count == subjects.count)
        for (line, subject) in zip(listed, subjects) {
            let plain = subject.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\t", with: "\\t")
                .replacingOccurrences(of: "\n", with: "\\n").replacingOccurrences(of: "\r", with: "\\r")
            #expect(line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false)[3].elementsEqual(plain))
        }
    }

    @Test func refusesWhatIsNotUTF8AndRecordsTheRest() throws {
        let log = try AuditLogFixture()
        let lambda = try log.start()
        let bad: [[UInt8]] = [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x61, 0x80], [0xF0, 0x80, 0x80, 0x80],
        ]
        var events: [TestEvent] = []
        for (index, subject) in bad.enumerated() {
            var event = TestEvent(UInt64(2 * index))
            event.subject = subject
            events += [event, TestEvent(UInt64(2 * index + 1))]
        }
        let outcomes = lambda.handleBatch(events)
        #expect(outcomes.map(\.status) == bad.flatMap { _ in [fatal, success] })
        #expect(outcomes[0].message.contains("UTF-8"))
        #expect(try log.verify().output.hasPrefix("records: \(bad.count)\n"))
    }

    @Test func refusesARecordThatIsTooLong() throws {
        let log = try AuditLogFixture()
        let lambda = try log.start()
        let long = TestEvent(1, subject: String(repeating: "\u{1}", count: 12_000))
        let longer = TestEvent(2, subject: String(repeating: "a", count: 1 << 20))
        let longest = TestEvent(3, subject: String(repeating: "a", count: 60_000))
        #expect(lambda.handleBatch([long, longer, longest]).map(\.status) == [fatal, fatal, success])
        lambda.stop()
        #expect(try log.startFailure() == nil)
        #expect(try log.verify().code == 0)
    }

    @Test func flagsRepeatsExactlyAlsoAcrossRestarts() throws {
        let log = try AuditLogFixture()
        var seen: Set<String> = []
        var expected: [Bool] = []
        var random = Pseudorandom(seed: 42)
        for _ in 0..<12 {
            let lambda = try log.start()
            for _ in 0..<6 {
                let batch = (0..<Int.random(in: 1...50, using: &random)).map { _ in
                    TestEvent(UInt64.random(in: 0..<400, using: &random), domain: Bool.random(using: &random) ? "files" : "or\"ders")
                }
                #expect(lambda.handleBatch(batch).allSatisfy { $0.status == success })
                expected += batch.map { !seen.insert("\($0.domain) \($0.offset)").inserted }
            }
        }
        #expect(try log.records().map { $0["repeat"] as? Bool ?? false } == expected)
        let answer = try log.verify()
        #expect(answer.code == 0)
        #expect(answer.output.contains("unique events: \(seen.count)\nrepeats: \(expected.count - seen.count)\n"))
        let listed = try Command.audit("list", log.file.path).lines
        #expect(Set(listed.map { $0.split(separator: "\t").prefix(2).joined(separator: " ") }) == seen)
        #expect(listed.count == seen.count)
    }

    @Test func oneSyncServesABatch() throws {
        let log = try AuditLogFixture()
        let answer = try Command.driver(
            state: log.state, ["start"] + (0..<256).map { "event d \($0)" } + ["run", "syncs", "event d 9", "run", "syncs"])
        #expect(answer.lines.filter { $0.hasPrefix("syncs") } == ["syncs 1", "syncs 2"])
        #expect(answer.lines.filter { $0.hasPrefix("0") }.count == 257)
    }

    @Test func aBatchMayBeLargerThanAsked() throws {
        let log = try AuditLogFixture()
        let lambda = try log.start()
        #expect(lambda.handleBatch((0..<1000).map { TestEvent($0) }).allSatisfy { $0.status == success })
        #expect(lambda.handleBatch([]).isEmpty)
        #expect(try log.verify().output.hasPrefix("records: 1000\nunique events: 1000\n"))
    }

    @Test func extremeNumbersAndTimes() throws {
        let log = try AuditLogFixture()
        let lambda = try log.start()
        var last = TestEvent(.max)
        last.timeMicros = .max
        var first = TestEvent(.max)
        first.timeMicros = -1
        var ancient = TestEvent(0)
        ancient.timeMicros = .min
        #expect(lambda.handleBatch([last, first, ancient]).allSatisfy { $0.status == success })
        lambda.stop()
        let records = try log.records()
        #expect((records[0]["offset"] as? NSNumber)?.uint64Value == .max)
        #expect(records[1]["time"] as? String == "1969-12-31T23:59:59.999999Z")
        #expect(records[1]["repeat"] as? Bool == true)
        #expect(try log.startFailure() == nil)
    }

    @Test func configuration() throws {
        let log = try AuditLogFixture()
        for name in ["a/b", "..", ".", "", "/etc/x", String(repeating: "x", count: 300)] {
            #expect(try log.startFailure(["file": name])?.contains("config file") == true, "\(name)")
        }
        for wait in ["5", "-1s", "1e3s", "s", "", "nan", "99999h"] {
            #expect(try log.startFailure(["lock-wait": wait])?.contains("config lock-wait") == true, "\(wait)")
        }
        let unknown = try #require(try log.startFailure(["flie": "x"]))
        #expect(unknown.contains("`flie`") && unknown.contains("file, lock-wait"))
        let lambda = try log.start(["file": "other.log", "lock-wait": "1.5s"])
        #expect(lambda.handle(TestEvent(1)).status == success)
        #expect(try Command.audit("verify", log.state.url("other.log").path).code == 0)
        try FileManager.default.createDirectory(at: log.file, withIntermediateDirectories: false)
        #expect(try log.startFailure() != nil)
    }

    @Test func theToolExplainsItself() throws {
        #expect(try Command.audit("--help").output.contains("verify"))
        #expect(try Command.audit("--help").code == 0)
        #expect(try Command.audit().code == 2)
        #expect(try Command.audit("verify").code == 2)
        #expect(try Command.audit("verify", "/nonexistent").code == 2)
        #expect(try Command.audit("verify", "/nonexistent", "--contains", "xyz").code == 2)
        #expect(try Command.audit("repair", "/nonexistent").code == 2)
    }
}
