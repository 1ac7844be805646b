internal import CLinux
internal import CSeccomp
internal import Glibc
internal import WorkerProtocol

/// Filters of system calls for workers, made by libseccomp into programs for the kernel (ISOLATION §2).
///
/// Allowed is what is not named here, so that a new libc or runtime works. Named is what changes other processes or the machine, what escapes
/// the limits, and what reaches parts of the kernel that handlers do not need. Libraries try some calls and do without: those fail with ENOSYS,
/// as on a kernel that has no such call. What nobody calls by accident ends the process, with verdict `seccomp`.
struct SystemCallFilter: Sendable, Hashable {
    /// Internet sockets are allowed, and those that name resolution needs.
    var network = false
    /// Unix sockets are allowed too: where the host's own, and those of the host's user, cannot be reached by their paths.
    var unixSockets = false
    /// Processes may be started.
    var processes = false

    /// Ends the process.
    static let deadly = [
        "ptrace", "bpf", "mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
        "mount_setattr", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff",
        "acct", "quotactl", "quotactl_fd", "settimeofday", "clock_settime", "clock_settime64", "stime", "iopl", "ioperm",
    ]
    /// As if the kernel did not have them: libraries do without.
    static let absent = ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"]
    /// Refused with EPERM.
    static let refused = [
        // Other processes' memory, descriptors and places.
        "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp", "move_pages",
        "migrate_pages",
        "perf_event_open", "userfaultfd",
        // Other namespaces and roots.
        "unshare", "setns", "chroot", "name_to_handle_at", "open_by_handle_at", "sethostname", "setdomainname", "vhangup",
        // What outlives the process and escapes its limits.
        "shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semctl", "mq_open",
        "mq_unlink", "add_key", "request_key", "keyctl",
        // Parts of the kernel that handlers do not need.
        "fanotify_init", "fanotify_mark", "lookup_dcookie", "nfsservctl", "syslog", "_sysctl", "sysfs", "uselib", "ustat", "adjtimex",
        "clock_adjtime", "clock_adjtime64", "vm86", "vm86old", "modify_ldt", "ioprio_set", "mbind", "set_mempolicy",
    ]
    /// Calls whose argument of this number names a process, 0 being the caller: refused for others. A thread's own number counts as another.
    static let ownOnly: [(name: String, argument: UInt32)] = [
        ("prlimit64", 0), ("sched_setaffinity", 0), ("sched_setscheduler", 0), ("sched_setparam", 0), ("sched_setattr", 0),
        ("setpriority", 1),
        ("setpgid", 0),
    ]
    /// CLONE_THREAD and CLONE_PARENT, which glibc declares only with _GNU_SOURCE.
    private static let (cloneThread, cloneParent): (UInt64, UInt64) = (0x1_0000, 0x8000)
    static let executing = ["execve", "execveat"]
    static let forking = ["fork", "vfork"]

    /// For every process that loads or has loaded the plugin.
    func base() throws(SystemCallError) -> [UInt8] {
        try Self.program { filter throws(SystemCallError) in
            for name in Self.deadly { try filter.add(name, capelet_seccomp_kill) }
            for name in Self.absent { try filter.add(name, capelet_seccomp_errno(ENOSYS)) }
            for name in Self.refused { try filter.add(name, capelet_seccomp_errno(EPERM)) }
            for (name, argument) in Self.ownOnly {
                try filter.add(name, capelet_seccomp_errno(EPERM), [Comparison(argument, SCMP_CMP_NE, 0)])
            }
            // Typing into a terminal that it shares with somebody: TIOCSTI, TIOCLINUX.
            for request: UInt64 in [0x5412, 0x541c] {
                try filter.add("ioctl", capelet_seccomp_errno(EPERM), [Comparison(1, SCMP_CMP_MASKED_EQ, 0xffff_ffff, request)])
            }
            if !processes {
                for name in Self.executing + Self.forking { try filter.add(name, capelet_seccomp_errno(EPERM)) }
                // Threads, and the copies that a template makes, whose parent is the keeper. No other processes, no namespaces.
                let kinds = Self.cloneThread | Self.cloneParent
                try filter.add("clone", capelet_seccomp_errno(EPERM), [Comparison(0, SCMP_CMP_MASKED_EQ, kinds, 0)])
            }
            let namespaces: [UInt64] = [0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0002_0000]
            for namespace in namespaces {
                try filter.add("clone", capelet_seccomp_errno(EPERM), [Comparison(0, SCMP_CMP_MASKED_EQ, namespace, namespace)])
            }
            try addSockets(&filter)
        }
    }

