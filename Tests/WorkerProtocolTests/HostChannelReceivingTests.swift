import CWorkerProtocol
import Testing

@testable import WorkerProtocol

/// Frames from a worker that keeps to the rules.
@Suite struct HostChannelReceivingTests {
    @Test func framesArriveInOrder() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.send(Int(CAPELET_FRAME_LOG), code: 2, body: Array("hello".utf8))
        peer.ready()
        peer.send(Int(CAPELET_FRAME_OUTPUT), token: 4, body: [1, 2, 3])
        peer.send(Int(CAPELET_FRAME_RESULT), code: 1, token: 4, value: 250, body: Array("why".utf8))
        peer.send(Int(CAPELET_FRAME_EXTEND), token: 5, value: 1000)
        let frames = try channel.frames()
        #expect(frames.map(\.kind) == [.log, .ready, .output, .result, .extend])
        #expect(frames.map(\.token) == [0, 0, 4, 4, 5])
        #expect(frames[3].body == Array("why".utf8) && frames[3].code == 1)
        #expect(peer.freeBytes == UInt64(CAPELET_RING_SIZE))
    }

    /// Every place in the ring where a frame can end, padding included.
    @Test func goesRoundTheRing() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        _ = try channel.frames()
        var token: UInt64 = 0
        var seen: UInt64 = 0
        while seen < 30_000 {
            while peer.send(
                Int(CAPELET_FRAME_RESULT), token: token + 1,
                body: [UInt8](repeating: UInt8(truncatingIfNeeded: token), count: Int(token % 301)))
            {
                token += 1
            }
            for frame in try channel.frames(maximum: Int(token % 1500) + 1) {
                seen += 1
                #expect(frame.token == seen && frame.body.count == Int((seen - 1) % 301))
                #expect(frame.body.allSatisfy { $0 == UInt8(truncatingIfNeeded: seen - 1) })
            }
        }
    }

    @Test func aTurnIsBoundedByItsNumberOfFrames() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        for token in 1...10 { peer.send(Int(CAPELET_FRAME_RESULT), token: UInt64(token)) }
        try channel.beginTurn(maximumFrames: 4)
        var count = 0
        while try channel.nextFrame() != nil { count += 1 }
        #expect(count == 4)
        #expect(channel.endTurn())
        #expect(try channel.frames().count == 7)
        try channel.beginTurn(maximumFrames: 4)
        // What comes during a turn is for the next.
        peer.send(Int(CAPELET_FRAME_RESULT), token: 11)
        #expect(try channel.nextFrame() == nil)
        #expect(channel.endTurn())
    }

    @Test(arguments: [0, 1, 32_744, 32_745, 200_000, 1 << 20]) func chunksArePutTogether(size: Int) throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        _ = try channel.frames()
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let part = Int(CAPELET_FRAME_MAX) - 24
        var at = 0
        var result: [UInt8]?
        while result == nil {
            let count = min(part, size - at)
            let more = at + count < size
            if peer.send(Int(CAPELET_FRAME_OUTPUT), token: 9, body: Array(body[at..<at + count]), more: more) {
                at += count
                if more { continue }
            }
            for frame in try channel.frames() {
                #expect(frame.kind == .output && frame.token == 9)
                result = frame.body
            }
        }
        #expect(result == body)
        // The next message starts afresh.
        peer.send(Int(CAPELET_FRAME_OUTPUT), token: 10, body: [5])
        #expect(try channel.frames().first?.body == [5])
    }

    @Test func sleepingAndRinging() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        #expect(!channel.prepareToSleep())
        #expect(peer.isHostWaiting)
        peer.ready()
        #expect(channel.prepareToSleep(), "there is a frame: do not sleep")
        channel.awake()
        #expect(!peer.isHostWaiting)
        _ = try channel.frames()
        #expect(!channel.prepareToSleep())
    }

    @Test func wakesAWorkerThatWaitsForRoom() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        while peer.send(Int(CAPELET_FRAME_LOG), body: [UInt8](repeating: 1, count: 1000)) {}
        capelet_store32(&peer.outbox.pointee.space_waiting, 1)
        let wake = peer.inboxWord(\.wake)
        let before = capelet_load32(wake)
        #expect(try channel.frames().count > 200)
        #expect(capelet_load32(wake) > before)
        #expect(peer.send(Int(CAPELET_FRAME_LOG)))
    }

    @Test func emitsAreDecoded() throws {
        let body = emitBody(
            domain: "orders", subject: "kunde-ä", type: "paid", id: "x1", headers: [("a", "b"), ("traceparent", "")], payload: [1, 2])
        try body.withUnsafeBytes {
            let emit = try WorkerEmit(checking: $0)
            #expect(String(decoding: emit.domain, as: UTF8.self) == "orders")
            #expect(String(decoding: emit.subject, as: UTF8.self) == "kunde-ä")
            #expect(String(decoding: emit.type, as: UTF8.self) == "paid")
            #expect(String(decoding: emit.id, as: UTF8.self) == "x1")
            #expect(emit.headerCount == 2 && Array(emit.payload) == [1, 2])
        }
    }

    @Test func bellsAreCountedAgainstFrames() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        for now in 0..<5000 {
            _ = channel.prepareToSleep()
            peer.send(Int(CAPELET_FRAME_LOG))
            _ = try channel.frames()
            try channel.answerBell(nowMillis: Int64(now / 100))
        }
        #expect(throws: ChannelViolation.self) {
            for _ in 0..<5000 { try channel.answerBell(nowMillis: 100_000) }
        }
    }

    @Test func bellsThatNobodyAskedForAreCountedWhateverThereIsToRead() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        _ = try channel.frames()
        // The host does not sleep, and there is always something that it has not read yet.
        peer.send(Int(CAPELET_FRAME_LOG))
        #expect(throws: ChannelViolation.self) {
            for _ in 0..<HostChannel.idleBellsPerSecondMax + 2 { try channel.answerBell(nowMillis: 1) }
        }
    }

    @Test func framesDoNotEarnBellsWithoutEnd() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        for _ in 0..<10_000 {
            peer.send(Int(CAPELET_FRAME_LOG))
            _ = try channel.frames()
        }
        var bells = 0
        #expect(throws: ChannelViolation.self) {
            while bells < 5_000 {
                _ = channel.prepareToSleep()
                try channel.answerBell(nowMillis: 1)
                bells += 1
            }
        }
        #expect(bells < HostChannel.idleBellsPerSecondMax + 100)
    }
}

/// The body of an emit message.
func emitBody(
    domain: String, subject: String, type: String = "", id: String = "", headers: [(String, String)] = [], payload: [UInt8] = [],
    change: (inout capelet_frame_emit) -> Void = { _ in }
) -> [UInt8] {
    var pairs = EncodedPairs()
    for (name, value) in headers { pairs.append(name: name, value: value) }
    var fixed = capelet_frame_emit()
    fixed.domain_size = UInt16(domain.utf8.count)
    fixed.subject_size = UInt16(subject.utf8.count)
    fixed.type_size = UInt16(type.utf8.count)
    fixed.id_size = UInt16(id.utf8.count)
    fixed.header_count = UInt32(pairs.count)
    fixed.headers_size = UInt32(pairs.bytes.count)
    fixed.payload_size = UInt32(payload.count)
    change(&fixed)
    return withUnsafeBytes(of: fixed) { Array($0) } + Array(domain.utf8) + Array(subject.utf8) + Array(type.utf8) + Array(id.utf8)
        + pairs.bytes
        + payload
}
