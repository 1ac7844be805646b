import CLibC

/// `capelet-worker probe USER`: finds out what this machine lets a process give up, by trying it in processes that are thrown away.
///
/// USER is a user id that workers may get. Output, exit status 0: one line for each mechanism, its name and 0, or the errno of the attempt; for
/// `landlock` the version or a negative errno.
///
///     landlock 7
///     seccomp 0
///     user 1                 becoming that user
///     namespaces 1           pid, mount, network, ipc, with covers and /proc, as the user that we are
///     user-namespace 0
///     user-namespaces 0      the namespaces above, within a user namespace
///     end
enum Probe {
    /// Nothing here takes longer, unless the machine is stuck.
    private static let secondsMax: UInt32 = 20

    static func run(user: UInt32) -> Never {
        alarm(secondsMax)
        var text: Text = []
        func add(_ name: StaticString, _ value: Int32) {
            text.append(name)
            text.append(" ")
            text.append(number: Int(value))
            text.append("\n")
        }
        add("landlock", capelet_linux_landlock_version())
        add("seccomp", -capelet_linux_seccomp_available())
        add("user", attempt { capelet_linux_become_user(user) })
        add("namespaces", attempt { tryNamespaces() })
        add("user-namespace", attempt { capelet_linux_enter_user_namespace() })
        add(
            "user-namespaces",
            attempt {
                let error = capelet_linux_enter_user_namespace()
                return error != 0 ? error : tryNamespaces()
            })
        text.append("end\n")
        writeAll(1, text)
        exit(0)
    }

    /// Runs `body`, which returns 0 or a negative errno, in a process of its own. Returns 0 or an errno.
    private static func attempt(_ body: () -> Int32) -> Int32 {
        let child = fork()
        if child < 0 { return capelet_linux_errno() }
        if child == 0 {
            _ = capelet_linux_die_with_parent()
            _exit(-body())
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && capelet_linux_errno() == EINTR {}
        // Killed: by a filter, most likely.
        return status & 0x7f == 0 ? status >> 8 & 0xff : EPERM
    }

    private static func tryNamespaces() -> Int32 {
        let flags = CAPELET_LINUX_NEW_PID | CAPELET_LINUX_NEW_MOUNT | CAPELET_LINUX_NEW_NETWORK | CAPELET_LINUX_NEW_IPC
        let error = capelet_linux_unshare(Int32(flags))
        if error != 0 { return error }
        // As process 1, which mounts that namespace's /proc.
        return -attempt {
            let shown = capelet_linux_open_path("/usr")
            var error = capelet_linux_make_mounts_private()
            if error == 0 { error = capelet_linux_cover("/tmp") }
            if error == 0 && mkdir("/tmp/shown", 0o755) != 0 { error = -capelet_linux_errno() }
            if error == 0 { error = capelet_linux_bind(shown, "/tmp/shown") }
            if error == 0 { error = capelet_linux_freeze_cover("/tmp") }
            if error == 0 { error = capelet_linux_mount_proc() }
            return error
        }
    }
}
