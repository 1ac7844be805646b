import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// What a plugin asks of its host: outputs, emits, log lines, completion, cancellation.
@Suite struct HostFunctionTests {
    @Test func completesFromAnotherThread() throws {
        let worker = try TestKeeper.loaded().spawn("pending")
        for i in 0..<200 {
            let token = try worker.publish("later", lane: UInt32(i))
            let first = try worker.next()
            // The output may come before or after the handler has returned; the result comes last.
            var frames = [first]
            while frames.last!.type != CAPELET_FRAME_RESULT || frames.last!.code == 3 { frames.append(try worker.next()) }
            let kinds = frames.map { $0.type * 10 + $0.code }
            let (pending, output, result) = (CAPELET_FRAME_RESULT * 10 + 3, CAPELET_FRAME_OUTPUT * 10, CAPELET_FRAME_RESULT * 10)
            // If `complete` came first, there is no word of pending.
            #expect([[pending, output, result], [output, pending, result], [output, result]].contains(kinds))
            #expect(frames.allSatisfy { $0.token == token })
        }
        let retry = try worker.publish("retry", lane: 300)
        var last = try worker.next()
        while last.type != CAPELET_FRAME_RESULT || last.code == 3 { last = try worker.next() }
        #expect((last.token, last.code, last.value, last.text) == (retry, 1, 70, "completed elsewhere"))
    }

    @Test func completesBeforeTheHandlerReturns() throws {
        let worker = try TestKeeper.loaded().spawn("pending")
        let tokens = try worker.publish([
            TestWorker.Event("early", lane: 1), TestWorker.Event("early retry", lane: 1), TestWorker.Event("early", lane: 1),
        ])
        // A success does not block its lane, a failure does; pending is never mentioned.
        let codes = try tokens.map { token in try worker.until(token).filter { $0.type == CAPELET_FRAME_RESULT }.map(\.code) }
        #expect(codes == [[0], [1], [4]])
    }

    @Test func completesOnceOnly() throws {
        let worker = try TestKeeper.loaded().spawn("pending")
        for (i, word) in ["early twice", "twice"].enumerated() {
            try worker.publish(word, lane: UInt32(i))
            var log: TestWorker.Frame?
            var results = 0
            while log == nil || results == 0 {
                let frame = try worker.next()
                if frame.type == CAPELET_FRAME_LOG { log = frame }
                if frame.type == CAPELET_FRAME_RESULT && frame.code == 0 { results += 1 }
            }
            #expect(log?.text == "first 0 second -3 late -3")
            #expect(results == 1)
        }
        #expect(try worker.take() == nil)
    }

    @Test func chunksWhatIsLargerThanAFrame() throws {
        let worker = try TestKeeper.loaded().spawn("echo")
        // Around the edges of a frame, of the ring, and at the limit of an output.
        for size in [0, 1, 32_743, 32_744, 32_745, 65_488, 100_003, 262_144, 400_000, 1 << 20] {
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            var event = TestWorker.Event("", lane: 1)
            event.payload = payload
            event.isLarge = size > 100_000
            let frames = try worker.until(worker.publish([event])[0])
            #expect(frames.count == 2)
            #expect(frames[0].body == payload)
        }
        #expect(worker.padsSeen > 0)
    }

    @Test func emits() throws {
        let worker = try TestKeeper.loaded().spawn("emit")
        let token = try worker.publish("3 50000")
        let emits = try worker.until(token).filter { $0.type == CAPELET_FRAME_EMIT }
        #expect(emits.count == 3)
        for (i, emit) in emits.enumerated() {
            #expect(emit.token == token)
            let header = emit.body.withUnsafeBytes { $0.loadUnaligned(as: capelet_frame_emit.self) }
            #expect((header.domain_size, header.subject_size, header.type_size, header.id_size) == (6, 3, 1, 1))
            #expect((header.header_count, header.headers_size, header.payload_size) == (2, 6 + 11 + 4 + 6 + 4, 50_000))
            let rest = Array(emit.body.dropFirst(24))
            let expected: [UInt8] =
                Array("orderssät\(i)".utf8) + [11, 0, 4, 0, 0, 0] + Array("traceparent00-1".utf8) + [4, 0, 0, 0, 0, 0] + Array("note".utf8)
                + Array(repeating: UInt8(ascii: "e"), count: 50_000)
            #expect(rest == expected)
        }
    }

