import Foundation
import Testing

/// What audit-log does about crashes, other writers, full disks and people who change its file.
@Suite struct AuditDamageTests {
    private func threeRecords() throws -> AuditLogFixture {
        let log = try AuditLogFixture()
        try log.record([
            TestEvent(1, subject: "one", payload: "a"), TestEvent(2, subject: "two", payload: "b"),
            TestEvent(2, subject: "two", payload: "b"), TestEvent(3, subject: "three", payload: "c"),
        ])
        return log
    }

    @Test func recoversATornTailAtEveryByte() throws {
        let log = try threeRecords()
        let whole = try log.bytes()
        let kept = whole.count - (try #require(try log.lines().last)).utf8.count - 1
        for size in kept..<whole.count {
            try log.replace(Array(whole[..<size]))
            let lambda = try log.start()
            let cut = lambda.host.logs.filter { $0.contains("cut off \(size - kept) bytes") }
            #expect(cut.count == (size > kept ? 1 : 0))
            #expect(try log.bytes().count == kept)
            if size % 50 == 0 {
                #expect(lambda.handle(TestEvent(3, subject: "three", payload: "c")).status == success)
                #expect(try log.bytes() == whole)
            }
        }
        // Blocks that were allocated but never written read as zeros.
        try log.replace(whole[..<(kept + 40)] + [UInt8](repeating: 0, count: 300_000))
        #expect(try log.verify().error.contains("unfinished record"))
        #expect(try log.startFailure() == nil)
        #expect(try log.bytes().count == kept)
    }

    @Test func findsAChangeOfAnyField() throws {
        let log = try threeRecords()
        let lines = try log.lines()
        let changes: [(String, String)] = [
            ("{\"n\":", "{\"n\":1"), ("\"domain\":\"files", "\"domain\":\"fileS"), ("\"offset\":", "\"offset\":1"),
            ("\"sequence\":", "\"sequence\":1"), ("\"subject\":\"", "\"subject\":\"x"), ("file.created", "file.deleted"),
            ("\"id\":\"id-1", "\"id\":\"id-2"), ("2026", "2025"), ("\"attempt\":1", "\"attempt\":2"),
            ("\"payload_size\":1", "\"payload_size\":2"), ("\"payload_sha256\":\"", "\"payload_sha256\":\"0"),
            ("\"repeat\":true", "\"repeat\":false"), (",\"repeat\":true", ""), (",\"previous\"", ",\"repeat\":true,\"previous\""),
            ("\"previous\":\"", "\"previous\":\"0"), ("\"hash\":\"", "\"hash\":\"0"), ("\"}", "\",\"x\":1}"), ("{", " {"), ("}", "} "),
            ("\"offset\":", "\"offset\":0"), ("\"offset\":", "\"offset\":-"),
        ]
        for (from, to) in changes {
            for number in lines.indices {
                guard let range = lines[number].range(of: from) else { continue }
                var changed = lines
                changed[number].replaceSubrange(range, with: to)
                try expectBroken(log, changed, line: number + 1, "\(from) -> \(to)")
            }
        }
    }

    @Test func findsAChangeOfAnyByte() throws {
        let log = try threeRecords()
        let whole = try log.bytes()
        // Every byte of the second line and its end, through the same code as `capelet-audit verify`.
        let first = whole.firstIndex(of: 10)!
        let second = whole[(first + 1)...].firstIndex(of: 10)!
        for index in stride(from: first + 1, through: second, by: 1) {
            var changed = whole
            changed[index] ^= 1
            try log.replace(changed)
            let failure = try log.startFailure()
            #expect(failure?.contains("line 2: ") == true, "byte \(index): \(failure ?? "started")")
        }
    }

    @Test func findsLinesThatAreGoneMovedOrAdded() throws {
        let log = try threeRecords()
        let lines = try log.lines()
        try expectBroken(log, Array(lines[1...]), line: 1, "first gone")
        try expectBroken(log, [lines[0], lines[2], lines[3]], line: 2, "second gone")
        try expectBroken(log, [lines[0], lines[2], lines[1], lines[3]], line: 2, "swapped")
        try expectBroken(log, lines + [lines[3]], line: 5, "last doubled")
        try expectBroken(log, [lines[0], ""] + lines[1...], line: 2, "empty line")
        try expectBroken(log, [lines[0], String(repeating: "x", count: 400_000)] + lines[1...], line: 2, "a huge line")
        try expectBroken(log, ["{}"], line: 1, "not a record")
    }

    /// Somebody who knows the format makes one record anew, with its right hash: the next one gives it away.
    @Test func findsARecordThatWasMadeAnew() throws {
        let log = try threeRecords()
        var lines = try log.lines()
        lines[1] = try rehash(lines[1].replacingOccurrences(of: "\"subject\":\"two\"", with: "\"subject\":\"2\""))
        try expectBroken(log, lines, line: 3, "made anew")
        // And a `repeat` that is not true, in a chain that is otherwise whole.
        lines = try log.lines()
        lines[1] = try rehash(lines[1].replacingOccurrences(of: ",\"previous\"", with: ",\"repeat\":true,\"previous\""))
        try expectBroken(log, Array(lines[..<2]), line: 2, "false repeat")
    }

    private func rehash(_ line: String) throws -> String {
        let hashed = String(line[..<(try #require(line.range(of: ",\"hash\":\""))).lowerBound])
        return hashed + ",\"hash\":\"" + (try Command.run("/usr/bin/env", ["sha256sum"], input: hashed).output.prefix(64)) + "\"}"
    }

    private func expectBroken(_ log: AuditLogFixture, _ lines: [String], line: Int, _ what: String) throws {
        let before = try log.bytes()
        defer { try? log.replace(before) }
        let changed = Array((lines.joined(separator: "\n") + "\n").utf8)
        try log.replace(changed)
        let answer = try log.verify()
        #expect(answer.code == 1 && answer.error.contains("line \(line): "), "\(what): \(answer.error)")
        let failure = try log.startFailure()
        let names = failure?.contains("line \(line): ") == true && failure?.contains("move it away") == true
        #expect(names, "\(what): \(failure ?? "started")")
        #expect(try log.bytes() == changed, "\(what): a broken log must not be touched")
    }

    @Test func anotherProcessHoldsTheLock() throws {
        let log = try threeRecords()
        let running = try log.start(["lock-wait": "60ms"])
        let holder = try LockHolder(log.state.url("audit.jsonl.lock").path)
        let failure = try #require(try log.startFailure(["lock-wait": "100ms"]))
        #expect(failure.contains(log.file.path) && failure.contains("audit.jsonl.lock"))
        let outcome = running.handle(TestEvent(9))
        #expect(outcome.status == retry && outcome.message.contains("lock"))
        holder.release()
        #expect(try log.startFailure() == nil)
        #expect(running.handle(TestEvent(9)).status == success)
        #expect(try log.verify().output.hasPrefix("records: 5\n"))
    }

    @Test func startWaitsForTheLock() throws {
        let log = try threeRecords()
        let holder = try LockHolder(log.state.url("audit.jsonl.lock").path)
        #expect(try log.startFailure(["lock-wait": "0s"]) != nil)
        // The holder goes on for a moment after start has begun to wait, as an old worker does during a reload.
        Thread {
            Thread.sleep(forTimeInterval: 0.1)
            holder.release()
        }.start()
        #expect(try log.startFailure(["lock-wait": "10s"]) == nil)
    }

    /// A reload: the new worker starts while the old one is still there, and both go on for a while.
    @Test func workersTakeTurns() throws {
        let log = try AuditLogFixture()
        let old = try log.start()
        #expect(old.handle(TestEvent(1)).status == success)
        let new = try log.start()
        #expect(new.handle(TestEvent(2)).status == success)
        #expect(old.handle(TestEvent(2)).status == success)
        #expect(new.handle(TestEvent(1)).status == success)
        #expect(old.handle(TestEvent(3)).status == success)
        old.stop()
        #expect(new.handle(TestEvent(3)).status == success)
        #expect(try log.records().map { $0["repeat"] as? Bool ?? false } == [false, false, true, true, false, true])
        #expect(try log.verify().code == 0)
    }

    @Test func aFileThatWasMovedAwayBeginsAnew() throws {
        let log = try threeRecords()
        let lambda = try log.start()
        try FileManager.default.moveItem(at: log.file, to: log.state.url("old.jsonl"))
        #expect(lambda.handle(TestEvent(1)).status == success)
        #expect(lambda.host.logs.contains { $0.contains("moved, removed or replaced") && $0.contains("4 records") })
        #expect(try log.verify().output.hasPrefix("records: 1\nunique events: 1\n"))
        try FileManager.default.removeItem(at: log.state.url("audit.jsonl.lock"))
        #expect(lambda.handle(TestEvent(1)).status == success)
        #expect(try log.verify().output.hasPrefix("records: 2\nunique events: 1\n"))
    }

    @Test func aFileThatWasCutWhileInUseIsNotWrittenTo() throws {
        let log = try threeRecords()
        let lambda = try log.start()
        #expect(truncate(log.file.path, 100) == 0)
        let outcome = lambda.handle(TestEvent(9))
        #expect(outcome.status == retry && outcome.message.contains("lost records while in use"))
        #expect(try log.bytes().count == 100)
    }

    @Test func aFullDiskIsARetryAndLeavesNothing() throws {
        let failures = [(ENOSPC, "free space", 100), (ENOSPC, "free space", 0), (EFBIG, "no larger file", 3), (EDQUOT, "quota", 500)]
        for (code, name, part) in failures {
            let log = try AuditLogFixture()
            let answer = try Command.driver(
                state: log.state,
                ["start", "event d 1", "run", "fail pwrite \(code) \(part)", "event d 2", "event d 3", "run"])
            let bad = answer.lines.suffix(2)
            #expect(bad.allSatisfy { $0.hasPrefix("1 ") && $0.contains(name) && $0.contains(log.file.path) }, "\(answer.output)")
            #expect(try log.verify().output.hasPrefix("records: 1\n"))
            #expect(try log.verify().error.isEmpty)
        }
    }

    @Test func theLimitOnFileSizeIsARetryAndNotASignal() throws {
        let log = try AuditLogFixture()
        let answer = try Command.driver(
            state: log.state, ["start", "event d 1", "run", "limit 600", "event d 2", "run", "limit 100000", "event d 2", "run", "stop"])
        #expect(answer.signal == nil && answer.code == 0)
        #expect(answer.lines.contains { $0.hasPrefix("1 ") && $0.contains("file-size") && $0.contains("600 bytes") })
        #expect(answer.statuses == [success, retry, success])
        #expect(try log.verify().output.hasPrefix("records: 2\nunique events: 2\n"))
    }

    @Test func aFailedSyncIsARetryAndItsRecordsGo() throws {
        let log = try AuditLogFixture()
        var answer = try Command.driver(
            state: log.state, ["start", "event d 1", "run", "fail fdatasync \(EIO) 0", "event d 2", "run", "event d 2", "run"])
        #expect(answer.statuses == [success, retry, success])
        #expect(try log.verify().output.hasPrefix("records: 2\nunique events: 2\n"))
        // Not even cutting back works: what is whole stays and counts as recorded, what is not goes before the next write.
        answer = try Command.driver(
            state: log.state,
            [
                "start", "fail pwrite \(EIO) 700", "fail ftruncate \(EIO) 0", "event d 3", "event d 4", "run",
                "event d 3", "event d 4", "run", "stop",
            ])
        #expect(answer.statuses == [retry, retry, success, success], "\(answer.output)")
        #expect(try log.records().map { $0["repeat"] as? Bool ?? false } == [false, false, false, true, false])
        #expect(try log.verify().code == 0)
    }

    @Test func killedInTheMiddleOfAWrite() throws {
        let log = try AuditLogFixture()
        var random = Pseudorandom(seed: 7)
        var whole = 0
        for round in 0..<25 {
            let part = Int.random(in: 0..<1300, using: &random)
            let events = (3 * round..<3 * round + 3).map { "event d \($0)" }
            let answer = try Command.driver(state: log.state, ["start"] + events + ["die \(part)", "run"])
            #expect(answer.signal == SIGKILL)
            let after = try Command.driver(state: log.state, ["start", "event d \(3 * round)", "run", "stop"])
            #expect(after.statuses == [success], "\(after.output)\(after.error)")
            let answerNow = try log.verify()
            #expect(answerNow.code == 0 && answerNow.error.isEmpty)
            let count = try log.records().count
            #expect(count >= whole + 1 && count <= whole + 4)
            whole = count
        }
        #expect(try Command.audit("list", log.file.path).lines.filter { Int($0.split(separator: "\t")[1])! % 3 == 0 }.count == 25)
    }
}

/// Another process that holds a lock, until it is released or this object goes.
final class LockHolder: @unchecked Sendable {
    private let process = Process()
    private let input = Pipe()

    /// Returns once the lock is held.
    init(_ path: String) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["flock", "-x", path, "-c", "echo held; read line"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        guard try output.fileHandleForReading.read(upToCount: 1) != nil else { throw CocoaError(.fileReadUnknown) }
    }

    func release() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    deinit {
        try? input.fileHandleForWriting.close()
    }
}
