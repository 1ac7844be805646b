import CLinux
import Frontend
import Glibc
import Logging

/// The data directory belongs to the host's user and to nobody else.
enum DataDirectory {
    /// Makes it (mode 0700), or looks whether it is right: takes away what others may do with a directory that is empty or has a journal; refuses
    /// any other that others can enter, and one that belongs to somebody else.
    static func prepare(_ path: String, logger: Logger) throws {
        try make(path)
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw error("cannot open the data directory \(path): \(reason())") }
        defer { close(directory) }
        var status = stat()
        guard fstat(directory, &status) == 0 else { throw error("cannot look at the data directory \(path): \(reason())") }
        guard status.st_uid == geteuid() else {
            throw error(
                "the data directory \(path) belongs to user \(status.st_uid), and the host runs as user \(geteuid()): whoever owns it owns the "
                    + "host. Run: chown -R \(geteuid()) '\(path)', or choose another `data:`")
        }
        guard status.st_mode & 0o077 != 0 else { return }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        guard isOurs(path) else {
            throw error(
                "the data directory \(path) has mode \(mode), so that others can enter it, and holds other things than a journal. Run: chmod 700 "
                    + "'\(path)', or choose another `data:`")
        }
        guard fchmod(directory, 0o700) == 0 else {
            throw error("the data directory \(path) has mode \(mode), so that others can enter it, and cannot be changed: \(reason())")
        }
        logger.notice("the data directory \(path) had mode \(mode); it is 700 now, for the host's user only")
    }

    /// With all folders above it, which are for everybody.
    private static func make(_ path: String) throws {
        var at = ""
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            at += "/" + part
            if mkdir(at, index == parts.count - 1 ? 0o700 : 0o755) == 0 || errno == EEXIST { continue }
            // Folders above it that exist may be such that nothing can be made in them.
            let cause = reason()
            var status = stat()
            if stat(at, &status) != 0 { throw error("cannot make the data directory \(path): \(at): \(cause)") }
        }
    }

    /// Whether a directory is empty or has a journal in it. Anything else may be a folder that others need, such as /tmp.
    private static func isOurs(_ path: String) -> Bool {
        if access(path + "/journal.sqlite", F_OK) == 0 { return true }
        guard let folder = opendir(path) else { return false }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if ![".", "..", "lost+found"].contains(name) { return false }
        }
        return true
    }

    private static func reason() -> String { String(cString: strerror(errno)) }

    private static func error(_ message: String) -> ControlError { ControlError(.unavailable, message) }
}
