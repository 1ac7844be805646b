import Glibc
import Synchronization

/// Payloads too large for a batch row: one file each in `payloads/`, named by number, whole and synced before any row names it. Any thread.
final class PayloadFiles: Sendable {
    private let directory: String
    private let next: Mutex<UInt64>
    private let hasher: IDHasher
    /// Hashes of payloads that were stored lately, until their events are numbered.
    private let hashes = Mutex<[UInt64: IDHash]>([:])

    /// Makes the folder where there is none, removes files that no row names and what a crash left half written.
    ///
    /// - Parameter isNamed: whether a row names this number.
    init(directory: String, hasher: IDHasher, isNamed: (UInt64) throws(JournalError) -> Bool) throws(JournalError) {
        self.directory = directory
        self.hasher = hasher
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw Self.failure("make", directory) }
        chmod(directory, 0o700)
        guard let folder = opendir(directory) else { throw Self.failure("read", directory) }
        defer { closedir(folder) }
        var highest: UInt64 = 0
        var gone: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            if let number = UInt64(name) {
                highest = max(highest, number)
                if try !isNamed(number) { gone.append(name) }
            } else if name.hasSuffix(".part") {
                gone.append(name)
            }
        }
        for name in gone { unlink(directory + "/" + name) }
        next = Mutex(highest + 1)
    }

    /// Makes sure that `number` is not given out again.
    func reserve(upTo number: UInt64) { next.withLock { $0 = max($0, number + 1) } }

    /// Writes a payload, synced, and returns its number. Blocks.
    func store(_ payload: UnsafeRawBufferPointer) throws(JournalError) -> UInt64 {
        let number = next.withLock { next in
            defer { next += 1 }
            return next
        }
        let path = directory + "/\(number)"
        let part = path + ".part"
        let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("make", part) }
        var isWritten = true
        var at = 0
        while at < payload.count {
            let count = write(descriptor, payload.baseAddress! + at, payload.count - at)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                isWritten = false
                break
            }
            at += count
        }
        isWritten = isWritten && fdatasync(descriptor) == 0
        let error = isWritten ? nil : Self.failure("write", part)
        close(descriptor)
        if let error {
            unlink(part)
            throw error
        }
        guard rename(part, path) == 0 else { throw Self.failure("rename", part) }
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Self.failure("open", directory) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw Self.failure("sync", directory) }
        let hash = hasher.payload(payload)
        hashes.withLock {
            if $0.count >= 4096 { $0.removeAll() }
            $0[number] = hash
        }
        return number
    }

    /// The hash of a payload: the same for the same bytes, whatever file they lie in.
    func hash(_ number: UInt64) throws(JournalError) -> IDHash {
        if let known = hashes.withLock({ $0.removeValue(forKey: number) }) { return known }
        return try load(number).withUnsafeBytes { hasher.payload($0) }
    }

    /// Reads a payload.
    func load(_ number: UInt64) throws(JournalError) -> [UInt8] {
        let path = directory + "/\(number)"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT {
                throw JournalError(.unknown, "payload file \(path) is not there: its event was trimmed, or the file was removed")
            }
            throw Self.failure("open", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure("read", path) }
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let got = Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
                if got < 0, errno == EINTR { continue }
                failed = got < 0
                guard got > 0 else { return }
                count += got
            }
        }
        if failed { throw Self.failure("read", path) }
        return bytes
    }

    /// Removes a payload that no row names any more.
    func remove(_ number: UInt64) { unlink(directory + "/\(number)") }

    private static func failure(_ what: String, _ path: String) -> JournalError {
        let code = errno
        let isFull = code == ENOSPC || code == EDQUOT || code == EFBIG
        return JournalError(isFull ? .full : .failed, "cannot \(what) \(path): \(String(cString: strerror(code)))")
    }
}
