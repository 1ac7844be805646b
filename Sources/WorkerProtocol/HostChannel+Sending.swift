public import CWorkerProtocol
internal import CLinux
internal import Glibc

extension HostChannel {
    // MARK: state

    /// Free slots: how many events can be staged now, as far as arena and socket have room too. A look at what the worker has released is
    /// part of `observe`.
    public var room: Int { Int(CAPELET_SLOTS) - Int(head &- releasedSeen) }

    /// Number that the next staged event gets.
    public var nextNumber: UInt32 { head }

    /// Events that were staged and that the worker, as far as is known, has not claimed.
    public var unclaimed: Int { Int(head &- claimedSeen) }

    /// Number of the first event that the worker is not known to have claimed, as of the last `observe`, `publish` or `withdraw`.
    public var claimed: UInt32 { claimedSeen }

    /// True when so many large events were withdrawn that their memory, which only the worker can let go of by taking a large event, is too
    /// much: retire the worker.
    public var isWorn: Bool { staleEvents > 96 || staleBytes > 128 << 20 }

    /// Looks at how far the worker has come: updates `claimed` and `room`. Cheap: two loads of shared words.
    ///
    /// - Returns: the number of the first event that is not claimed.
    @discardableResult
    public func observe() throws(ChannelViolation) -> UInt32 {
        // In this order: an honest worker claims before it releases.
        let released = capelet_load32(&outbox.pointee.released)
        let word = capelet_load64(&outbox.pointee.claim)
        try accept(word)
        guard released &- releasedSeen <= claimedSeen &- releasedSeen else {
            throw ChannelViolation("it released event \(released) while \(claimedSeen) was the next to be claimed")
        }
        release(upTo: released)
        return claimedSeen
    }

    /// Checks a claim word and takes over its lower half.
    private func accept(_ word: UInt64) throws(ChannelViolation) {
        guard capelet_limit(word) == published else {
            throw ChannelViolation("it moved the limit of its events from \(published) to \(capelet_limit(word))")
        }
        let claimed = capelet_claimed(word)
        guard claimed &- claimedSeen <= published &- claimedSeen else {
            throw ChannelViolation("it claimed event \(claimed), which is not between \(claimedSeen) and \(published)")
        }
        claimedSeen = claimed
    }

    private func release(upTo number: UInt32) {
        guard number != releasedSeen else { return }
        if largeEvents > 0 {
            var at = releasedSeen
            while at != number {
                let slot = Int(at % UInt32(CAPELET_SLOTS))
                if largeSizes[slot] != 0 {
                    largeSizes[slot] = 0
                    largeEvents -= 1
                    // It read the socket in order up to the memfd of this event: nothing withdrawn before it is left there.
                    staleEvents = 0
                    staleBytes = 0
                }
                at &+= 1
            }
        }
        releasedSeen = number
        arenaTail = number == head ? arenaHead : arenaBegins[Int(number % UInt32(CAPELET_SLOTS))]
    }

    // MARK: staging

    /// Size of what a worker gets for this record: with the payload of its file in it.
    private static func size(of record: UnsafePointer<capelet_record>, external: UnsafeRawBufferPointer?) -> Int {
        guard let external else { return Int(record.pointee.size) }
        return (Int(capelet_record_sections(record).payload) + external.count + 7) & ~7
    }

    /// Where in the arena a record of this size would begin, counted from the start; nil: there is no room.
    private func place(_ size: Int) -> UInt64? {
        let whole = UInt64(CAPELET_ARENA_SIZE)
        var begin = arenaHead
        if begin % whole + UInt64(size) > whole { begin += whole - begin % whole }
        return begin + UInt64(size) - arenaTail <= whole ? begin : nil
    }

    /// Whether a record of this size, external payload included, can be staged now.
    public func canSend(bytes: Int) -> Bool {
        guard room > 0 else { return false }
        return bytes > Int(CAPELET_INLINE_MAX) ? largeEvents < Self.largeEventsMax && !isWorn : place(bytes) != nil
    }

    /// Puts one event behind those staged before. The worker sees it after `publish`.
    ///
    /// - Parameters:
    ///   - record: a checked record; copied.
    ///   - external: the payload of a record that has it in a file of its own; nil for all others.
    ///   - token: names this run; never 0, never used again.
    /// - Returns: false, and nothing has happened, when there is no room now. Room comes with `observe` after the worker has gone on.
    /// - Throws: when the worker has closed its socket.
    public func stage(
        _ record: UnsafePointer<capelet_record>, external: UnsafeRawBufferPointer? = nil, token: UInt64, attempt: UInt32, lane: UInt32,
        epoch: UInt32
    ) throws(ChannelViolation) -> Bool {
        precondition(token != 0 && lane < UInt32(CAPELET_LANES))
        let isExternal = record.pointee.flags & UInt8(CAPELET_RECORD_EXTERNAL) != 0
        precondition(isExternal == (external != nil), "a payload from a file goes with a record that refers to one")
        let size = Self.size(of: record, external: external)
        precondition(size <= Int(CAPELET_RECORD_SIZE_MAX))
        guard canSend(bytes: size) else { return false }

        let index = Int(head % UInt32(CAPELET_SLOTS))
        var slot = capelet_slot()
        slot.token = token
        slot.size = UInt32(size)
        slot.attempt = attempt
        slot.lane = lane
        slot.epoch = epoch
        arenaBegins[index] = arenaHead
        if size > Int(CAPELET_INLINE_MAX) {
            guard try sendLarge(record, external: external, size: size, token: token) else { return false }
            slot.flags = UInt32(CAPELET_SLOT_LARGE)
            largeSizes[index] = UInt64(size)
            largeEvents += 1
        } else {
            guard let begin = place(size) else { return false }
            let position = Int(begin % UInt64(CAPELET_ARENA_SIZE))
            slot.position = UInt32(position)
            if let external {
                Self.write(record, external: external, size: size, to: arena + position)
            } else {
                (arena + position).copyMemory(from: record, byteCount: size)
            }
            largeSizes[index] = 0
            arenaHead = begin + UInt64(size)
        }
        slots[index] = slot
        head &+= 1
        return true
    }

