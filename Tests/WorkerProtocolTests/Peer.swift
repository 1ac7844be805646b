import CLinux
import CWorkerProtocol
import Glibc
import Synchronization

@testable import WorkerProtocol

/// The worker's end of a channel, in the test's own process: mapped from the memfds as a worker maps them, so that it can be honest or lie.
final class Peer: @unchecked Sendable {
    let inbox: UnsafePointer<capelet_inbox>
    let outbox: UnsafeMutablePointer<capelet_outbox>
    let ring: UnsafeMutableRawPointer
    let slots: UnsafePointer<capelet_slot>
    let arena: UnsafeRawPointer
    let socket: Int32
    var next: UInt32
    var written: UInt64

    init(_ channel: HostChannel) {
        let inboxSize = MemoryLayout<capelet_inbox>.size
        let outboxSize = MemoryLayout<capelet_outbox>.size
        let inboxMap = mmap(nil, inboxSize, PROT_READ, MAP_SHARED, channel.inboxDescriptor, 0)!
        let outboxMap = mmap(nil, outboxSize, PROT_READ | PROT_WRITE, MAP_SHARED, channel.outboxDescriptor, 0)!
        precondition(inboxMap != MAP_FAILED && outboxMap != MAP_FAILED)
        inbox = UnsafePointer(inboxMap.assumingMemoryBound(to: capelet_inbox.self))
        outbox = outboxMap.assumingMemoryBound(to: capelet_outbox.self)
        ring = outboxMap + (outboxSize - Int(CAPELET_RING_SIZE))
        slots = UnsafePointer((inboxMap + 4096).assumingMemoryBound(to: capelet_slot.self))
        arena = UnsafeRawPointer(inboxMap + (inboxSize - Int(CAPELET_ARENA_SIZE)))
        socket = dup(channel.workerSocket)
        next = outbox.pointee.released
        written = outbox.pointee.written
        channel.closeWorkerEnds()
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: inbox), MemoryLayout<capelet_inbox>.size)
        munmap(outbox, MemoryLayout<capelet_outbox>.size)
        close(socket)
    }

    // MARK: honest

    /// Claims the next event; nil: there is none.
    func claim() -> capelet_slot? {
        while true {
            let word = capelet_load64(&outbox.pointee.claim)
            let claimed = capelet_claimed(word)
            if claimed == capelet_limit(word) { return nil }
            if capelet_swap64(&outbox.pointee.claim, word, capelet_claim(claimed &+ 1, capelet_limit(word))) {
                next = claimed &+ 1
                return slots[Int(claimed % UInt32(CAPELET_SLOTS))]
            }
        }
    }

    func release() { capelet_store32(&outbox.pointee.released, next) }

    /// The record of a claimed event in the arena.
    func record(_ slot: capelet_slot) -> RecordView {
        precondition(capelet_record_check(arena + Int(slot.position), Int(slot.size)))
        return RecordView((arena + Int(slot.position)).assumingMemoryBound(to: capelet_record.self))
    }

    var freeBytes: UInt64 { UInt64(CAPELET_RING_SIZE) - (written &- consumed) }
    var consumed: UInt64 { capelet_load64(UnsafePointer(inboxWord(\.consumed))) }
    var isHostWaiting: Bool { capelet_load32(inboxWord(\.host_waiting)) == 1 }

    func inboxWord<Word>(_ path: KeyPath<capelet_inbox, Word>) -> UnsafePointer<Word> {
        (UnsafeRawPointer(inbox) + MemoryLayout<capelet_inbox>.offset(of: path)!).assumingMemoryBound(to: Word.self)
    }

    /// Writes a frame as an honest worker does; false: there is no room now.
    @discardableResult
    func send(
        _ type: Int, code: UInt16 = 0, token: UInt64 = 0, value: UInt64 = 0, body: [UInt8] = [], more: Bool = false, publish: Bool = true
    ) -> Bool {
        let size = MemoryLayout<capelet_frame>.size + body.count
        let padded = UInt64((size + 7) & ~7)
        let rest = UInt64(CAPELET_RING_SIZE) - written % UInt64(CAPELET_RING_SIZE)
        guard freeBytes >= (rest < padded ? rest + padded : padded) else { return false }
        if rest < padded {
            if rest >= 24 { put(capelet_frame(), at: written) }
            written += rest
        }
        var frame = capelet_frame()
        frame.size = UInt32(size)
        frame.type = UInt8(type)
        frame.flags = more ? UInt8(CAPELET_FRAME_MORE) : 0
        frame.code = code
        frame.token = token
        frame.value = value
        put(frame, at: written)
        body.withUnsafeBytes { body in
            if let from = body.baseAddress {
                (ring + Int(written % UInt64(CAPELET_RING_SIZE)) + 24).copyMemory(from: from, byteCount: body.count)
            }
        }
        written += padded
        if publish { capelet_store64(&outbox.pointee.written, written) }
        return true
    }

    func ready() { send(Int(CAPELET_FRAME_READY)) }

    // MARK: lying

    func put(_ frame: capelet_frame, at position: UInt64) {
        (ring + Int(position % UInt64(CAPELET_RING_SIZE))).storeBytes(of: frame, as: capelet_frame.self)
    }

    /// A frame with any size at all, of which `bytes` are said to be written.
    func sendRaw(size: UInt32, type: UInt8 = UInt8(CAPELET_FRAME_LOG), flags: UInt8 = 0, token: UInt64 = 1, bytes: UInt64) {
        var frame = capelet_frame()
        frame.size = size
        frame.type = type
        frame.flags = flags
        frame.token = token
        put(frame, at: written)
        written += bytes
        capelet_store64(&outbox.pointee.written, written)
    }

    var claimWord: UInt64 {
        get { capelet_load64(&outbox.pointee.claim) }
        set { capelet_store64(&outbox.pointee.claim, newValue) }
    }
}

