import Glibc

/// Holds the data directory for this process: an exclusive lock on the file `lock` in it, which the kernel takes back when the process ends,
/// however it ends.
struct DirectoryLock: ~Copyable {
    private let descriptor: Int32

    /// Makes the directory (mode 0700) where there is none and locks it, or says who has it.
    init(directory: String) throws(JournalError) {
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw JournalError(.failed, "data directory \(directory) cannot be made: \(String(cString: strerror(errno)))")
        }
        let path = directory + "/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw JournalError(.failed, "\(path) cannot be opened: \(String(cString: strerror(errno)))") }
        guard Self.lock(descriptor) else {
            var text = [UInt8](repeating: 0, count: 32)
            let count = max(0, pread(descriptor, &text, 31, 0))
            let holder = String(decoding: text[0..<count].prefix { $0 >= 0x30 && $0 <= 0x39 }, as: UTF8.self)
            close(descriptor)
            throw JournalError(
                .inUse,
                "data directory \(directory) is in use by process \(holder.isEmpty ? "unknown" : holder); stop it or choose another `data:`"
            )
        }
        let text = Array("\(getpid())\n".utf8)
        ftruncate(descriptor, 0)
        pwrite(descriptor, text, text.count, 0)
        self.descriptor = descriptor
    }

    /// Tries for a fifth of a second: a host that was killed while it started a process leaves the lock to that process until it runs another
    /// program, which closes it.
    private static func lock(_ descriptor: Int32) -> Bool {
        for _ in 0..<20 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            usleep(10_000)
        }
        return false
    }

    deinit {
        // Not only by closing, for the same reason.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
