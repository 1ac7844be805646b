internal import CLinux
internal import Glibc

/// The inotify watches of a source: which directory each stands for, and what their events say. Owned by one thread.
///
/// A watch stays with its directory when that is moved; its path here is then wrong until the scan that follows a move watches it again. All
/// that a wrong path can do is to have a path looked at in vain.
struct DirectoryWatches: ~Copyable {
    /// One event.
    struct Event {
        /// The directory or, with a name, what is in it. Empty: the root.
        var path: RelativePath
        /// IN_… bits.
        var mask: UInt32
        /// Pairs the two events of a move.
        var cookie: UInt32
        /// Whether it is about an entry of a watched directory.
        var hasName: Bool

        var isDirectory: Bool { mask & UInt32(IN_ISDIR) != 0 }
        func has(_ bits: Int32...) -> Bool { bits.contains { mask & UInt32(bitPattern: $0) != 0 } }
    }

    private struct Watch {
        var path: RelativePath
        var scan: UInt32
    }

    /// The inotify instance; negative: none (errno).
    private(set) var descriptor: Int32 = -1
    /// Why directories are not watched: errno of the last refusal since the last whole scan; 0: all are.
    private(set) var shortage: Int32 = 0
    private let limit: Int
    private var byNumber: [Int32: Watch] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)

    /// - Parameter limit: watches beyond are refused as the kernel would; for tests, since the kernel's limit is everybody's.
    init(limit: Int = .max) { self.limit = limit }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        buffer.deallocate()
    }

    var count: Int { byNumber.count }

    /// Drops all watches and all events.
    mutating func open() {
        if descriptor >= 0 { close(descriptor) }
        byNumber = [:]
        descriptor = capelet_linux_inotify_open()
        shortage = descriptor < 0 ? -descriptor : 0
    }

    /// Watches an open directory.
    mutating func watch(_ directory: Int32, path: RelativePath, scan: UInt32) {
        guard descriptor >= 0 else { return }
        var number = capelet_linux_inotify_watch(descriptor, directory)
        if number >= 0, byNumber.count >= limit, byNumber[number] == nil {
            inotify_rm_watch(descriptor, number)
            number = -ENOSPC
        }
        if number >= 0 {
            byNumber[number] = Watch(path: path, scan: scan)
        } else if number != -ENOENT && number != -ENOTDIR {
            shortage = -number
        }
    }

    /// A whole scan begins: what it cannot watch counts anew; without an instance, one is tried for.
    mutating func beginScan() {
        if descriptor < 0 { open() } else { shortage = 0 }
    }

    /// A whole scan has ended: directories that it did not come by are not below the root any more.
    mutating func endScan(_ scan: UInt32) {
        for (number, watch) in byNumber where watch.scan < scan {
            inotify_rm_watch(descriptor, number)
            byNumber[number] = nil
        }
    }

    /// Reads events until there are none, at most `limit` buffers; returns whether there may be more.
    mutating func drain(limit: Int, _ body: (Event) -> Void) -> Bool {
        guard descriptor >= 0 else { return false }
        for _ in 0..<limit {
            let size = read(descriptor, buffer.baseAddress!, buffer.count)
            guard size > 0 else { return false }
            var at = 0
            while at + MemoryLayout<inotify_event>.size <= size {
                let header = UnsafeRawPointer(buffer.baseAddress! + at).assumingMemoryBound(to: inotify_event.self).pointee
                let name = buffer.baseAddress! + at + MemoryLayout<inotify_event>.size
                at += MemoryLayout<inotify_event>.size + Int(header.len)
                let length = header.len == 0 ? 0 : strnlen(name.assumingMemoryBound(to: CChar.self), Int(header.len))
                if header.mask & UInt32(IN_Q_OVERFLOW) != 0 {
                    body(Event(path: [], mask: header.mask, cookie: 0, hasName: false))
                    continue
                }
                guard let watch = byNumber[header.wd] else { continue }
                var path = watch.path
                if length > 0 {
                    if !path.isEmpty { path.append(UInt8(ascii: "/")) }
                    path.append(contentsOf: UnsafeRawBufferPointer(start: name, count: length))
                }
                if header.mask & UInt32(IN_IGNORED) != 0 { byNumber[header.wd] = nil }
                body(Event(path: path, mask: header.mask, cookie: header.cookie, hasName: length > 0))
            }
        }
        return true
    }
}
