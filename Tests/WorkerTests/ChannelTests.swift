import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// Events through a worker: claims, results, order, what the lambda sees.
@Suite struct ChannelTests {
    @Test func runsEventsInOrder() throws {
        let worker = try TestKeeper.loaded().spawn("echo")
        for round in 0..<50 {
            let tokens = try worker.publish((0..<40).map { TestWorker.Event("event \(round).\($0)", lane: UInt32($0 % 3)) })
            for (i, token) in tokens.enumerated() {
                let frames = try worker.until(token)
                #expect(frames.map(\.type) == [CAPELET_FRAME_OUTPUT, CAPELET_FRAME_RESULT])
                #expect(frames[0].text == "event \(round).\(i)")
                #expect(frames[1].code == 0)
            }
            #expect(worker.claimed == UInt32(round * 40 + 40))
            #expect(eventually { capelet_load32(&worker.outbox.pointee.released) == UInt32(round * 40 + 40) })
        }
    }

    @Test func handsOverTheWholeEvent() throws {
        let worker = try TestKeeper.loaded().spawn("inspect")
        var event = TestWorker.Event("the payload")
        event.attempt = 3
        event.flags = UInt8(CAPELET_RECORD_REPLAYED)
        event.subject = "customer-ä"
        event.headers = [("traceparent", "00-1"), ("empty", "")]
        event.inputs = [("extract", "text"), ("other", "")]
        event.domain = 8
        let token = try worker.publish([event])[0]
        let expected = """
            size=1 result=1 attempt=3 flags=2 sequence=42 offset=\(token) time=1700000000000000
            domain=files subject=customer-ä type=type id=id payload=the payload
            header traceparent=00-1
            header empty=
            input extract=text
            input other=

            """
        #expect(try worker.until(token)[0].text == expected)
        // One without anything: nothing of the one before shows.
        event = TestWorker.Event("")
        event.flags = UInt8(CAPELET_RECORD_REDRIVEN)
        event.domain = 99
        let second = try worker.publish([event])[0]
        let bare = """
            size=1 result=1 attempt=1 flags=1 sequence=42 offset=\(second) time=1700000000000000
            domain= subject=s type=type id=id payload=

            """
        #expect(try worker.until(second)[0].text == bare)
    }

    @Test func reportsEveryKindOfResult() throws {
        let worker = try TestKeeper.loaded().spawn("status")
        let retry = try worker.run("retry", lane: 1).frames[0]
        #expect((retry.code, retry.value, retry.text) == (1, 250, "not now"))
        let fatal = try worker.run("fatal", lane: 2).frames[0]
        #expect((fatal.code, fatal.value, fatal.text) == (2, 0, "never"))
        let full = try worker.run("full-message", lane: 3).frames[0]
        #expect((full.code, full.body.count) == (2, 512))
        let strange = try worker.run("strange", lane: 4).frames[0]
        #expect((strange.code, strange.text) == (1, "the handler returned 77, which is no capelet_status"))
        // The result structure is clean again after all that.
        let success = try worker.run("", lane: 5).frames[0]
        #expect((success.code, success.value, success.body.count) == (0, 0, 0))
    }

    @Test func skipsWhatFollowsAFailureInItsLane() throws {
        let worker = try TestKeeper.loaded().spawn("status")
        let events = [
            ("", 1, 0), ("retry", 1, 0), ("", 2, 0), ("", 1, 0), ("", 1, 0), ("", 1, 1), ("pending", 2, 0), ("", 2, 0), ("fatal", 1, 1),
            ("", 1, 1),
        ]
        let tokens = try worker.publish(events.map { TestWorker.Event($0.0, lane: UInt32($0.1), epoch: UInt32($0.2)) })
        let codes = try tokens.map { try worker.until($0).last!.code }
        #expect(codes == [0, 1, 0, 4, 4, 0, 3, 4, 2, 4])
    }

    @Test func leavesWithdrawnEventsAlone() throws {
        let gate = try Gate()
        let worker = try TestKeeper.loaded().spawn("gate", ["state": gate.folder])
        let tokens = try worker.publish((0..<10).map { TestWorker.Event("", lane: UInt32($0)) })
        #expect(eventually { worker.claimed == 1 })
        #expect(worker.withdraw() == 9)
        #expect(worker.limit == 1)
        // The numbers are used again, for others.
        let later = try worker.publish([TestWorker.Event("fatal", lane: 20)])
        for _ in 0..<2 {
            try gate.open()
            _ = try worker.next()
        }
        #expect(try worker.take() == nil)
        #expect(worker.claimed == 2)
        #expect(tokens.count + later.count == 11)
    }

