internal import Glibc

extension WorkerHandle {
    /// What it has of the memory that `memory` limits, in bytes; nil: not known now.
    ///
    /// Under RLIMIT_DATA that is private writable memory, whether it was touched or not. /proc/PID/statm has it together with the main thread's stack, and
    /// costs a tenth of /proc/PID/status, which has it apart; a stack is small beside any limit that makes sense.
    func limitedMemoryBytes() -> UInt64? {
        guard pid > 0, state != .dead else { return nil }
        let file = open("/proc/\(pid)/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            let count = read(file, buffer.baseAddress!, buffer.count)
            guard count > 0 else { return nil }
            let fields = buffer[..<count].split(separator: UInt8(ascii: " "))
            guard fields.count >= 6, let pages = UInt64(String(decoding: fields[5], as: UTF8.self)) else { return nil }
            return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        }
    }
}
