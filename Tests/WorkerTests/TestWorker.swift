import CLinux
import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// The host's end of one worker: its channel, its output, and the keeper's word on its death.
///
/// The arena is filled from the start on and begun again only while no event is open, which is all that the tests need.
final class TestWorker {
    let keeper: TestKeeper
    let id: UInt64
    private(set) var pid: pid_t = 0
    private(set) var pidfd: Int32 = -1
    let inbox: UnsafeMutablePointer<capelet_inbox>
    let outbox: UnsafeMutablePointer<capelet_outbox>
    private let bell: Int32
    private let socket: Int32
    let output: Int32
    let errors: Int32
    /// What the worker gets, in SPAWN's order after the settings.
    private(set) var given: [Int32]

    private var arenaUsed = 0
    private var nextToken: UInt64 = 1000
    private var consumed: UInt64 = 0
    private var pieces: Frame?
    /// Frames are counted as they are read, to see that nothing is lost.
    private(set) var padsSeen = 0

    struct Frame: CustomStringConvertible {
        var type: Int
        var code: Int
        var token: UInt64
        var value: UInt64
        var body: [UInt8]
        var text: String { String(decoding: body, as: UTF8.self) }
        var description: String { "frame \(type) code \(code) token \(token) \(text.prefix(200))" }
    }

    struct Event {
        var payload: [UInt8]
        var lane: UInt32
        var epoch: UInt32 = 0
        var attempt: UInt32 = 1
        var flags: UInt8 = 0
        var subject = "s"
        var headers: [(String, String)] = []
        var inputs: [(String, String)] = []
        var domain: UInt32 = 7
        var isLarge = false

        init(_ payload: String, lane: UInt32 = 0, epoch: UInt32 = 0) {
            self.payload = Array(payload.utf8)
            self.lane = lane
            self.epoch = epoch
        }
    }

    init(keeper: TestKeeper, id: UInt64) throws {
        self.keeper = keeper
        self.id = id
        let inboxMemory = capelet_linux_memfd("inbox", MemoryLayout<capelet_inbox>.size)
        let outboxMemory = capelet_linux_memfd("outbox", MemoryLayout<capelet_outbox>.size)
        inbox = capelet_linux_map(inboxMemory, MemoryLayout<capelet_inbox>.size, true).assumingMemoryBound(to: capelet_inbox.self)
        outbox = capelet_linux_map(outboxMemory, MemoryLayout<capelet_outbox>.size, true).assumingMemoryBound(to: capelet_outbox.self)
        inbox.pointee.version = UInt32(CAPELET_CHANNEL_VERSION)
        // From here on nobody else can map it for writing.
        guard
            capelet_linux_seal(
                inboxMemory, UInt32(CAPELET_LINUX_SEAL_FUTURE_WRITE) | UInt32(CAPELET_LINUX_SEAL_SHRINK) | UInt32(CAPELET_LINUX_SEAL_GROW))
                == 0
        else { throw TestTrouble("sealing") }
        bell = capelet_linux_eventfd()
        var (sockets, out, err): ([Int32], [Int32], [Int32]) = ([-1, -1], [-1, -1], [-1, -1])
        socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &sockets)
        pipe(&out)
        pipe(&err)
        for end in out + err { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        socket = sockets[0]
        (output, errors) = (out[0], err[0])
        given = [inboxMemory, outboxMemory, dup(bell), sockets[1], out[1], err[1]]
    }

    func closeGiven() {
        for descriptor in given { close(descriptor) }
        given = []
    }

    deinit {
        closeGiven()
        for descriptor in [bell, socket, output, errors, pidfd] where descriptor >= 0 { close(descriptor) }
        munmap(inbox, MemoryLayout<capelet_inbox>.size)
        munmap(outbox, MemoryLayout<capelet_outbox>.size)
    }

    // MARK: life

    func awaitStarted() throws {
        let message = try keeper.next { $0.id == id && [CAPELET_KEEPER_STARTED, CAPELET_KEEPER_SPAWN_FAILED].contains($0.type) }
        guard message.type == CAPELET_KEEPER_STARTED else { throw TestTrouble("not started: errno \(message.value)") }
        pid = pid_t(message.value)
        pidfd = message.descriptors.first ?? -1
    }

    /// The keeper's report of the death.
    func awaitDeath() throws -> capelet_keeper_death {
        try keeper.next { $0.id == id && $0.type == CAPELET_KEEPER_DIED }.death
    }

    func kill(_ signal: Int32) throws { try keeper.send(CAPELET_HOST_KILL, id: id, value: UInt64(signal)) }