    @Test func takesLargeEventsFromTheirMemory() throws {
        let worker = try TestKeeper.loaded().spawn("inspect")
        var large = TestWorker.Event("x", lane: 1)
        large.isLarge = true
        large.headers = [("h", String(repeating: "v", count: 300_000))]
        large.payload = Array(repeating: UInt8(ascii: "p"), count: 5 << 20)
        // One before it was withdrawn; its message is still in the socket.
        try worker.sendStaleLarge()
        let before = descriptorCount(worker.pid)
        let token = try worker.publish([large, TestWorker.Event("small", lane: 2)])[0]
        #expect(try worker.until(token).first?.text.contains("id=id payload=ppp") == true)
        #expect(try worker.until(token + 1).first?.text.contains("payload=small") == true)
        #expect(descriptorCount(worker.pid) == before)
        let maps = try String(contentsOfFile: "/proc/\(worker.pid)/maps", encoding: .utf8)
        #expect(!maps.contains("memfd:event"))
    }

    @Test func refusesAPayloadThatItCannotRead() throws {
        let worker = try TestKeeper.loaded().spawn("echo")
        var event = TestWorker.Event("12345678", lane: 1)
        event.flags = UInt8(CAPELET_RECORD_EXTERNAL)
        let frames = try worker.until(worker.publish([event])[0])
        #expect(frames.count == 1 && frames[0].code == 2)
    }

    @Test func wrapsItsCounters() throws {
        let worker = try TestKeeper.loaded().ask("echo")
        // As after four thousand million events.
        let start = UInt32.max - 20
        capelet_store64(&worker.outbox.pointee.claim, capelet_claim(start, start))
        try worker.awaitStarted()
        #expect(try worker.next().type == CAPELET_FRAME_READY)
        for i in 0..<100 { #expect(try worker.run("\(i)").output == "\(i)") }
        #expect(worker.claimed == start &+ 100)
    }

    @Test func batchesWhatIsQueued() throws {
        let worker = try TestKeeper.loaded().spawn("batch")
        var events = (0..<20).map { TestWorker.Event("", lane: UInt32($0)) }
        for i in events.indices {
            events[i].subject = "subject-\(i)"
            if i % 2 == 1 { events[i].headers = [("h", "value-\(i)")] }
        }
        let tokens = try worker.publish(events)
        let frames = try worker.until(tokens.last!)
        let sizes = frames.filter { $0.type == CAPELET_FRAME_LOG }.compactMap { Int($0.text.dropFirst("batch of ".count)) }
        #expect(sizes.reduce(0, +) == 20)
        #expect(sizes.max() == 8)
        let outputs = frames.filter { $0.type == CAPELET_FRAME_OUTPUT }.map(\.text)
        #expect(outputs == (0..<20).map { $0 % 2 == 1 ? "subject-\($0) 1 value-\($0)" : "subject-\($0) 0 " })
        #expect(frames.filter { $0.type == CAPELET_FRAME_RESULT }.map(\.code) == Array(repeating: 0, count: 20))
    }

    @Test func endsEachEventOfABatchOnItsOwn() throws {
        let worker = try TestKeeper.loaded().spawn("batch")
        let events = [("", 1), ("retry", 1), ("", 1), ("", 2), ("fatal", 3), ("silent", 4), ("", 4)]
        let tokens = try worker.publish(events.map { TestWorker.Event($0.0, lane: UInt32($0.1)) })
        var results: [UInt64: TestWorker.Frame] = [:]
        for frame in try worker.until(tokens.last!) where frame.type == CAPELET_FRAME_RESULT { results[frame.token] = frame }
        #expect(tokens.map { results[$0]?.code } == [0, 1, 4, 0, 2, 1, 4])
        #expect(results[tokens[1]]?.text == "not now")
        #expect(results[tokens[4]]?.text == "never")
        // The results are clean for the next batch.
        #expect(try worker.run("", lane: 9).frames.last?.body.isEmpty == true)
    }

    @Test func sleepsAndWakes() throws {
        let worker = try TestKeeper.loaded().spawn("echo")
        for i in 0..<200 {
            #expect(eventually { capelet_load32(&worker.outbox.pointee.worker_waiting) == 1 })
            #expect(try worker.run("\(i)").output == "\(i)")
        }
    }

    private func descriptorCount(_ pid: pid_t) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    }
}
