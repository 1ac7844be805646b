import CLinux
import CWorkerProtocol
import FuzzSupport
import Glibc

@testable import WorkerProtocol

/// A program for both ends of a channel. Each step is a letter and its arguments: the host's are small letters, an honest worker's capital
/// ones, lies digits.
struct ChannelProgram {
    /// A frame on its way to the host.
    private struct Sent {
        var type: Int
        var code: UInt16 = 0
        var token: UInt64 = 0
        var value: UInt64 = 0
        var body: [UInt8] = []
    }
    /// An event that the host has staged.
    private struct Staged {
        var token: UInt64
        var payload: Int
        var lane: UInt32
    }

    private var input: FuzzInput
    private let channel: HostChannel
    private let peer: Peer
    /// Whether the worker has broken a rule: from then on only bounds are checked.
    private(set) var hasLied = false

    private var isReady = false
    /// Frames that the host has not read yet, and what of the last one is not written yet.
    private var onTheirWay: [Sent] = []
    private var unwritten: (frame: Sent, at: Int)?
    private var staged: [Staged] = []
    private var claimed = 0
    private var nextToken: UInt64 = 1
    private var nowMillis: Int64 = 0

    /// The first byte says where the numbers of events begin: `w`, `h`: just before they wrap.
    init(_ input: FuzzInput) {
        var input = input
        let first: UInt32 =
            switch input.byte() {
            case UInt8(ascii: "w"): .max - 3
            case UInt8(ascii: "h"): UInt32(Int32.max) - 3
            default: 0
            }
        guard let channel = try? HostChannel(firstNumber: first) else { fatalError("no channel: are there descriptors left?") }
        self.input = input
        self.channel = channel
        peer = Peer(channel)
    }

    /// Runs all steps.
    mutating func run() throws(ChannelViolation) {
        var steps = 0
        while !input.isAtEnd, steps < 2_000 {
            steps += 1
            try step(input.byte())
            always(channel.room >= 0 && channel.room <= Int(CAPELET_SLOTS), "room for \(channel.room) events")
            always(channel.unclaimed >= 0 && channel.unclaimed <= Int(CAPELET_SLOTS), "\(channel.unclaimed) events not claimed")
            always(channel.messageCapacity <= HostChannel.emitBytesMax, "a buffer of \(channel.messageCapacity) bytes")
            always(channel.largeEvents >= 0 && channel.largeEvents <= HostChannel.largeEventsMax, "\(channel.largeEvents) large events")
        }
    }

    /// With an honest worker: everything that is on its way arrives, everything staged is claimed or taken back.
    mutating func finish() throws(ChannelViolation) {
        var rounds = 0
        while unwritten != nil || !onTheirWay.isEmpty {
            rounds += 1
            always(rounds < 2_000, "frames that never arrive")
            try receive(maximum: .max)
            write()
        }
        try channel.publish()
        claim(atMost: .max)
        peer.release()
        let left = try channel.withdraw()
        always(left == 0 && claimed == staged.count, "\(left) events are left of \(staged.count)")
        try channel.observe()
        always(channel.unclaimed == 0 && channel.room == Int(CAPELET_SLOTS), "a channel that is not empty after all")
        let isMore = try channel.beginTurn(maximumFrames: 1)
        always(!isMore, "frames that nobody wrote")
    }

    private mutating func step(_ letter: UInt8) throws(ChannelViolation) {
        switch Character(Unicode.Scalar(letter)) {
        // The host.
        case "s": try stage(payload: Int(input.byte()), isExternal: false)
        case "x": try stage(payload: Int(input.number(UInt16.self)), isExternal: true)
        case "l": try stage(payload: Int(CAPELET_INLINE_MAX) + Int(input.byte()), isExternal: false)
        case "p": try channel.publish()
        case "w":
            let count = try channel.withdraw()
            if !hasLied { always(count <= staged.count - claimed, "\(count) events taken back") }
            staged.removeLast(min(count, staged.count))
        case "o":
            try channel.observe()
            if !hasLied { always(channel.claimed == peer.next, "event \(channel.claimed) is next, not \(peer.next)") }
        case "r": try receive(maximum: Int(input.byte()))
        case "c": channel.cancel(token: input.number())
        case "e": channel.requestStop()
        case "b":
            nowMillis += Int64(input.byte())
            try channel.answerBell(nowMillis: nowMillis)
        case "z":
            let isReadable = channel.prepareToSleep()
            if !hasLied { always(isReadable == (peer.written != channel.consumed), "a host that sleeps too well") }
            channel.awake()
        // An honest worker.
        case "R": if !isReady { send(Sent(type: Int(CAPELET_FRAME_READY))) }
        case "L": send(Sent(type: Int(CAPELET_FRAME_LOG), code: UInt16(input.byte() % 6), body: body(UInt16(input.byte()))))
        case "T":
            let (code, token, value) = (UInt16(input.byte() % 5), token(), input.number(UInt64.self))
            send(Sent(type: Int(CAPELET_FRAME_RESULT), code: code, token: token, value: value, body: body(UInt16(input.byte()))))
        case "O": send(Sent(type: Int(CAPELET_FRAME_OUTPUT), token: token(), body: body(input.number())))
        case "E": send(Sent(type: Int(CAPELET_FRAME_EMIT), token: token(), body: body(input.number())))
        case "H": send(Sent(type: Int(CAPELET_FRAME_EXTEND), token: token(), value: input.number()))
        case "W": write()
        case "C": claim(atMost: Int(input.byte()))
        case "D": if !hasLied { peer.release() }
        default: lie(letter)
        }
    }

