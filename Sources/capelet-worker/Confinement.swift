import CLibC

/// What a process of a plugin gives up before any code of the plugin runs in it. The order is that of ISOLATION §1: a load-time constructor
/// may patch libc, so nothing that is called after `dlopen` can be relied on.
enum Confinement {
    /// Applies the limits of `settings`; soft and hard, so that the plugin cannot raise them. Limits are only ever lowered, so calling this
    /// again with a worker's own settings tightens those of its template.
    static func applyLimits(_ settings: Settings) {
        _ = capelet_linux_limit(Int32(CAPELET_LINUX_LIMIT_CORE), 0, 0)
        apply(settings, "limit.data", CAPELET_LINUX_LIMIT_DATA)
        apply(settings, "limit.address", CAPELET_LINUX_LIMIT_ADDRESS)
        apply(settings, "limit.files", CAPELET_LINUX_LIMIT_FILES)
        apply(settings, "limit.file-size", CAPELET_LINUX_LIMIT_FILE_SIZE)
        apply(settings, "limit.stack", CAPELET_LINUX_LIMIT_STACK)
        apply(settings, "limit.processes", CAPELET_LINUX_LIMIT_PROCESSES)
        // Soft: SIGXCPU, whose default action ends the process. Hard: SIGKILL, for one that handles SIGXCPU.
        apply(settings, "limit.cpu", CAPELET_LINUX_LIMIT_CPU, grace: 2)
    }

    private static func apply(_ settings: Settings, _ key: StaticString, _ kind: Int, grace: UInt64 = 0) {
        if let value = settings.number(key) { _ = capelet_linux_limit(Int32(kind), value, grace) }
    }

    /// What the stack limit has to be when the program starts: it decides where the kernel puts maps, and how large threads' stacks are.
    static func applyStackLimit(_ settings: Settings) {
        apply(settings, "limit.stack", CAPELET_LINUX_LIMIT_STACK)
    }

    /// Ends with the keeper, whose pid is `keeper`. It may have died between the fork and this call: then the process ends here.
    static func dieWith(keeper: pid_t) {
        _ = capelet_linux_die_with_parent()
        if getppid() != keeper { _exit(0) }
    }

    /// When memory runs out, the kernel is to pick this process, not the host.
    static func offerToOutOfMemoryKiller() {
        let present = readSmallFile("/proc/self/oom_score_adj").withUnsafeBytes { bytes in
            UnsafeRawBufferPointer(rebasing: bytes.prefix { $0 != UInt8(ascii: "\n") }).number ?? 0
        }
        if present >= 500 { return }
        let descriptor = capelet_linux_open("/proc/self/oom_score_adj", O_WRONLY)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, "500", 3)
        close(descriptor)
    }

    /// All of the above, in order, and the sandbox, for a process that is about to load a plugin. nil: it is done; else why not.
    ///
    /// - Parameters:
    ///   - firstUnused: descriptors from here on are closed.
    ///   - forks: see `Sandbox.enter`.
    static func enter(settings: Settings, keeper: pid_t, firstUnused: UInt32, forks: Bool) -> Text? {
        applyLimits(settings)
        if let levels = settings.number("nice") { _ = capelet_linux_nice(Int32(truncatingIfNeeded: levels)) }
        dieWith(keeper: keeper)
        capelet_linux_close_from(firstUnused)
        offerToOutOfMemoryKiller()
        _ = capelet_linux_no_new_privileges()
        if let failure = Sandbox(settings: settings).enter(forks: forks) { return failure }
        // The change of user has cleared it.
        dieWith(keeper: keeper)
        return nil
    }
}
