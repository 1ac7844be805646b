import CLibC
import CWorkerProtocol

/// One message of keeper_messages.h as it came in, with its descriptors, which whoever holds this value owns.
struct KeeperMessage {
    var header: capelet_keeper_message
    var body: Text
    /// In the order in which they were sent. Close-on-exec.
    var descriptors: [Int32]
    /// Descriptors were lost, because this process has as many as it may.
    var descriptorsLost = false

    enum Reception {
        case message(KeeperMessage)
        /// There is none yet (only with MSG_DONTWAIT).
        case nothing
        /// The other side has closed its end, or talks nonsense.
        case ended
    }

    static func receive(from socket: Int32, flags: Int32 = 0) -> Reception {
        withUnsafeTemporaryAllocation(byteCount: Int(CAPELET_KEEPER_MESSAGE_MAX), alignment: 8) { buffer -> Reception in
            memset(buffer.baseAddress!, 0, MemoryLayout<capelet_keeper_message>.size)
            var descriptors: [Int32] = Array(repeating: -1, count: Int(CAPELET_LINUX_MESSAGE_DESCRIPTORS_MAX))
            var count: Int32 = 0
            let size = descriptors.withUnsafeMutableBufferPointer {
                capelet_linux_receive_message(socket, buffer.baseAddress, buffer.count, $0.baseAddress, Int32($0.count), &count, flags)
            }
            descriptors.removeLast(descriptors.count - Int(count))
            if size == -Int(EAGAIN) || size == -Int(EWOULDBLOCK) { return .nothing }
            let lost = size == -Int(EMFILE)
            let headerSize = MemoryLayout<capelet_keeper_message>.size
            guard lost || size >= headerSize else {
                for descriptor in descriptors { close(descriptor) }
                return .ended
            }
            var body: Text = []
            if size > headerSize {
                body.append(UnsafeRawBufferPointer(rebasing: buffer[headerSize..<size]))
            }
            return .message(
                KeeperMessage(
                    header: buffer.baseAddress!.load(as: capelet_keeper_message.self), body: body, descriptors: descriptors,
                    descriptorsLost: lost))
        }
    }

    func closeDescriptors() {
        for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
    }

    /// Sends one message. Returns 0 or an errno. Text that does not fit is cut.
    static func send(
        to socket: Int32, type: Int, id: UInt64 = 0, value: UInt64 = 0, body: Text = [], descriptors: [Int32] = [], flags: Int32 = 0
    ) -> Int32 {
        let header = capelet_keeper_message(type: UInt32(type), reserved: 0, id: id, value: value)
        var bytes: Text = []
        withUnsafeBytes(of: header) { bytes.append($0) }
        let room = Int(CAPELET_KEEPER_MESSAGE_MAX) - bytes.count
        bytes.append(contentsOf: body.prefix(room))
        return bytes.withUnsafeBytes { bytes in
            descriptors.withUnsafeBufferPointer {
                capelet_linux_send_message(socket, bytes.baseAddress, bytes.count, $0.baseAddress, Int32($0.count), flags)
            }
        }
    }
}