    // MARK: lies

    private mutating func lie(_ letter: UInt8) {
        let outbox = peer.outbox
        switch Character(Unicode.Scalar(letter)) {
        case "0":  // Any bytes at all in the ring, of which some are said to be written.
            let count = Int(input.byte())
            put(input.piece(count))
            peer.written &+= UInt64(input.byte())
        case "1":  // A frame's header.
            var frame = capelet_frame()
            frame.size = input.number()
            frame.type = input.byte()
            frame.flags = input.byte()
            frame.code = input.number()
            frame.token = UInt64(input.byte())
            withUnsafeBytes(of: frame) { put($0) }
            peer.written &+= UInt64(input.number(UInt16.self)) & ~7
        case "2": peer.written &+= UInt64(bitPattern: Int64(input.number(Int32.self)))
        case "3": peer.written = input.number()
        case "4":
            peer.claimWord = capelet_claim(
                peer.next &+ UInt32(bitPattern: Int32(Int8(bitPattern: input.byte()))), capelet_limit(peer.claimWord))
        case "5": peer.claimWord = input.number()
        case "6": capelet_store32(&outbox.pointee.released, peer.next &+ UInt32(bitPattern: Int32(Int8(bitPattern: input.byte()))))
        case "7": capelet_store32(&outbox.pointee.released, input.number())
        case "8":
            capelet_store32(&outbox.pointee.worker_waiting, input.number())
            capelet_store32(&outbox.pointee.space_waiting, input.number())
            return
        case "9": shutdown(peer.socket, Int32(SHUT_RDWR))
        default: return
        }
        hasLied = true
        capelet_store64(&outbox.pointee.written, peer.written)
    }

    private func put(_ bytes: UnsafeRawBufferPointer) {
        for (index, byte) in bytes.enumerated() {
            let at = Int((peer.written &+ UInt64(index)) % UInt64(CAPELET_RING_SIZE))
            (peer.ring + at).storeBytes(of: byte, as: UInt8.self)
        }
    }

    // MARK: frames

    private mutating func token() -> UInt64 { UInt64(input.byte()) + 1 }

    /// `size` bytes that are easy to tell from others of that size.
    private func body(_ size: UInt16) -> [UInt8] {
        let start = onTheirWay.count % 256
        return Array(Self.pattern[start..<start + Int(size)])
    }

    private static let pattern = (0..<(256 + 65536)).map { UInt8(truncatingIfNeeded: $0) ^ UInt8(truncatingIfNeeded: $0 >> 8) }

    private mutating func send(_ frame: Sent) {
        guard unwritten == nil else { return write() }
        guard isReady || frame.type == Int(CAPELET_FRAME_READY) || frame.type == Int(CAPELET_FRAME_LOG) else { return }
        if frame.type == Int(CAPELET_FRAME_READY) { isReady = true }
        onTheirWay.append(frame)
        unwritten = (frame, 0)
        write()
    }

    /// Writes what there is room for of the frame that is not written yet.
    private mutating func write() {
        // A liar's own account may be broken.
        guard peer.written < 1 << 62, peer.written &- peer.consumed <= UInt64(CAPELET_RING_SIZE), peer.written & 7 == 0 else { return }
        while let (frame, at) = unwritten {
            let most = Int(CAPELET_FRAME_MAX) - MemoryLayout<capelet_frame>.size
            let end = min(frame.body.count, at + most)
            let isWritten = peer.send(
                frame.type, code: frame.code, token: frame.token, value: frame.value, body: Array(frame.body[at..<end]),
                more: end < frame.body.count)
            guard isWritten else { return }
            unwritten = end < frame.body.count ? (frame, end) : nil
        }
    }

