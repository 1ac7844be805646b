internal import CLinux
internal import Glibc

/// Starting a child of the host's own.
enum ChildProcess {
    /// Starts a process with these descriptors as 0 to 3 (-1: /dev/null, for 3: none) and nothing else of the host. Returns 0 or an errno.
    static func spawn(
        _ path: String, arguments: [String], environment: [String: String], descriptors: [Int32], pid: inout pid_t, pidfd: inout Int32
    ) -> Int32 {
        precondition(descriptors.count == 4)
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for pointer in argv { free(pointer) }
            for pointer in envp { free(pointer) }
        }
        return capelet_linux_spawn(path, &argv, &envp, nil, descriptors, &pid, &pidfd)
    }
}
