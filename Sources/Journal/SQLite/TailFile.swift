import CLinux
import Glibc

/// How far each stream had come when something was last acknowledged, in the small file `tail` beside the database.
///
/// SQLite takes a damaged frame in its write-ahead log for the end of the log: one flipped bit there rolls back every commit after it, and the
/// database that results is consistent and silently old (measured; SEMANTICS §7.2). This file is written after each commit that was synced, before
/// anybody is answered, so that a database that says less than the file has lost what was acknowledged. It is synced now and then
/// only: after a power cut it may say less than the database, which is harmless.
///
/// Two slots are written in turn, so that a torn write leaves the other. Used by the writer's thread.
final class TailFile {
    private static let magic: UInt64 = 0x4c49_4154_4550_4143  // "CAPETAIL"
    private static let slotBytes = 65536
    private static let headerBytes = 32
    /// Streams that fit a slot; further ones go unguarded.
    private static let streamsMax = (slotBytes - headerBytes) / 16

    private let descriptor: Int32
    private var number: UInt64
    private var bytes = [UInt8](repeating: 0, count: 512)
    private var isUnsynced = false
    /// What the file said when it was opened.
    let found: [StreamID: UInt64]

    /// Opens the file, making it where there is none.
    init(path: String) throws(JournalError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        self.descriptor = descriptor
        guard descriptor >= 0 else { throw JournalError(.failed, "\(path) cannot be opened: \(String(cString: strerror(errno)))") }
        let slots = (0..<2).compactMap { Self.read(descriptor, slot: $0) }
        let newest = slots.max { $0.number < $1.number }
        number = newest?.number ?? 0
        found = newest?.ends ?? [:]
    }

    deinit { close(descriptor) }

    private static func read(_ descriptor: Int32, slot: Int) -> (number: UInt64, ends: [StreamID: UInt64])? {
        var bytes = [UInt8](repeating: 0, count: slotBytes)
        let got = pread(descriptor, &bytes, slotBytes, off_t(slot * slotBytes))
        guard got >= headerBytes else { return nil }
        return bytes.withUnsafeBytes { bytes in
            let count = Int(bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
            guard bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self) == magic, count <= streamsMax, headerBytes + count * 16 <= got,
                bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self) == checksum(bytes, count)
            else { return nil }
            var ends: [StreamID: UInt64] = [:]
            for index in 0..<count {
                let stream = bytes.loadUnaligned(fromByteOffset: headerBytes + index * 16, as: UInt64.self)
                ends[StreamID(rawValue: UInt32(truncatingIfNeeded: stream))] =
                    bytes.loadUnaligned(fromByteOffset: headerBytes + index * 16 + 8, as: UInt64.self)
            }
            return (bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self), ends)
        }
    }

    /// Over everything but the checksum itself.
    private static func checksum(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> UInt32 {
        guard let start = bytes.baseAddress else { return 0 }
        return capelet_linux_crc32c(capelet_linux_crc32c(0, start, 20), start + headerBytes, count * 16)
    }

    /// Writes down how far each stream has come. Failing is not an error: the file then only knows less.
    func write(_ ends: [StreamID: UInt64]) {
        number += 1
        let count = min(ends.count, Self.streamsMax)
        let size = Self.headerBytes + count * 16
        if bytes.count < size { bytes = [UInt8](repeating: 0, count: size * 2) }
        bytes.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: Self.magic, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: number, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: UInt32(count), toByteOffset: 16, as: UInt32.self)
            var at = Self.headerBytes
            for (stream, end) in ends.prefix(count) {
                bytes.storeBytes(of: UInt64(stream.rawValue), toByteOffset: at, as: UInt64.self)
                bytes.storeBytes(of: end, toByteOffset: at + 8, as: UInt64.self)
                at += 16
            }
            bytes.storeBytes(of: Self.checksum(UnsafeRawBufferPointer(bytes), count), toByteOffset: 20, as: UInt32.self)
            pwrite(descriptor, bytes.baseAddress, size, off_t(number & 1) * off_t(Self.slotBytes))
        }
        isUnsynced = true
    }

    /// Brings it to the disk when it has changed.
    func sync() {
        guard isUnsynced else { return }
        isUnsynced = false
        fdatasync(descriptor)
    }
}
