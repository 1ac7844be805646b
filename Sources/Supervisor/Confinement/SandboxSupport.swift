internal import CLinux
internal import Glibc
internal import WorkerProtocol

/// What this machine lets a sandbox use, found out at the start of the host by trying it (`capelet-worker probe`).
public struct SandboxSupport: Sendable, Equatable {
    /// Version of Landlock; 0: there is none.
    public var landlock = 0
    /// Whether filters of system calls can be put in force.
    public var seccomp = false
    /// Whether the host is root and can become other users. nil: yes; else why not.
    public var noUsers: String? = "not tried"
    /// Namespaces for pids, mounts, network and ipc, with /proc, as the user that the host is. nil: yes; else why not.
    public var noNamespaces: String? = "not tried"
    /// User namespaces. nil: yes; else why not.
    public var noUserNamespace: String? = "not tried"
    /// The namespaces above within a user namespace. nil: yes; else why not.
    public var noUserNamespaces: String? = "not tried"
    /// Whether the host is root.
    public var isRoot = getuid() == 0

    /// Nothing at all.
    public init() {}

    /// Tries everything. Blocking; some milliseconds.
    ///
    /// - Parameter user: a user id that workers may get.
    public init(executable: String, user: UInt32) {
        do throws(SystemCallError) {
            self.init(parsing: try Self.run(executable, user: user))
        } catch {
            self.init()
            for path in [\SandboxSupport.noUsers, \.noNamespaces, \.noUserNamespace, \.noUserNamespaces] {
                self[keyPath: path] = "it could not be tried: \(error)"
            }
        }
    }

    /// From the output of `capelet-worker probe`.
    init(parsing text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let value = Int32(parts[1]) else { continue }
            let reason = value == 0 ? nil : SystemCallError.text(value)
            switch parts[0] {
            case "landlock": landlock = Int(max(value, 0))
            case "seccomp": seccomp = value == 0
            case "user": noUsers = isRoot ? reason : "the host is not root"
            case "namespaces": noNamespaces = reason
            case "user-namespace": noUserNamespace = reason
            case "user-namespaces": noUserNamespaces = reason
            default: break
            }
        }
    }

    /// Why `strict` cannot be had; nil: it can.
    var noStrict: String? {
        if let noStandard { return noStandard }
        if isRoot {
            if let noUsers { return "no user ids of their own for workers (\(noUsers))" }
            return noNamespaces.map { "no namespaces (\($0))" }
        }
        return noUserNamespaces.map { "no namespaces for an ordinary user (\($0))" }
    }

    /// Why `standard` cannot be had; nil: it can.
    var noStandard: String? {
        if landlock == 0 { return "the kernel has no Landlock (Linux 5.13 or newer, and `landlock` in the list of security modules)" }
        return seccomp ? nil : "the kernel has no filters of system calls"
    }

    private static func run(_ executable: String, user: UInt32) throws(SystemCallError) -> String {
        var output: [Int32] = [-1, -1]
        var code = capelet_linux_pipe(&output)
        if code != 0 { throw SystemCallError("pipe", code: code) }
        defer { capelet_linux_close(output[0]) }
        var pid: pid_t = 0
        var pidfd: Int32 = -1
        code = ChildProcess.spawn(
            executable, arguments: ["capelet-worker", "probe", String(user)], environment: WorkerEnvironment.base(),
            descriptors: [-1, output[1], -1, -1], pid: &pid, pidfd: &pidfd)
        capelet_linux_close(output[1])
        if code != 0 { throw SystemCallError("start \(executable)", code: code) }
        defer { capelet_linux_close(pidfd) }
        // It ends itself after 20 s.
        var wait = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        while poll(&wait, 1, 30_000) < 0, errno == EINTR {}
        _ = capelet_linux_pidfd_signal(pidfd, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(output[0], &buffer, buffer.count)
        guard count > 0 else { throw SystemCallError("\(executable) says nothing of what this machine can", code: EIO) }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}