    /// Reads what the worker printed to the end; call it when it is dead.
    func printed(_ descriptor: Int32) -> String {
        String(decoding: FileHandle(fileDescriptor: descriptor, closeOnDealloc: false).readDataToEndOfFile(), as: UTF8.self)
    }

    func wake() {
        _ = capelet_add32(&inbox.pointee.wake, 1)
        capelet_linux_futex_wake_all(&inbox.pointee.wake)
    }

    func stop() {
        capelet_store32(&inbox.pointee.stop, 1)
        wake()
    }

    func cancel(_ token: UInt64) {
        let count = capelet_load32(&inbox.pointee.cancelled_count)
        let words = UnsafeMutableRawPointer(inbox) + 64
        capelet_store64((words + 8 * Int(count % UInt32(CAPELET_CANCELLED_MAX))).assumingMemoryBound(to: UInt64.self), token)
        capelet_store32(&inbox.pointee.cancelled_count, count &+ 1)
        wake()
    }

    // MARK: events

    var claimed: UInt32 { capelet_claimed(capelet_load64(&outbox.pointee.claim)) }
    var limit: UInt32 { capelet_limit(capelet_load64(&outbox.pointee.claim)) }

    /// Publishes events together; returns their tokens.
    @discardableResult
    func publish(_ events: [Event]) throws -> [UInt64] {
        var tokens: [UInt64] = []
        var number = limit
        if capelet_load32(&outbox.pointee.released) == number { arenaUsed = 0 }
        for event in events {
            let token = nextToken
            nextToken += 1
            tokens.append(token)
            let record = encode(event, offset: token)
            var slot = capelet_slot()
            slot.token = token
            slot.attempt = event.attempt
            slot.lane = event.lane
            slot.epoch = event.epoch
            slot.size = UInt32(record.count)
            if event.isLarge {
                slot.flags = UInt32(CAPELET_SLOT_LARGE)
                try sendLarge(record, token)
            } else {
                guard arenaUsed + record.count <= Int(CAPELET_ARENA_SIZE) else { throw TestTrouble("the arena is full") }
                slot.position = UInt32(arenaUsed)
                let arena = UnsafeMutableRawPointer(mutating: capelet_inbox_arena(inbox)!)
                record.withUnsafeBytes { (arena + arenaUsed).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                arenaUsed += record.count
            }
            UnsafeMutablePointer(mutating: capelet_inbox_slot(inbox, number)!).pointee = slot
            number &+= 1
        }
        while true {
            let claim = capelet_load64(&outbox.pointee.claim)
            if capelet_swap64(&outbox.pointee.claim, claim, capelet_claim(capelet_claimed(claim), number)) { break }
        }
        capelet_fence()
        if capelet_load32(&outbox.pointee.worker_waiting) != 0 { wake() }
        return tokens
    }

    @discardableResult
    func publish(_ payload: String, lane: UInt32 = 0, epoch: UInt32 = 0) throws -> UInt64 {
        try publish([Event(payload, lane: lane, epoch: epoch)])[0]
    }

    /// Takes back what is not claimed; returns how many events that was.
    func withdraw() -> UInt32 {
        while true {
            let claim = capelet_load64(&outbox.pointee.claim)
            let claimed = capelet_claimed(claim)
            if capelet_swap64(&outbox.pointee.claim, claim, capelet_claim(claimed, claimed)) { return capelet_limit(claim) &- claimed }
        }
    }

    /// What a large event that was withdrawn leaves in the socket: a message with its token, which no event has.
    func sendStaleLarge() throws { try sendLarge(encode(Event("stale"), offset: 1), 1) }

    private func sendLarge(_ record: [UInt8], _ token: UInt64) throws {
        let memory = capelet_linux_memfd("event", 0)
        defer { close(memory) }
        guard capelet_linux_write_all(memory, record, record.count, 0) == 0 else { throw TestTrouble("large event") }
        var token = token
        guard capelet_linux_send_message(socket, &token, 8, [memory], 1, 0) == 0 else { throw TestTrouble("large event") }
    }

    private func encode(_ event: Event, offset: UInt64) -> [UInt8] {
        func pairs(_ list: [(String, String)]) -> [UInt8] {
            var bytes: [UInt8] = []
            for (name, value) in list {
                withUnsafeBytes(of: UInt16(name.utf8.count)) { bytes.append(contentsOf: $0) }
                withUnsafeBytes(of: UInt32(value.utf8.count)) { bytes.append(contentsOf: $0) }
                bytes.append(contentsOf: name.utf8)
                bytes.append(contentsOf: value.utf8)
            }
            return bytes
        }
        let (headers, inputs) = (pairs(event.headers), pairs(event.inputs))
        var record = capelet_record()
        record.version = UInt8(CAPELET_RECORD_VERSION)
        record.flags = event.flags
        record.offset = offset
        record.sequence = 42
        record.time_micros = 1_700_000_000_000_000
        record.domain = event.domain
        record.subject_size = UInt16(event.subject.utf8.count)
        record.type_size = 4
        record.id_size = 2
        record.header_count = UInt16(event.headers.count)
        record.headers_size = UInt32(headers.count)
        record.input_count = UInt16(event.inputs.count)
        record.inputs_size = UInt32(inputs.count)
        record.payload_size = UInt32(event.payload.count)
        var body = Array(event.subject.utf8) + Array("type".utf8) + Array("id".utf8) + headers + inputs + event.payload
        while body.count % 8 != 0 { body.append(0) }
        record.size = UInt32(MemoryLayout<capelet_record>.size + body.count)
        var bytes: [UInt8] = []
        withUnsafeBytes(of: record) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: body)
        return bytes
    }

