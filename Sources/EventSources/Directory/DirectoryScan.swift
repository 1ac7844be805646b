internal import CLinux
internal import Glibc

/// A walk over a directory and everything below it, in steps, one directory open at a time. Then what it has not seen is looked at.
struct DirectoryScan: ~Copyable {
    /// What a step came by.
    enum Step {
        /// A regular file.
        case file(RelativePath, Observation, Moment)
        /// A directory that was opened, to be watched before it is read.
        case directory(RelativePath, Int32)
        /// A directory that cannot be read (further), for this errno.
        case unreadable(RelativePath, Int32)
        /// A path that is too long.
        case tooLong(RelativePath)
        /// Something of no interest.
        case other
        /// Everything was read.
        case end
    }

    /// Where it began; empty: everything.
    let path: RelativePath
    /// Its number (`ChangeDetector.beginScan`).
    let number: UInt32
    /// When it began, monotonic.
    let began: Int64
    var files = 0
    var directories = 0
    var unreadable = 0
    /// What it has not seen, once it has read everything, and how much of that is done with.
    var unseen: [Catalog.NodeID]?
    var swept = 0

    private var waiting: [RelativePath]
    private var current: (path: RelativePath, handle: OpaquePointer)?

    init(path: RelativePath, number: UInt32, began: Int64) {
        self.path = path
        self.number = number
        self.began = began
        waiting = [path]
    }

    deinit {
        if let current { closedir(current.handle) }
    }

    /// Goes on by one entry.
    mutating func step(_ tree: inout DirectoryTree) -> Step {
        guard let current else {
            guard let next = waiting.popLast() else { return .end }
            return open(next, &tree)
        }
        var name: UnsafePointer<CChar>?
        var kind: Int32 = 0
        let result = capelet_linux_next_entry(current.handle, &name, &kind)
        guard result > 0, let name else {
            closedir(current.handle)
            self.current = nil
            if result == 0 { return .other }
            unreadable += 1
            return .unreadable(current.path, -result)
        }
        if kind == Int32(CAPELET_LINUX_ENTRY_OTHER) { return .other }
        var path = current.path
        if !path.isEmpty { path.append(UInt8(ascii: "/")) }
        path.append(contentsOf: UnsafeRawBufferPointer(start: name, count: strlen(name)))
        guard path.count <= SubjectEncoding.pathBytesMax else { return .tooLong(path) }
        if kind == Int32(CAPELET_LINUX_ENTRY_DIRECTORY) {
            waiting.append(path)
            return .other
        }
        let moment = Moment.now()
        switch DirectoryTree.look(directory: dirfd(current.handle), name: name) {
        case .directory:
            waiting.append(path)
            return .other
        case .seen(.absent): return .other
        case .seen(let observation):
            files += 1
            return .file(path, observation, moment)
        case .failed(let error): return .unreadable(current.path, error)
        }
    }

    private mutating func open(_ path: RelativePath, _ tree: inout DirectoryTree) -> Step {
        let descriptor = tree.openDirectory(path)
        guard descriptor >= 0 else {
            if DirectoryTree.isAbsence(-descriptor) { return .other }
            unreadable += 1
            return .unreadable(path, -descriptor)
        }
        guard let handle = fdopendir(descriptor) else {
            let error = errno
            close(descriptor)
            unreadable += 1
            return .unreadable(path, error)
        }
        current = (path, handle)
        directories += 1
        return .directory(path, descriptor)
    }
}

extension Moment {
    /// The present.
    static func now() -> Moment { Moment(monotonic: nanos(CLOCK_MONOTONIC), wall: nanos(CLOCK_REALTIME_COARSE)) }

    static func nanos(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
