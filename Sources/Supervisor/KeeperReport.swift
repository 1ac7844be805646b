internal import CWorkerProtocol

/// One message of a keeper's, its sizes checked (keeper_messages.h). A view of `body`: valid as long as the bytes that it was read from.
struct KeeperReport {
    let message: capelet_keeper_message
    /// What follows the header.
    let body: UnsafeRawBufferPointer
    /// How a worker or the template died; all zero in messages that do not tell of a death.
    let death: capelet_keeper_death

    /// Why a message cannot be one.
    struct Malformed: Error {
        var reason: String
    }

    init(_ bytes: UnsafeRawBufferPointer) throws(Malformed) {
        let headerSize = MemoryLayout<capelet_keeper_message>.size
        guard bytes.count >= headerSize else { throw Malformed(reason: "it sent a message of \(bytes.count) bytes") }
        message = bytes.loadUnaligned(as: capelet_keeper_message.self)
        body = UnsafeRawBufferPointer(rebasing: bytes[headerSize...])
        switch Int(message.type) {
        case Int(CAPELET_KEEPER_DIED), Int(CAPELET_KEEPER_TEMPLATE_DIED):
            guard body.count >= MemoryLayout<capelet_keeper_death>.size else { throw Malformed(reason: "it sent a short message") }
            death = body.loadUnaligned(as: capelet_keeper_death.self)
        default:
            death = capelet_keeper_death()
        }
    }
}
