import Glibc

/// Why a file could not be read.
struct FileReadFault: Error {
    /// In words, as the end of a sentence.
    var reason: String
}

/// Reads whole small files.
enum FileBytes {
    /// All bytes of the regular file at `path`, at most `max`. Never waits (a pipe is refused, not opened for reading).
    ///
    /// - Parameter mustBePrivate: refuse it when others than owner and group can read it, or others than the owner can write it.
    static func read(_ path: String, max: Int, mustBePrivate: Bool = false) throws(FileReadFault) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw FileReadFault(reason: FilePath.reason(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileReadFault(reason: FilePath.reason(errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw FileReadFault(reason: "it is a folder")
        default: throw FileReadFault(reason: "it is not a regular file")
        }
        if mustBePrivate, status.st_mode & 0o027 != 0 {
            let digits = String(status.st_mode & 0o7777, radix: 8)
            let mode = String(repeating: "0", count: 4 - digits.count) + digits
            let who = status.st_mode & 0o007 != 0 ? "every user of this machine can get at it" : "its group can write it"
            throw FileReadFault(reason: "\(who) (mode \(mode)); run: chmod 600 '\(path)'")
        }
        // One byte more than allowed tells whether there is more.
        var bytes = [UInt8](repeating: 0, count: max + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
            }
            if got == 0 { break }
            if got < 0 {
                if errno == EINTR { continue }
                throw FileReadFault(reason: FilePath.reason(errno))
            }
            count += got
        }
        guard count <= max else { throw FileReadFault(reason: "it is larger than \(Quantity.text(bytes: UInt64(max)))") }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
