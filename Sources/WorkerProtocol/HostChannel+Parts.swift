internal import CLinux
internal import CWorkerProtocol

extension HostChannel {
    /// What a channel is made of. Owned by whoever holds it: nothing is closed by itself.
    struct Parts {
        var inboxDescriptor: Int32 = -1
        var outboxDescriptor: Int32 = -1
        var workerSocket: Int32 = -1
        var bell: Int32 = -1
        var socket: Int32 = -1
        var inbox: UnsafeMutablePointer<capelet_inbox>
        var outbox: UnsafeMutablePointer<capelet_outbox>
    }

    /// Makes the parts, or none of them.
    static func makeParts() throws(SystemCallError) -> Parts {
        var descriptors: [Int32] = []
        var maps: [(UnsafeMutableRawPointer, Int)] = []
        func fail(_ what: String, _ code: Int32) -> SystemCallError {
            for descriptor in descriptors { capelet_linux_close(descriptor) }
            for (map, size) in maps { capelet_linux_unmap(map, size) }
            return SystemCallError("make a worker channel: \(what)", code: code)
        }
        func keep(_ descriptor: Int32, _ what: String) throws(SystemCallError) -> Int32 {
            guard descriptor >= 0 else { throw fail(what, descriptor) }
            descriptors.append(descriptor)
            return descriptor
        }
        func map(_ descriptor: Int32, _ size: Int) throws(SystemCallError) -> UnsafeMutableRawPointer {
            guard let map = capelet_linux_map(descriptor, size, true) else { throw fail("mmap", capelet_linux_errno()) }
            maps.append((map, size))
            return map
        }
        func seal(_ descriptor: Int32, _ seals: Int) throws(SystemCallError) {
            let code = capelet_linux_seal(descriptor, UInt32(seals))
            if code != 0 { throw fail("seal a memfd", code) }
        }
        let fixed = Int(CAPELET_LINUX_SEAL_SHRINK) | Int(CAPELET_LINUX_SEAL_GROW) | Int(CAPELET_LINUX_SEAL_SEAL)

        let inboxSize = MemoryLayout<capelet_inbox>.size
        let inbox = try keep(capelet_linux_memfd("capelet-inbox", inboxSize), "memfd_create")
        // The host's own map comes first: it alone may write, all later ones may only read.
        let inboxMap = try map(inbox, inboxSize)
        try seal(inbox, fixed | Int(CAPELET_LINUX_SEAL_FUTURE_WRITE))

        let outboxSize = MemoryLayout<capelet_outbox>.size
        let outbox = try keep(capelet_linux_memfd("capelet-outbox", outboxSize), "memfd_create")
        let outboxMap = try map(outbox, outboxSize)
        // Without these the worker could truncate it, and the host's next look would be SIGBUS.
        try seal(outbox, fixed)

        let bell = try keep(capelet_linux_eventfd(), "eventfd")
        var pair: [Int32] = [-1, -1]
        let code = capelet_linux_seqpacket_pair(&pair)
        if code != 0 { throw fail("socketpair", code) }
        return Parts(
            inboxDescriptor: inbox, outboxDescriptor: outbox, workerSocket: pair[1], bell: bell, socket: pair[0],
            inbox: inboxMap.assumingMemoryBound(to: capelet_inbox.self), outbox: outboxMap.assumingMemoryBound(to: capelet_outbox.self))
    }
}