/// Records to send, with a payload of a given size.
func record(_ subject: String, payload: Int = 10, external: UInt32? = nil, fill: UInt8 = 7) -> RecordBuffer {
    let buffer = RecordBuffer()
    let bytes = [UInt8](repeating: fill, count: external == nil ? payload : 8)
    var subject = subject
    subject.withUTF8 { subject in
        bytes.withUnsafeBytes { payload in
            buffer.append(
                domain: 1, subjectHash: 2, subject: UnsafeRawBufferPointer(subject), type: .init(start: nil, count: 0),
                id: .init(start: nil, count: 0), payload: payload, externalSize: external, timeMicros: 3, acceptedMicros: 4)
        }
    }
    return buffer
}

extension HostChannel {
    /// Stages one small event.
    func stage(_ token: UInt64, payload: Int = 10, lane: UInt32 = 0) throws -> Bool {
        let buffer = record("s\(token)", payload: payload)
        return try withExtendedLifetime(buffer) { try stage(buffer.record(0), token: token, attempt: 1, lane: lane, epoch: 0) }
    }

    /// Stages one event whose payload comes from a file.
    func stage(_ subject: String, external: [UInt8], token: UInt64, epoch: UInt32 = 0) throws -> Bool {
        let buffer = record(subject, external: UInt32(external.count))
        return try withExtendedLifetime(buffer) {
            try external.withUnsafeBytes { try stage(buffer.record(0), external: $0, token: token, attempt: 2, lane: 1, epoch: epoch) }
        }
    }

    /// All frames there are, as (kind, code, token, body).
    func frames(maximum: Int = .max) throws -> [(kind: FrameKind, code: UInt16, token: UInt64, body: [UInt8])] {
        var result: [(kind: FrameKind, code: UInt16, token: UInt64, body: [UInt8])] = []
        try beginTurn(maximumFrames: maximum)
        while let frame = try nextFrame() { result.append((frame.kind, frame.code, frame.token, Array(frame.body))) }
        endTurn()
        return result
    }
}
