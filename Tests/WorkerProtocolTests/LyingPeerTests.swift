import CWorkerProtocol
import Glibc
import Testing

@testable import WorkerProtocol

/// A worker that does not keep to the rules: every lie ends in a `ChannelViolation`, none in a read or write out of bounds, an allocation
/// without limit or a loop without end (ISOLATION §5, rows 25, 27, 29, 30, 56).
@Suite struct LyingPeerTests {
    private func started() throws -> (HostChannel, Peer) {
        let channel = try HostChannel()
        let peer = Peer(channel)
        peer.ready()
        _ = try channel.frames()
        return (channel, peer)
    }

    // MARK: the ring

    @Test(arguments: [
        UInt64(1), 4, 12, UInt64(CAPELET_RING_SIZE) + 8, UInt64(1) << 32, UInt64(1) << 63, UInt64.max, UInt64.max - 7,
    ]) func writtenJumps(by jump: UInt64) throws {
        let (channel, peer) = try started()
        capelet_store64(&peer.outbox.pointee.written, peer.written &+ jump)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test func writtenGoesBack() throws {
        let (channel, peer) = try started()
        capelet_store64(&peer.outbox.pointee.written, 0)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test(arguments: [UInt32(0), 1, 7, 8, 23, UInt32(CAPELET_FRAME_MAX) + 1, 1 << 20, 1 << 31, UInt32.max, UInt32.max - 7])
    func frameSizes(size: UInt32) throws {
        let (channel, peer) = try started()
        peer.sendRaw(size: size, bytes: 64)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test func frameLargerThanWhatIsWritten() throws {
        let (channel, peer) = try started()
        peer.sendRaw(size: 4096, bytes: 64)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test func frameAcrossTheEndOfTheRing() throws {
        let (channel, peer) = try started()
        while UInt64(CAPELET_RING_SIZE) - peer.written % UInt64(CAPELET_RING_SIZE) > 2000 {
            peer.send(Int(CAPELET_FRAME_LOG), body: [UInt8](repeating: 1, count: 900))
            _ = try channel.frames()
        }
        peer.sendRaw(size: 4096, bytes: 4096)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test func paddingBeyondWhatIsWritten() throws {
        let (channel, peer) = try started()
        peer.sendRaw(size: 24, type: UInt8(CAPELET_FRAME_PAD), bytes: 24)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    /// Ends of the ring and nothing between: work for the host without a word.
    @Test func paddingAfterPadding() throws {
        let (channel, peer) = try started()
        let rest = UInt64(CAPELET_RING_SIZE) - peer.written % UInt64(CAPELET_RING_SIZE)
        peer.sendRaw(size: 24, type: UInt8(CAPELET_FRAME_PAD), bytes: rest)
        #expect(try channel.frames().isEmpty)
        peer.sendRaw(size: 24, type: UInt8(CAPELET_FRAME_PAD), bytes: UInt64(CAPELET_RING_SIZE))
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test(arguments: [UInt8(8), 17, 255]) func unknownTypes(type: UInt8) throws {
        let (channel, peer) = try started()
        peer.sendRaw(size: 24, type: type, bytes: 24)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test func unknownFlagsAndCodes() throws {
        let (channel, peer) = try started()
        peer.sendRaw(size: 24, flags: 0x80, bytes: 24)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
        let (other, liar) = try started()
        liar.send(Int(CAPELET_FRAME_RESULT), code: 5, token: 1)
        #expect(throws: ChannelViolation.self) { try other.frames() }
    }

    @Test func framesOutOfPlace() throws {
        for type in [CAPELET_FRAME_RESULT, CAPELET_FRAME_OUTPUT, CAPELET_FRAME_EMIT, CAPELET_FRAME_EXTEND] {
            let early = try HostChannel()
            Peer(early).send(Int(type), token: 1)
            #expect(throws: ChannelViolation.self, "before it is ready") { try early.frames() }
            let (channel, peer) = try started()
            peer.send(Int(type), token: 0)
            #expect(throws: ChannelViolation.self, "without a token") { try channel.frames() }
        }
        let (twice, peer) = try started()
        peer.ready()
        #expect(throws: ChannelViolation.self) { try twice.frames() }
        let (late, other) = try started()
        other.send(Int(CAPELET_FRAME_START_FAILED), code: 1)
        #expect(throws: ChannelViolation.self) { try late.frames() }
    }

    // MARK: chunks

    @Test(arguments: [CAPELET_FRAME_RESULT, CAPELET_FRAME_LOG, CAPELET_FRAME_EXTEND]) func moreWhereThereIsNone(type: Int) throws {
        let (channel, peer) = try started()
        peer.send(type, token: 1, body: [1], more: true)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test func somethingBetweenChunks() throws {
        for (type, token) in [
            (CAPELET_FRAME_LOG, UInt64(1)), (CAPELET_FRAME_OUTPUT, 2), (CAPELET_FRAME_EMIT, 1), (CAPELET_FRAME_RESULT, 1),
        ] {
            let (channel, peer) = try started()
            peer.send(Int(CAPELET_FRAME_OUTPUT), token: 1, body: [1], more: true)
            peer.send(Int(type), token: token, body: [2])
            #expect(throws: ChannelViolation.self) { try channel.frames() }
        }
    }

    @Test func emptyChunks() throws {
        let (channel, peer) = try started()
        peer.send(Int(CAPELET_FRAME_EMIT), token: 1, more: true)
        #expect(throws: ChannelViolation.self) { try channel.frames() }
    }

    @Test(arguments: [(CAPELET_FRAME_OUTPUT, HostChannel.outputBytesMax), (CAPELET_FRAME_EMIT, HostChannel.emitBytesMax)])
    func moreWithoutEnd(type: Int, limit: Int) throws {
        let (channel, peer) = try started()
        let body = [UInt8](repeating: 1, count: 32_000)
        var sent = 0
        #expect(throws: ChannelViolation.self) {
            while sent < 2 * limit {
                while peer.send(Int(type), token: 1, body: body, more: true) { sent += body.count }
                _ = try channel.frames()
            }
        }
        #expect(sent < limit + Int(CAPELET_RING_SIZE) + body.count)
        #expect(channel.messageCapacity <= HostChannel.emitBytesMax)
    }

    // MARK: the claim word

    static let wildWords: [(UInt32, UInt32)] = [(4, 3), (0, 4), (0, 2), (.max, 3), (1 << 31, 3), (3, .max), (0, 0), (2000, 2000)]

    @Test(arguments: wildWords) func claimWordRunsWild(claimed: UInt32, limit: UInt32) throws {
        for use in 0..<3 {
            let (channel, peer) = try started()
            for token in 1...3 { #expect(try channel.stage(UInt64(token))) }
            try channel.publish()
            peer.claimWord = capelet_claim(claimed, limit)
            #expect(throws: ChannelViolation.self) {
                switch use {
                case 0: try channel.observe()
                case 1: _ = try channel.withdraw()
                default:
                    #expect(try channel.stage(9))
                    try channel.publish()
                }
            }
        }
    }

    @Test func claimedGoesBack() throws {
        let (channel, peer) = try started()
        for token in 1...3 { #expect(try channel.stage(UInt64(token))) }
        try channel.publish()
        _ = peer.claim()
        _ = peer.claim()
        #expect(try channel.observe() == 2)
        peer.claimWord = capelet_claim(1, 3)
        #expect(throws: ChannelViolation.self) { try channel.observe() }
    }

    /// It claims what was withdrawn from it: its own word is broken then, and seen to be.
    @Test func withdrawnNumbersAreClaimedAllTheSame() throws {
        let (channel, peer) = try started()
        for token in 1...3 { #expect(try channel.stage(UInt64(token))) }
        try channel.publish()
        #expect(try channel.withdraw() == 3)
        peer.claimWord = capelet_claim(2, 3)
        #expect(throws: ChannelViolation.self) { try channel.observe() }
    }

    @Test(arguments: [UInt32(1), 2, 1 << 31, UInt32.max]) func releasedRunsWild(released: UInt32) throws {
        let (channel, peer) = try started()
        #expect(try channel.stage(1))
        try channel.publish()
        capelet_store32(&peer.outbox.pointee.released, released)
        #expect(throws: ChannelViolation.self) { try channel.observe() }
    }

    @Test func releasedGoesBack() throws {
        let (channel, peer) = try started()
        for token in 1...3 { #expect(try channel.stage(UInt64(token))) }
        try channel.publish()
        _ = peer.claim()
        _ = peer.claim()
        peer.release()
        try channel.observe()
        capelet_store32(&peer.outbox.pointee.released, 1)
        #expect(throws: ChannelViolation.self) { try channel.observe() }
    }

    /// Another thread flips the claim word and the ring as fast as it can. Whatever comes of it, it comes soon, and nothing is out of
    /// bounds.
    @Test(arguments: 0..<4) func everythingFlipsWhileItIsRead(seed: UInt64) throws {
        let (channel, peer) = try started()
        let stop = StopFlag()
        let vandal = OwnThread {
            var state = seed &* 2_654_435_761 &+ 1
            while !stop.isSet {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let value = state >> 16
                switch value % 5 {
                case 0: peer.claimWord = capelet_claim(UInt32(truncatingIfNeeded: value % 5), UInt32(truncatingIfNeeded: value / 7 % 5))
                case 1: capelet_store64(&peer.outbox.pointee.written, value % 8192 & ~7)
                case 2: (peer.ring + Int(value % 4096 & ~7)).storeBytes(of: value, as: UInt64.self)
                case 3:
                    var frame = capelet_frame()
                    frame.size = UInt32(truncatingIfNeeded: value % 200)
                    frame.type = UInt8(truncatingIfNeeded: value % 9)
                    frame.token = value
                    peer.put(frame, at: value % 4096 & ~7)
                default: capelet_store32(&peer.outbox.pointee.released, UInt32(truncatingIfNeeded: value % 4))
                }
            }
        }
        var violations = 0
        var round = 0
        while round < 20_000 || violations == 0 && round < 10_000_000 {
            round += 1
            do {
                if round % 4 == 0 { _ = try channel.stage(UInt64(round + 1)) }
                if round % 3 == 0 { try channel.publish() }
                if round % 7 == 0 { _ = try channel.withdraw() }
                try channel.observe()
                try channel.beginTurn(maximumFrames: 50)
                while let frame = try channel.nextFrame() {
                    #expect(frame.body.count <= HostChannel.emitBytesMax)
                    if frame.kind == .emit { _ = try? WorkerEmit(checking: frame.body) }
                }
                channel.endTurn()
            } catch is ChannelViolation {
                violations += 1
                channel.endTurn()
            }
        }
        stop.set()
        vandal.join()
        #expect(violations > 0)
    }

    @Test func closedSocket() throws {
        let channel = try HostChannel()
        var peer: Peer? = Peer(channel)
        peer?.ready()
        peer = nil
        #expect(throws: ChannelViolation.self) { _ = try channel.stage(1, payload: 300 << 10) }
    }

    // MARK: emits

    @Test func brokenEmits() throws {
        func refused(_ body: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
            _ = body.withUnsafeBytes { bytes in
                #expect(throws: ChannelViolation.self, sourceLocation: sourceLocation) { _ = try WorkerEmit(checking: bytes) }
            }
        }
        refused([])
        refused([UInt8](repeating: 0, count: 24))
        refused([UInt8](repeating: 255, count: 24))
        refused([UInt8](repeating: 255, count: 4096))
        refused(emitBody(domain: "", subject: "s"))
        refused(emitBody(domain: "d", subject: ""))
        refused(emitBody(domain: "d", subject: String(repeating: "s", count: 1025)))
        refused(emitBody(domain: "d", subject: "s") { $0.payload_size = .max })
        refused(emitBody(domain: "d", subject: "s") { $0.payload_size = 1 })
        refused(emitBody(domain: "d", subject: "s", payload: [1, 2]) { $0.payload_size = 1 })
        refused(emitBody(domain: "d", subject: "s", headers: [("a", "b")]) { $0.header_count = 2 })
        refused(emitBody(domain: "d", subject: "s", headers: [("a", "b")]) { $0.header_count = .max })
        refused(emitBody(domain: "d", subject: "s", headers: [("a", String(repeating: "b", count: 17 << 10))]))
        var notText = emitBody(domain: "d", subject: "sss")
        notText[26] = 0xff
        refused(notText)
        notText = emitBody(domain: "d", subject: "sss")
        notText.replaceSubrange(25..<28, with: [0xed, 0xa0, 0x80])
        refused(notText)
    }
}

/// A flag that one thread sets and another sees.
final class StopFlag: @unchecked Sendable {
    private let word: UnsafeMutablePointer<UInt32> = {
        let word = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
        word.pointee = 0
        return word
    }()
    deinit { word.deallocate() }
    var isSet: Bool { capelet_load32(word) == 1 }
    func set() { capelet_store32(word, 1) }
}
