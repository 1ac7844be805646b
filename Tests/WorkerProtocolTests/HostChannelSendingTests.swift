import CLinux
import CWorkerProtocol
import Glibc
import Testing

@testable import WorkerProtocol

/// The host's end with a worker that keeps to the rules.
@Suite struct HostChannelSendingTests {
    @Test func eventsArriveAsTheyWereStaged() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        #expect(try channel.stage(11, payload: 100, lane: 5))
        #expect(try channel.stage(12, payload: 0))
        #expect(peer.claim() == nil, "not before it is published")
        try channel.publish()
        let first = try #require(peer.claim())
        #expect(first.token == 11 && first.lane == 5 && first.attempt == 1 && first.flags == 0)
        #expect(peer.record(first).subjectText == "s11")
        #expect(peer.record(first).payloadSection.count == 100)
        let second = try #require(peer.claim())
        #expect(peer.record(second).subjectText == "s12")
        #expect(peer.claim() == nil)
        #expect(try channel.observe() == 2)
        #expect(channel.room == Int(CAPELET_SLOTS) - 2)
        peer.release()
        try channel.observe()
        #expect(channel.room == Int(CAPELET_SLOTS))
    }

    /// Counters that wrap, slots and arena that are used many times over, sizes that do not divide the arena.
    @Test(arguments: [UInt32(0), UInt32.max - 700]) func goesRoundManyTimes(first: UInt32) throws {
        let channel = try HostChannel(firstNumber: first)
        let peer = Peer(channel)
        var sent: UInt64 = 0
        var received: UInt64 = 0
        while received < 20_000 {
            while sent < 20_000, try channel.stage(sent + 1, payload: Int(sent % 97) * 41) { sent += 1 }
            try channel.publish()
            for _ in 0..<(Int(received % 700) + 1) {
                guard let slot = peer.claim() else { break }
                received += 1
                #expect(slot.token == received)
                #expect(peer.record(slot).subjectText == "s\(received)")
                #expect(peer.record(slot).payloadSection.count == Int((received - 1) % 97) * 41)
                peer.release()
            }
            try channel.observe()
        }
        #expect(channel.unclaimed == 0)
    }

    @Test func fullSlotsAndFullArenaSayNoAndLoseNothing() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        for token in 1...UInt64(CAPELET_SLOTS) { #expect(try channel.stage(token)) }
        #expect(channel.room == 0)
        #expect(try !channel.stage(5000))
        #expect(try channel.withdraw() == Int(CAPELET_SLOTS))
        // The arena holds 1 MiB: ten records of 100 KB, not eleven.
        for token in 1...10 { #expect(try channel.stage(UInt64(token), payload: 100_000)) }
        #expect(!channel.canSend(bytes: 100_100))
        #expect(try !channel.stage(11, payload: 100_000))
        try channel.publish()
        for token in 1...10 {
            let slot = try #require(peer.claim())
            #expect(slot.token == UInt64(token))
            #expect(peer.record(slot).payloadSection.count == 100_000)
        }
        peer.release()
        try channel.observe()
        #expect(try channel.stage(11, payload: 100_000))
    }

    @Test func withdrawTakesBackWhatIsNotClaimed() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        for token in 1...6 { #expect(try channel.stage(UInt64(token), payload: 1000)) }
        try channel.publish()
        #expect(peer.claim()?.token == 1)
        #expect(peer.claim()?.token == 2)
        // Two more that were never published.
        #expect(try channel.stage(7) && channel.stage(8))
        #expect(try channel.withdraw() == 6)
        #expect(peer.claim() == nil)
        #expect(channel.claimed == 2 && channel.nextNumber == 2 && channel.unclaimed == 0)
        #expect(try channel.withdraw() == 0)
        // The numbers are used again, for other events.
        #expect(try channel.stage(21))
        try channel.publish()
        #expect(peer.claim()?.token == 21)
        peer.release()
        try channel.observe()
        #expect(channel.room == Int(CAPELET_SLOTS))
    }

    @Test func withdrawAndClaimRaceWithoutLossOrDoubling() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        let last: UInt64 = 1 << 40
        let tokens = Collected<UInt64>()
        let worker = OwnThread {
            while true {
                guard let slot = peer.claim() else {
                    sched_yield()
                    continue
                }
                if slot.token == last { return }
                tokens.elements.append(slot.token)
                peer.release()
            }
        }
        var token: UInt64 = 0
        var expected: [UInt64] = []
        for round in 0..<3000 {
            let batch = 1 + round % 7
            for _ in 0..<batch {
                token += 1
                #expect(try channel.stage(token))
                expected.append(token)
            }
            try channel.publish()
            if round % 3 == 0 { expected.removeLast(try channel.withdraw()) }
            while channel.room < 100 { try channel.observe() }
        }
        #expect(try channel.stage(last))
        try channel.publish()
        worker.join()
        #expect(tokens.elements == expected)
    }

    @Test func largeRecordsTravelAsMemfd() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        let size = 3 << 20
        let payload = [UInt8]((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        #expect(try channel.stage("big", external: payload, token: 77, epoch: 9))
        #expect(try channel.stage(78, payload: 200 << 10), "a large record of its own")
        #expect(try channel.stage(79))
        try channel.publish()
        let slot = try #require(peer.claim())
        #expect(slot.flags == UInt32(CAPELET_SLOT_LARGE) && slot.token == 77 && slot.epoch == 9)
        let (token, bytes) = try receiveLarge(peer)
        #expect(token == 77)
        #expect(capelet_record_check(bytes.base, bytes.count))
        let view = RecordView(bytes.base.assumingMemoryBound(to: capelet_record.self))
        #expect(view.subjectText == "big" && !view.isExternal)
        #expect(view.payloadSection.elementsEqual(payload))
        munmap(bytes.base, bytes.count)
        let second = try #require(peer.claim())
        #expect(second.flags == UInt32(CAPELET_SLOT_LARGE))
        #expect(try receiveLarge(peer).0 == 78)
        #expect(peer.claim()?.flags == 0)
        peer.release()
        try channel.observe()
        #expect(channel.largeEvents == 0)
    }

    @Test func smallExternalPayloadGoesInline() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        let payload = [UInt8](repeating: 9, count: 1001)
        #expect(try channel.stage("ext", external: payload, token: 1))
        try channel.publish()
        let view = peer.record(try #require(peer.claim()))
        #expect(!view.isExternal && view.payloadSection.elementsEqual(payload))
    }

    @Test func withdrawnLargeEventsWearTheChannelOutInTheEnd() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        for token in 1...UInt64(HostChannel.largeEventsMax) { #expect(try channel.stage(token, payload: 200 << 10)) }
        #expect(try !channel.stage(99, payload: 200 << 10))
        #expect(try channel.withdraw() == HostChannel.largeEventsMax)
        #expect(try channel.stage(100, payload: 200 << 10))
        try channel.publish()
        #expect(peer.claim()?.token == 100)
        // Those that were withdrawn come first.
        for token in 1...UInt64(HostChannel.largeEventsMax) { #expect(try receiveLarge(peer).0 == token) }
        #expect(try receiveLarge(peer).0 == 100)
        peer.release()
        try channel.observe()
        #expect(channel.staleEvents == 0)
        var round: UInt64 = 1000
        while !channel.isWorn {
            #expect(try channel.stage(round, payload: 4 << 20))
            #expect(try channel.withdraw() == 1)
            round += 1
        }
        #expect(try !channel.stage(round, payload: 200 << 10))
        #expect(try channel.stage(round), "small ones still go")
    }

    @Test func memoryIsSealed() throws {
        let channel = try HostChannel()
        #expect(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, channel.inboxDescriptor, 0) == MAP_FAILED)
        #expect(ftruncate(channel.inboxDescriptor, 0) == -1 && errno == EPERM)
        #expect(ftruncate(channel.outboxDescriptor, 0) == -1 && errno == EPERM)
        var byte: UInt8 = 1
        #expect(pwrite(channel.inboxDescriptor, &byte, 1, 0) == -1 && errno == EPERM)
        #expect(capelet_linux_seal(channel.outboxDescriptor, 8) == EPERM)
    }

    @Test func wakesASleeperAndOnlyThen() throws {
        let channel = try HostChannel()
        let peer = Peer(channel)
        let wake = peer.inboxWord(\.wake)
        #expect(try channel.stage(1))
        try channel.publish()
        #expect(capelet_load32(wake) == 0)
        capelet_store32(&peer.outbox.pointee.worker_waiting, 1)
        #expect(try channel.stage(2))
        try channel.publish()
        #expect(capelet_load32(wake) == 1)
        channel.cancel(token: 2)
        #expect(capelet_load32(wake) == 2)
        #expect(
            peer.inbox.pointee.cancelled_count == 1
                && peer.inboxWord(\.cancelled).withMemoryRebound(to: UInt64.self, capacity: 64) { $0[0] } == 2)
        channel.requestStop()
        #expect(capelet_load32(wake) == 3 && peer.inbox.pointee.stop == 1)
    }

    @Test func descriptorsAreGivenBack() throws {
        func count() throws -> Int {
            var names = 0
            let folder = try #require(opendir("/proc/self/fd"))
            defer { closedir(folder) }
            while readdir(folder) != nil { names += 1 }
            return names
        }
        // Other tests of this process open and close descriptors at the same time: a leak of hundreds would stand out.
        let before = try count()
        for _ in 0..<200 { _ = try HostChannel() }
        #expect(try count() < before + 200)
    }

    private func receiveLarge(_ peer: Peer) throws -> (UInt64, (base: UnsafeMutableRawPointer, count: Int)) {
        var token: UInt64 = 0
        var descriptor: Int32 = -1
        var count: Int32 = 0
        let size = capelet_linux_receive_message(peer.socket, &token, 8, &descriptor, 1, &count, Int32(MSG_DONTWAIT))
        try #require(size == 8 && count == 1)
        defer { close(descriptor) }
        var found = stat()
        fstat(descriptor, &found)
        let base = mmap(nil, Int(found.st_size), PROT_READ, MAP_SHARED, descriptor, 0)!
        try #require(base != MAP_FAILED)
        return (token, (base, Int(found.st_size)))
    }
}
