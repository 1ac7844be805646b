internal import CapeletSDK

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// What is in a file below a root, and what the system says about it.
struct FileContents {
    /// The file's beginning, at most as much as was asked for.
    let bytes: [UInt8]
    /// Bytes in the file.
    let size: Int64
    /// Nanoseconds since 1970.
    let mtime: Int64
    /// SHA-256 of the whole file in hexadecimal; empty for one that was too large for that.
    let hash: String

    /// Whether the file has more bytes than `bytes`.
    var isCut: Bool { size > Int64(bytes.count) }

    /// How much to read.
    struct Limits {
        /// The most bytes that are kept.
        var sizeMax: Int
        /// The largest file that is read to its end, for its hash.
        var hashSizeMax: Int
    }

    /// Reads `path` below `root`, without following a symbolic link on the way. Nil if there is no such regular file any more. Errors that
    /// may pass (permissions, no descriptors, a failing disk) are thrown as retries; a path that leads out of the root is fatal.
    static func load(root: [UInt8], path: [UInt8], limits: Limits, isCancelled: () -> Bool) throws(LambdaError) -> FileContents? {
        guard let descriptor = try openBelow(root, path) else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("fstat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }

        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(limits.sizeMax, Int(status.st_size)))
        var chunk = [UInt8](repeating: 0, count: max(4096, min(1 << 20, Int(status.st_size) + 1)))
        var hash = SHA256()
        var total = 0
        // A file that grows while it is read may pass the limit of the hash on the way.
        while total <= limits.hashSizeMax || bytes.count < limits.sizeMax {
            if isCancelled() { throw .retry("cancelled") }
            let got = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress!, $0.count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failure("read", path) }
            if got == 0 { break }
            total += got
            bytes.append(contentsOf: chunk.prefix(min(got, limits.sizeMax - bytes.count)))
            if total <= limits.hashSizeMax { chunk.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) } }
            // The rest of a file that is too large for a hash is of no use.
            if Int(status.st_size) > limits.hashSizeMax, bytes.count == limits.sizeMax { break }
        }
        return FileContents(
            bytes: bytes, size: max(Int64(status.st_size), Int64(total)),
            mtime: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec),
            hash: max(Int(status.st_size), total) <= limits.hashSizeMax ? hash.finish() : "")
    }

    /// O_PATH | O_DIRECTORY: a folder to look things up in, even one that must not be listed. O_PATH is not in the C library's Swift
    /// overlay; this is its value on every architecture that Swift runs on (asm-generic/fcntl.h).
    private static let folderOnly = 0o10000000 | O_DIRECTORY

    /// Opens folder by folder, so that no link is followed anywhere below the root. O_NONBLOCK: a FIFO in place of the file must not block.
    private static func openBelow(_ root: [UInt8], _ path: [UInt8]) throws(LambdaError) -> Int32? {
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isInside = !path.contains(0) && parts.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
        guard isInside else { throw .fatal("payload: \(quoted(path)) is not a path below the root") }
        var folder = openFile(AT_FDCWD, root, folderOnly)
        guard folder >= 0 else { throw failure("open of the root", root) }
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            let next = openFile(folder, Array(part), isLast ? O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY : folderOnly | O_NOFOLLOW)
            let code = errno
            close(folder)
            guard next >= 0 else {
                switch code {
                // Not there, or something else took its place: a link (ELOOP; ENOTDIR with O_DIRECTORY), a socket (ENXIO).
                case ENOENT, ENOTDIR, ELOOP, ENXIO: return nil
                default: throw failure("open", path, code)
                }
            }
            folder = next
        }
        return folder
    }

    private static func openFile(_ folder: Int32, _ name: [UInt8], _ flags: Int32) -> Int32 {
        (name + [0]).withUnsafeBytes { openat(folder, $0.baseAddress!.assumingMemoryBound(to: CChar.self), flags | O_CLOEXEC) }
    }

    private static func failure(_ call: String, _ path: [UInt8], _ code: Int32 = errno) -> LambdaError {
        .retry("\(call): \(quoted(path)): \(String(cString: strerror(code)))")
    }

    private static func quoted(_ path: [UInt8]) -> String { "\"\(String(decoding: path, as: UTF8.self))\"" }
}
