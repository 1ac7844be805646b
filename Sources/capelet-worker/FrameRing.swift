import CLibC
import CWorkerProtocol

/// The worker's end of the ring of frames in the outbox: see worker_channel.h. Used under the worker's mutex.
///
/// A message is begun with the size of its whole body, appended to piece by piece, and ended; it is cut into frames as it goes. When the
/// ring is full the caller sleeps until the host has read. So a message may be longer than the ring.
struct FrameRing {
    private let inbox: UnsafePointer<capelet_inbox>
    private let outbox: UnsafeMutablePointer<capelet_outbox>
    private let ring: UnsafeMutableRawPointer
    private let bell: Int32

    /// Bytes written and published since the start. The outbox has it too, but the plugin could change it there.
    private var written: UInt64 = 0
    /// What the host had read when the bell was last rung, if that was less than was written then: until it reads on it is awake or about
    /// to be.
    private var rungAt: UInt64 = .max

    // The open message: its header, how much of its body is to come, and the open frame.
    private var header = capelet_frame()
    private var remaining = 0
    private var cursor: UnsafeMutableRawPointer
    private var room = 0
    private var frameSize = 0

    private static let headerSize = MemoryLayout<capelet_frame>.size
    private static let ringSize = Int(CAPELET_RING_SIZE)
    private static let bodyMax = Int(CAPELET_FRAME_MAX) - headerSize

    init(inbox: UnsafePointer<capelet_inbox>, outbox: UnsafeMutablePointer<capelet_outbox>, bell: Int32) {
        self.inbox = inbox
        self.outbox = outbox
        self.bell = bell
        ring = UnsafeMutableRawPointer(capelet_outbox_ring(outbox))
        cursor = ring
    }

    /// Writes a whole message.
    mutating func send(
        type: Int, code: UInt16 = 0, token: UInt64 = 0, value: UInt64 = 0,
        body: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        begin(type: type, code: code, token: token, value: value, size: body.count)
        append(body.baseAddress, body.count)
        end()
    }

    /// Begins a message whose body has `size` bytes.
    mutating func begin(type: Int, code: UInt16 = 0, token: UInt64 = 0, value: UInt64 = 0, size: Int) {
        header.type = UInt8(truncatingIfNeeded: type)
        header.code = code
        header.token = token
        header.value = value
        remaining = size
        openFrame()
    }

    /// Adds to the message. In all, as many bytes as were announced.
    mutating func append(_ bytes: UnsafeRawPointer?, _ count: Int) {
        guard var from = bytes, count > 0 else { return }
        var left = count
        while left > 0 {
            if room == 0 {
                publish()
                openFrame()
            }
            let part = min(room, left)
            memcpy(cursor, from, part)
            cursor += part
            room -= part
            from += part
            left -= part
        }
    }

    /// Adds a number in memory order, without padding.
    mutating func append<Number: FixedWidthInteger>(number: Number) {
        withUnsafeBytes(of: number) { append($0.baseAddress, $0.count) }
    }

    mutating func end() {
        publish()
        notify()
    }

    private mutating func openFrame() {
        let body = min(remaining, Self.bodyMax)
        remaining -= body
        header.size = UInt32(Self.headerSize + body)
        header.flags = remaining > 0 ? UInt8(CAPELET_FRAME_MORE) : 0
        frameSize = (Self.headerSize + body + 7) & ~7
        var position = Int(written % UInt64(Self.ringSize))
        let untilEnd = Self.ringSize - position
        if frameSize > untilEnd {
            waitForRoom(untilEnd)
            // Where not even a header fits, the host skips what is left without reading it.
            if untilEnd >= Self.headerSize {
                let pad = capelet_frame(size: UInt32(untilEnd), type: UInt8(CAPELET_FRAME_PAD), flags: 0, code: 0, token: 0, value: 0)
                (ring + position).storeBytes(of: pad, as: capelet_frame.self)
            }
            written &+= UInt64(untilEnd)
            capelet_outbox_set_written(outbox, written)
            position = 0
        }
        waitForRoom(frameSize)
        (ring + position).storeBytes(of: header, as: capelet_frame.self)
        cursor = ring + position + Self.headerSize
        room = body
    }

    private mutating func publish() {
        written &+= UInt64(frameSize)
        capelet_outbox_set_written(outbox, written)
    }

    private mutating func waitForRoom(_ size: Int) {
        func fits() -> Bool { Self.ringSize - Int(truncatingIfNeeded: written &- capelet_inbox_consumed(inbox)) >= size }
        if fits() { return }
        notify()
        while true {
            let wake = capelet_inbox_wake(inbox)
            capelet_outbox_set_space_waiting(outbox, 1)
            capelet_fence()
            if fits() { break }
            capelet_linux_futex_wait(capelet_inbox_wake_word(inbox), wake)
        }
        capelet_outbox_set_space_waiting(outbox, 0)
    }

    /// Rings the bell if the host sleeps and has not been rung for this sleep.
    ///
    /// `host_waiting` stays 1 until the host has woken, which takes longer than many events do, so each of them would ring. A ring can be
    /// left out when the host has read nothing since the last one and there was something to read then: it cannot have gone back to sleep
    /// without reading that. (Its look for frames comes after its store of `host_waiting`, ours at both words after our store of `written`,
    /// with a fence between on either side: so if it missed our frame, we see all that it had read.)
    private mutating func notify() {
        capelet_fence()
        if capelet_inbox_host_waiting(inbox) == 0 { return }
        let consumed = capelet_inbox_consumed(inbox)
        // It has read our frame already, or it is about to look anyway.
        if consumed == written || consumed == rungAt { return }
        rungAt = consumed
        var one: UInt64 = 1
        while write(bell, &one, 8) < 0 && capelet_linux_errno() == EINTR {}
    }
}
