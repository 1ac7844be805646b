/// What a tag of the supervisor's stands for: the kind in the top byte (below 0x80), the number of keeper or worker in the rest.
struct PollTag: Equatable {
    enum Kind: UInt8 {
        /// A keeper's socket.
        case keeperSocket = 0x01
        /// A keeper's pidfd.
        case keeperProcess = 0x02
        /// A keeper's (and its template's) standard output and standard error.
        case keeperOutput = 0x03
        case keeperError = 0x04
        /// A worker's bell.
        case bell = 0x10
        /// The host's end of a worker's socket.
        case workerSocket = 0x11
        /// A worker's pidfd; waited at only after its keeper has died.
        case workerProcess = 0x12
        /// A worker's standard output and standard error.
        case workerOutput = 0x13
        case workerError = 0x14
    }

    var kind: Kind
    var number: UInt64

    init(_ kind: Kind, _ number: UInt64) {
        self.kind = kind
        self.number = number
    }

    /// Nil for tags that are not the supervisor's.
    init?(rawValue: UInt64) {
        guard let kind = Kind(rawValue: UInt8(rawValue >> 56)) else { return nil }
        self.kind = kind
        number = rawValue & 0x00ff_ffff_ffff_ffff
    }

    var rawValue: UInt64 { UInt64(kind.rawValue) << 56 | number }
}