    /// Writes a record with the payload of its file in it.
    private static func write(
        _ record: UnsafePointer<capelet_record>, external: UnsafeRawBufferPointer, size: Int, to place: UnsafeMutableRawPointer
    ) {
        let payload = Int(capelet_record_sections(record).payload)
        place.copyMemory(from: record, byteCount: payload)
        let header = place.assumingMemoryBound(to: capelet_record.self)
        header.pointee.size = UInt32(size)
        header.pointee.flags &= ~UInt8(CAPELET_RECORD_EXTERNAL)
        header.pointee.payload_size = UInt32(external.count)
        if let from = external.baseAddress { (place + payload).copyMemory(from: from, byteCount: external.count) }
        (place + payload + external.count).initializeMemory(as: UInt8.self, repeating: 0, count: size - payload - external.count)
    }

    /// Sends a memfd with the record; the message's 8 bytes are the token, so that the worker can tell those that were withdrawn.
    private func sendLarge(
        _ record: UnsafePointer<capelet_record>, external: UnsafeRawBufferPointer?, size: Int, token: UInt64
    ) throws(ChannelViolation) -> Bool {
        // Without memory or descriptors at this moment the event waits, as it would for room.
        var descriptor = capelet_linux_memfd("capelet-event", size)
        guard descriptor >= 0 else { return false }
        defer { capelet_linux_close(descriptor) }
        guard let map = capelet_linux_map(descriptor, size, true) else { return false }
        if let external {
            Self.write(record, external: external, size: size, to: map)
        } else {
            map.copyMemory(from: record, byteCount: size)
        }
        capelet_linux_unmap(map, size)
        let seals = CAPELET_LINUX_SEAL_SEAL | CAPELET_LINUX_SEAL_SHRINK | CAPELET_LINUX_SEAL_GROW | CAPELET_LINUX_SEAL_WRITE
        guard capelet_linux_seal(descriptor, UInt32(seals)) == 0 else { return false }
        var token = token
        switch capelet_linux_send_message(socket, &token, MemoryLayout<UInt64>.size, &descriptor, 1, Int32(MSG_DONTWAIT)) {
        case 0: return true
        case EPIPE, ECONNRESET: throw ChannelViolation("it closed its socket")
        default: return false
        }
    }

    // MARK: publishing and taking back

    /// Lets the worker see everything that is staged, and wakes it if it sleeps. Once per batch.
    public func publish() throws(ChannelViolation) {
        guard head != published else { return }
        // Only the host moves the limit, and adding to the upper half cannot disturb the lower: one step that no worker can make fail,
        // however fast it moves its own half.
        let before = capelet_linux_add64(&outbox.pointee.claim, UInt64(head &- published) << 32)
        try accept(before)
        published = head
        capelet_fence()
        if capelet_load32(&outbox.pointee.worker_waiting) != 0 { wakeWorker() }
    }

    /// Takes back everything that the worker has not claimed. The events were certainly not started; their numbers are used again.
    ///
    /// - Returns: how many of the last staged events that was (those never published included).
    /// - Throws: when the word moves in a way that claiming cannot explain.
    public func withdraw() throws(ChannelViolation) -> Int {
        var word = capelet_load64(&outbox.pointee.claim)
        var triesWithoutProgress = 0
        while true {
            let before = claimedSeen
            try accept(word)
            // An honest worker can make the swap fail only by claiming, at most as often as there are events.
            if claimedSeen == before { triesWithoutProgress += 1 } else { triesWithoutProgress = 1 }
            guard triesWithoutProgress <= 8 else { throw ChannelViolation("its claim word kept moving without a claim") }
            if claimedSeen == published || capelet_swap64(&outbox.pointee.claim, word, capelet_claim(claimedSeen, claimedSeen)) { break }
            word = capelet_load64(&outbox.pointee.claim)
        }
        let count = Int(head &- claimedSeen)
        guard count > 0 else {
            published = claimedSeen
            return 0
        }
        if largeEvents > 0 {
            var at = claimedSeen
            while at != head {
                let slot = Int(at % UInt32(CAPELET_SLOTS))
                if largeSizes[slot] != 0 {
                    staleEvents += 1
                    staleBytes += largeSizes[slot]
                    largeSizes[slot] = 0
                    largeEvents -= 1
                }
                at &+= 1
            }
        }
        arenaHead = arenaBegins[Int(claimedSeen % UInt32(CAPELET_SLOTS))]
        published = claimedSeen
        head = claimedSeen
        return count
    }
}
