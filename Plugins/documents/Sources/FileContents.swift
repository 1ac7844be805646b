internal import CapeletSDK

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// The bytes of a file below a root, up to a limit, and what the system says about it.
struct FileContents {
    /// At most the limit that was asked for.
    let bytes: [UInt8]
    /// Bytes in the file.
    let size: Int64
    /// Nanoseconds since 1970.
    let mtime: Int64

    /// Whether the file has more bytes than were read.
    var isCut: Bool { size > Int64(bytes.count) }

    /// Reads `path` below `root`, without following a symbolic link on the way. Nil if there is no such regular file any more. Errors
    /// that may pass (permissions, no descriptors, a failing disk) are thrown as retries; a path that leads out of the root is fatal.
    static func load(root: [UInt8], path: [UInt8], sizeMax: Int, isCancelled: () -> Bool) throws(LambdaError) -> FileContents? {
        guard let descriptor = try openBelow(root, path) else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("fstat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }

        // One byte more than the size, so that the end is seen without another turn.
        var bytes = [UInt8](repeating: 0, count: min(sizeMax, max(Int(status.st_size) + 1, 4096)))
        var count = 0
        while true {
            if isCancelled() { throw .retry("cancelled") }
            if count == bytes.count {
                guard count < sizeMax else { break }
                bytes.append(contentsOf: repeatElement(0, count: min(count, sizeMax - count)))
            }
            let got = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + count, min($0.count - count, 1 << 20)) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failure("read", path) }
            if got == 0 { break }
            count += got
        }
        bytes.removeLast(bytes.count - count)
        let mtime = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        return FileContents(bytes: bytes, size: max(Int64(status.st_size), Int64(count)), mtime: mtime)
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