    @Test func refusesWhatIsWrong() throws {
        let worker = try TestKeeper.loaded().spawn("emit")
        #expect(try worker.run("refused").output == "-1 -1 -1 -1 -1 -3 -1 -1")
    }

    @Test func failsARunThatPassesALimit() throws {
        let worker = try TestKeeper.loaded().spawn("emit")
        for (lane, word, emitted) in [(1, "1001 1", 1000), (2, "3 6000000", 2), (3, "too-large", 0)] {
            let frames = try worker.run(word, lane: UInt32(lane)).frames
            #expect(frames.filter { $0.type == CAPELET_FRAME_EMIT }.count == emitted)
            #expect(frames.filter { $0.type == CAPELET_FRAME_LOG }.map(\.text) == ["code -2"])
            #expect(frames.last?.code == 2)
            #expect(frames.last?.text.hasPrefix("a limit was passed") == true)
        }
        // Limits are for one run.
        #expect(try worker.run("1000 1", lane: 4).code == 0)
    }

    @Test func logs() throws {
        let worker = try TestKeeper.loaded().spawn("talk")
        let long = try worker.run("long").frames[0]
        #expect((long.type, long.code, long.body.count) == (CAPELET_FRAME_LOG, 2, 8191))
        let levels = try worker.run("levels").frames.filter { $0.type == CAPELET_FRAME_LOG }
        #expect(levels.map(\.code) == [0, 0, 1, 2, 3, 4, 5, 5, 5])
        #expect(levels.allSatisfy { $0.token == 0 && $0.text == "line" })
        let extended = try worker.run("extend")
        #expect(extended.frames.first { $0.type == CAPELET_FRAME_EXTEND }?.value == 5000)
        #expect(extended.output == "0 -1")
    }

    @Test func waitsForRoomInTheRing() throws {
        let worker = try TestKeeper.loaded().spawn("talk")
        let token = try worker.publish("flood")
        // It stops by itself, with the ring full, and wants to be woken.
        #expect(eventually { capelet_load32(&worker.outbox.pointee.space_waiting) == 1 })
        #expect(capelet_load64(&worker.outbox.pointee.written) <= UInt64(CAPELET_RING_SIZE) * 2)
        let lines = try worker.until(token).filter { $0.type == CAPELET_FRAME_LOG }
        #expect(lines.map(\.text) == (0..<100_000).map { "flood \($0)" })
    }

    @Test func keepsMessagesOfManyThreadsApart() throws {
        let worker = try TestKeeper.loaded().spawn("crowd")
        let frames = try worker.until(worker.publish("")).dropLast()
        #expect(frames.count == 3200)
        for frame in frames {
            #expect(frame.body.count == (frame.type == CAPELET_FRAME_LOG ? 100 : 3000))
            #expect(Set(frame.body).count == 1)
        }
    }

    @Test func cancels() throws {
        let worker = try TestKeeper.loaded().spawn("cancel")
        for round in 0..<5 {
            // Others before it, more than the list holds, which are not open here: `cancel` is not called for them.
            for i in 0..<(round * 40) { worker.cancel(UInt64(5_000_000 + i)) }
            #expect(try worker.run("quick", lane: 1).code == 0)
            let token = try worker.publish("wait", lane: UInt32(10 + round))
            #expect(try worker.next().text == "waiting")
            worker.cancel(token)
            let frames = try worker.until(token)
            #expect(frames.map(\.text) == ["cancelled; output -3", ""])
            #expect(frames.last?.code == 1)
        }
        worker.stop()
        #expect(try worker.awaitDeath().wait_status == 0)
    }
}