    /// Sockets other than those that `network` grants. Pairs of Unix sockets reach nobody else and are always allowed.
    private func addSockets(_ filter: inout Rules) throws(SystemCallError) {
        let refusal = capelet_seccomp_errno(EACCES)
        guard network else { return try filter.add("socket", refusal) }
        // 1 Unix, 2 and 10 internet; 16 netlink, with which name resolution asks for addresses of its own (protocol 0).
        if !unixSockets { try filter.add("socket", refusal, [Comparison(0, SCMP_CMP_EQ, 1)]) }
        try filter.add("socket", refusal, [Comparison(0, SCMP_CMP_GT, 16)])
        try filter.add("socket", refusal, [Comparison(0, SCMP_CMP_EQ, 0)])
        for family: UInt64 in [3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15] {
            try filter.add("socket", refusal, [Comparison(0, SCMP_CMP_EQ, family)])
        }
        try filter.add("socket", refusal, [Comparison(0, SCMP_CMP_EQ, 16), Comparison(2, SCMP_CMP_NE, 0)])
        // Raw packets.
        for family: UInt64 in [2, 10] {
            try filter.add(
                "socket", refusal, [Comparison(0, SCMP_CMP_EQ, family), Comparison(1, SCMP_CMP_MASKED_EQ, 0xf, UInt64(SOCK_RAW.rawValue))])
        }
    }

    /// For processes that copy themselves no more: workers, and those that load a plugin to describe it.
    func worker() throws(SystemCallError) -> [UInt8] {
        try Self.program { filter throws(SystemCallError) in
            guard !processes else { return }
            try filter.add("clone", capelet_seccomp_errno(EPERM), [Comparison(0, SCMP_CMP_MASKED_EQ, Self.cloneThread, 0)])
        }
    }

    // MARK: libseccomp

    private struct Comparison {
        var argument: UInt32
        var operation: scmp_compare
        var first: UInt64
        var second: UInt64

        init(_ argument: UInt32, _ operation: scmp_compare, _ first: UInt64, _ second: UInt64 = 0) {
            self.argument = argument
            self.operation = operation
            self.first = first
            self.second = second
        }
    }

    private struct Rules {
        let context: scmp_filter_ctx

        /// Adds a rule. A call that this machine's kernel, or an old libseccomp, does not know is passed over.
        func add(_ name: String, _ action: UInt32, _ comparisons: [Comparison] = []) throws(SystemCallError) {
            let number = seccomp_syscall_resolve_name(name)
            if number == __NR_SCMP_ERROR || number < 0 { return }
            let arguments = comparisons.map { scmp_arg_cmp(arg: $0.argument, op: $0.operation, datum_a: $0.first, datum_b: $0.second) }
            let code = seccomp_rule_add_array(context, action, number, UInt32(arguments.count), arguments)
            // -EACCES: the rule is the default action's own.
            guard code == 0 || code == -EACCES else { throw SystemCallError("seccomp rule for \(name)", code: -code) }
        }
    }

    private static func program(_ body: (inout Rules) throws(SystemCallError) -> Void) throws(SystemCallError) -> [UInt8] {
        guard let context = seccomp_init(capelet_seccomp_allow) else { throw SystemCallError("seccomp_init", code: ENOMEM) }
        defer { seccomp_release(context) }
        var rules = Rules(context: context)
        try body(&rules)
        let file = capelet_linux_memfd("capelet-filter", 0)
        guard file >= 0 else { throw SystemCallError("memfd_create", code: -file) }
        defer { capelet_linux_close(file) }
        let code = seccomp_export_bpf(context, file)
        guard code == 0 else { throw SystemCallError("seccomp_export_bpf", code: -code) }
        let size = Int(lseek(file, 0, SEEK_END))
        var bytes = [UInt8](repeating: 0, count: max(size, 0))
        let read = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, 0) }
        guard read == size, size > 0 else { throw SystemCallError("read a filter", code: errno) }
        return bytes
    }
}