    private mutating func receive(maximum: Int) throws(ChannelViolation) {
        try channel.beginTurn(maximumFrames: maximum)
        var count = 0
        while let frame = try channel.nextFrame() {
            count += 1
            always(count <= maximum && count <= Int(CAPELET_RING_SIZE) / 8, "\(count) frames in a turn of \(maximum)")
            touch(frame.body)
            always(frame.body.count <= HostChannel.emitBytesMax, "a frame of \(frame.body.count) bytes")
            if frame.kind == .emit { _ = try? WorkerEmit(checking: frame.body) }
            if hasLied { continue }
            always(!onTheirWay.isEmpty, "a frame that nobody sent")
            let sent = onTheirWay.removeFirst()
            always(
                Int(frame.kind.rawValue) == sent.type && frame.code == sent.code && frame.token == sent.token && frame.value == sent.value
                    && sent.body.withUnsafeBytes { same($0, frame.body) },
                "another frame than was sent: \(frame.kind), \(frame.body.count) bytes of \(sent.body.count)")
        }
        channel.endTurn()
    }

    // MARK: events

    private mutating func stage(payload: Int, isExternal: Bool) throws(ChannelViolation) {
        let event = Staged(token: nextToken, payload: payload, lane: UInt32(nextToken % UInt64(CAPELET_LANES)))
        let fill = UInt8(truncatingIfNeeded: nextToken)
        let buffer = record("s\(nextToken)", payload: payload, external: isExternal ? UInt32(payload) : nil, fill: fill)
        let external = [UInt8](repeating: fill, count: isExternal ? payload : 0)
        let result: Result<Bool, ChannelViolation> = external.withUnsafeBytes { external in
            Result { () throws(ChannelViolation) in
                try channel.stage(
                    buffer.record(0), external: isExternal ? external : nil, token: event.token, attempt: 1, lane: event.lane, epoch: 3)
            }
        }
        withExtendedLifetime(buffer) {}
        if try result.get() {
            staged.append(event)
            nextToken += 1
        } else if !hasLied {
            always(channel.room == 0 || payload > 512 || channel.head != channel.releasedSeen, "no room in an empty channel")
        }
    }

    /// Takes events as an honest worker does, and looks at each.
    private mutating func claim(atMost most: Int) {
        var count = 0
        while !hasLied, count < most, let slot = peer.claim() {
            count += 1
            always(claimed < staged.count, "an event that nobody staged")
            let event = staged[claimed]
            claimed += 1
            always(
                slot.token == event.token && slot.lane == event.lane && slot.epoch == 3 && slot.attempt == 1,
                "event \(slot.token) where \(event.token) is next")
            if slot.flags & UInt32(CAPELET_SLOT_LARGE) != 0 { receiveLarge(slot, event) } else { check(peer.record(slot), event) }
        }
    }

    private func check(_ view: RecordView, _ event: Staged) {
        always(view.subjectText == "s\(event.token)", "the subject \(view.subjectText) of event \(event.token)")
        let payload = view.payloadSection
        always(payload.count == event.payload && !view.isExternal, "a payload of \(payload.count) bytes, not \(event.payload)")
        always(payload.allSatisfy { $0 == UInt8(truncatingIfNeeded: event.token) }, "another event's payload")
    }

    /// The memfds in the socket are those of large events in their order; those that were taken back are still there.
    private func receiveLarge(_ slot: capelet_slot, _ event: Staged) {
        while true {
            var token: UInt64 = 0
            var descriptor: Int32 = -1
            var count: Int32 = 0
            let size = capelet_linux_receive_message(peer.socket, &token, 8, &descriptor, 1, &count, Int32(MSG_DONTWAIT))
            always(size == 8 && count == 1, "a large event without its memory")
            defer { capelet_linux_close(descriptor) }
            if token != slot.token { continue }
            guard let map = capelet_linux_map(descriptor, Int(slot.size), false) else { fatalError("memory that cannot be mapped") }
            always(capelet_record_check(map, Int(slot.size)), "a large event that is broken")
            check(RecordView(map.assumingMemoryBound(to: capelet_record.self)), event)
            return capelet_linux_unmap(map, Int(slot.size))
        }
    }
}
