import CLibC
import CWorkerProtocol

/// An event's record, readable until it is closed.
struct OpenRecord {
    let pointer: UnsafePointer<capelet_record>
    /// Of its own map, in bytes; 0: it lies in the inbox.
    let mapSize: Int

    var isExternal: Bool { pointer.pointee.flags & UInt8(CAPELET_RECORD_EXTERNAL) != 0 }
}

/// Finds the records of events: in the inbox, or, when they are too large for that, in memfds that come over the socket.
struct RecordReader {
    private let arena: UnsafeRawPointer
    private let socket: Int32

    init(inbox: UnsafePointer<capelet_inbox>, socket: Int32) {
        arena = UnsafeRawPointer(capelet_inbox_arena(inbox))
        self.socket = socket
    }

    @inline(__always)
    func open(_ slot: capelet_slot) -> OpenRecord {
        if slot.flags & UInt32(CAPELET_SLOT_LARGE) == 0 {
            return OpenRecord(pointer: (arena + Int(slot.position)).assumingMemoryBound(to: capelet_record.self), mapSize: 0)
        }
        return receive(slot.token)
    }

    @inline(__always)
    func close(_ record: OpenRecord) {
        if record.mapSize > 0 { munmap(UnsafeMutableRawPointer(mutating: record.pointer), record.mapSize) }
    }

    /// Takes messages from the socket up to the one for `token`. Those before it belong to events that the host has withdrawn.
    private func receive(_ token: UInt64) -> OpenRecord {
        while true {
            var named: UInt64 = 0
            var descriptor: Int32 = -1
            var count: Int32 = 0
            let size = capelet_linux_receive_message(socket, &named, 8, &descriptor, 1, &count, 0)
            if size == -Int(EAGAIN) {
                // The socket does not block; the message was sent before the event was published, so this does not last.
                var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                _ = poll(&wait, 1, -1)
                continue
            }
            if size == -Int(EMFILE) {
                fail("no descriptor is left for a large event: the plugin has used up its limit (limit.files)", status: 71)
            }
            guard size == 8 else { fail("the host's socket is closed, or what came over it is not a large event", status: 71) }
            guard named == token else {
                if count == 1 { CLibC.close(descriptor) }
                continue
            }
            guard count == 1 else { fail("a large event came without its memory", status: 71) }
            defer { CLibC.close(descriptor) }
            let fileSize = Int(capelet_linux_file_size(descriptor))
            guard fileSize >= MemoryLayout<capelet_record>.size, let map = capelet_linux_map(descriptor, fileSize, false) else {
                fail("a large event cannot be mapped; is there too little address space (limit.address)?", status: 71)
            }
            let record = map.assumingMemoryBound(to: capelet_record.self)
            guard Int(record.pointee.size) <= fileSize else { fail("a large event is longer than its memory", status: 71) }
            return OpenRecord(pointer: UnsafePointer(record), mapSize: fileSize)
        }
    }
}
