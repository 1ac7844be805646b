internal import CLinux
internal import CWorkerProtocol

extension HostChannel {
    /// Begins to read: looks once how much there is. All of one turn is bounded by the ring's size and by `maximumFrames`, whatever the
    /// worker does meanwhile.
    ///
    /// - Returns: whether there is anything to read.
    @discardableResult
    public func beginTurn(maximumFrames: Int) throws(ChannelViolation) -> Bool {
        let written = capelet_load64(&outbox.pointee.written)
        let waiting = written &- consumed
        guard waiting <= UInt64(CAPELET_RING_SIZE), waiting & 7 == 0 else {
            throw ChannelViolation(
                "it says it wrote \(written) bytes of frames; \(consumed) were read, and the ring holds \(CAPELET_RING_SIZE)")
        }
        turnEnd = written
        turnFrames = maximumFrames
        return waiting > 0
    }

    /// The next frame of this turn; nil at its end. Its body is valid until the next call.
    public func nextFrame() throws(ChannelViolation) -> WorkerFrame? {
        let ringSize = UInt64(CAPELET_RING_SIZE)
        let headerSize = UInt64(MemoryLayout<capelet_frame>.size)
        dropLargeMessage()
        while consumed != turnEnd, turnFrames > 0 {
            turnFrames -= 1
            let followsPadding = lastIsPadding
            lastIsPadding = false
            let available = turnEnd &- consumed
            let position = consumed % ringSize
            let straight = ringSize - position
            // A rest too small for a header can only be padding.
            guard straight >= headerSize else {
                try skip(straight, of: available, again: followsPadding)
                continue
            }
            let at = (ring + Int(position)).assumingMemoryBound(to: UInt64.self)
            // Each word of the header is read once.
            let first = capelet_load64(at)
            let size = UInt64(UInt32(truncatingIfNeeded: first))
            let type = UInt8(truncatingIfNeeded: first >> 32)
            let flags = UInt8(truncatingIfNeeded: first >> 40)
            let code = UInt16(truncatingIfNeeded: first >> 48)
            if type == UInt8(CAPELET_FRAME_PAD) {
                try skip(straight, of: available, again: followsPadding)
                continue
            }
            guard size >= headerSize, size <= UInt64(CAPELET_FRAME_MAX) else { throw ChannelViolation("a frame of \(size) bytes") }
            let padded = (size + 7) & ~7
            guard padded <= available, padded <= straight else {
                throw ChannelViolation("a frame of \(size) bytes where it wrote \(min(available, straight))")
            }
            let token = capelet_load64(at + 1)
            let value = capelet_load64(at + 2)
            let bodySize = Int(size - headerSize)
            guard let kind = FrameKind(rawValue: type) else { throw ChannelViolation("a frame of the unknown type \(type)") }
            let isLast = try check(kind, flags: flags, code: code, token: token, bodySize: bodySize)
            if isLast && messageKind == nil {
                capelet_linux_copy(frameBody, at + 3, bodySize)
                consumed &+= padded
                framesUnrung &+= 1
                return WorkerFrame(
                    kind: kind, code: min(code, kind == .log ? 5 : .max), token: token, value: value,
                    body: UnsafeRawBufferPointer(start: frameBody, count: bodySize))
            }
            try append(at + 3, bodySize, kind: kind, token: token)
            consumed &+= padded
            framesUnrung &+= 1
            // A long message must not wait for the end of the turn: its sender may be waiting for room.
            if consumed &- consumedShown >= ringSize / 4 { showConsumed() }
            if isLast {
                messageKind = nil
                return WorkerFrame(
                    kind: kind, code: code, token: token, value: value, body: UnsafeRawBufferPointer(start: message, count: messageSize))
            }
        }
        return nil
    }

    /// Ends a turn: gives the room back and wakes a worker that waits for it.
    ///
    /// - Returns: whether there is more to read.
    @discardableResult
    public func endTurn() -> Bool {
        dropLargeMessage()
        showConsumed()
        return capelet_load64(&outbox.pointee.written) != consumed
    }

    private func showConsumed() {
        guard consumed != consumedShown else { return }
        consumedShown = consumed
        capelet_store64(&inbox.pointee.consumed, consumed)
        capelet_fence()
        if capelet_load32(&outbox.pointee.space_waiting) != 0 { wakeWorker() }
    }

    private func skip(_ rest: UInt64, of available: UInt64, again: Bool) throws(ChannelViolation) {
        // There is something between two ends of the ring, so this would be a way to make the host read without saying anything.
        if again { throw ChannelViolation("padding after padding") }
        lastIsPadding = true
        guard rest <= available else { throw ChannelViolation("padding of \(rest) bytes where it wrote \(available)") }
        consumed &+= rest
    }

    /// Checks what can be known of a frame by itself and by those before it. Returns whether it is the last of its message.
    private func check(_ kind: FrameKind, flags: UInt8, code: UInt16, token: UInt64, bodySize: Int) throws(ChannelViolation) -> Bool {
        let more = flags & UInt8(CAPELET_FRAME_MORE) != 0
        guard flags & ~UInt8(CAPELET_FRAME_MORE) == 0 else { throw ChannelViolation("a frame with the unknown flags \(flags)") }
        if let messageKind {
            guard kind == messageKind, token == messageToken else {
                throw ChannelViolation("a frame of type \(kind) in the middle of a message of type \(messageKind)")
            }
        }
        switch kind {
        case .ready:
            guard !isReady, code == 0 else { throw ChannelViolation("it said a second time that it is ready") }
            isReady = true
        case .startFailed:
            guard !isReady else { throw ChannelViolation("it said that it could not start after it was ready") }
        case .log:
            break
        case .result, .output, .emit, .extend:
            guard isReady else { throw ChannelViolation("a frame of type \(kind) before it was ready") }
            guard token != 0 else { throw ChannelViolation("a frame of type \(kind) without a token") }
            if kind == .result, code > UInt16(CAPELET_SKIPPED) { throw ChannelViolation("a result with the unknown code \(code)") }
        }
        guard more else { return true }
        guard kind == .output || kind == .emit else { throw ChannelViolation("a frame of type \(kind) that is to be continued") }
        guard bodySize > 0 else { throw ChannelViolation("an empty part of a message of type \(kind)") }
        return false
    }

    /// Adds a part to the message that is being put together.
    private func append(_ from: UnsafeRawPointer, _ count: Int, kind: FrameKind, token: UInt64) throws(ChannelViolation) {
        if messageKind == nil {
            messageKind = kind
            messageToken = token
            messageSize = 0
        }
        let limit = kind == .output ? Self.outputBytesMax : Self.emitBytesMax
        guard messageSize + count <= limit else { throw ChannelViolation("a message of type \(kind) of more than \(limit) bytes") }
        if messageSize + count > messageCapacity {
            let capacity = min(max(messageCapacity * 2, 128 << 10, messageSize + count), Self.emitBytesMax)
            let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            if let message { grown.copyMemory(from: message, byteCount: messageSize) }
            message?.deallocate()
            message = grown
            messageCapacity = capacity
        }
        capelet_linux_copy(message! + messageSize, from, count)
        messageSize += count
    }

    /// Lets go of the buffer of an uncommonly large message that has been delivered.
    private func dropLargeMessage() {
        guard messageKind == nil, messageCapacity > 1 << 20 else { return }
        message?.deallocate()
        message = nil
        messageCapacity = 0
    }
}