    // MARK: frames

    /// The next message from the worker, put together from its frames. Sleeps at the bell, as the host does.
    func next(within seconds: TimeInterval = patience) throws -> Frame {
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            if let frame = try take() { return frame }
            capelet_store32(&inbox.pointee.host_waiting, 1)
            capelet_fence()
            if capelet_load64(&outbox.pointee.written) == consumed {
                var wait = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
                let left = deadline.timeIntervalSinceNow
                if left <= 0 || poll(&wait, 1, Int32(left * 1000)) == 0 { throw TestTrouble("worker \(id) says nothing") }
                var count: UInt64 = 0
                _ = read(bell, &count, 8)
            }
            capelet_store32(&inbox.pointee.host_waiting, 0)
        }
    }

    /// A message that is there already, or nil.
    func take() throws -> Frame? {
        while true {
            let available = capelet_load64(&outbox.pointee.written) &- consumed
            if available == 0 { return nil }
            guard available <= UInt64(CAPELET_RING_SIZE), available % 8 == 0 else { throw TestTrouble("written is wild: \(available)") }
            let position = Int(consumed % UInt64(CAPELET_RING_SIZE))
            let untilEnd = Int(CAPELET_RING_SIZE) - position
            if untilEnd < MemoryLayout<capelet_frame>.size {
                padsSeen += 1
                consume(untilEnd)
                continue
            }
            let at = UnsafeRawPointer(capelet_outbox_ring(outbox)!) + position
            let header = at.load(as: capelet_frame.self)
            let padded = (Int(header.size) + 7) & ~7
            guard padded <= min(untilEnd, Int(available)), header.size >= 24 else { throw TestTrouble("a frame of \(header.size) bytes") }
            if header.type == UInt8(CAPELET_FRAME_PAD) {
                guard padded == untilEnd else { throw TestTrouble("a pad that does not end at the ring's end") }
                padsSeen += 1
                consume(padded)
                continue
            }
            guard header.size <= UInt32(CAPELET_FRAME_MAX) else { throw TestTrouble("a frame of \(header.size) bytes") }
            let body = Array(UnsafeRawBufferPointer(start: at + 24, count: Int(header.size) - 24))
            consume(padded)
            var frame = Frame(type: Int(header.type), code: Int(header.code), token: header.token, value: header.value, body: body)
            if let before = pieces {
                guard before.type == frame.type, before.token == frame.token else {
                    throw TestTrouble("\(frame) between the chunks of \(before)")
                }
                frame.body = before.body + frame.body
                pieces = nil
            }
            if header.flags & UInt8(CAPELET_FRAME_MORE) != 0 {
                pieces = frame
                continue
            }
            return frame
        }
    }

    private func consume(_ count: Int) {
        consumed &+= UInt64(count)
        capelet_store64(&inbox.pointee.consumed, consumed)
        capelet_fence()
        if capelet_load32(&outbox.pointee.space_waiting) != 0 { wake() }
    }

    /// Everything up to and with the result of `token`.
    func until(_ token: UInt64) throws -> [Frame] {
        var frames: [Frame] = []
        while true {
            let frame = try next()
            frames.append(frame)
            if frame.type == CAPELET_FRAME_RESULT && frame.token == token { return frames }
        }
    }

    /// Runs one event; returns its output and result.
    func run(_ payload: String, lane: UInt32 = 0, epoch: UInt32 = 0) throws -> (output: String, code: Int, frames: [Frame]) {
        let frames = try until(publish(payload, lane: lane, epoch: epoch))
        return (frames.last { $0.type == CAPELET_FRAME_OUTPUT }?.text ?? "", frames.last!.code, frames)
    }
}
