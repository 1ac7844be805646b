import CLibC

/// Starts this executable again as a template, or as a worker that loads its plugin itself.
///
/// The program is executed anew, not only forked, because the environment has to be in force from the start: glibc reads GLIBC_TUNABLES
/// before anything else runs.
struct KeeperLaunch {
    let mode: StaticString
    /// From LOAD: names, limits, environment.
    let settings: Settings
    /// From SPAWN: what goes before the above. `.empty` for a template.
    let more: Settings
    let output: Int32
    let errors: Int32
    /// They become 3, 4, 5 and so on in the new process. -1: leave that number closed.
    let descriptors: [Int32]

    /// Files `cgroup.procs` of the control groups that the new process is to be in.
    var groups: [Int32] = []

    /// Returns the pid, or a negative errno.
    func start() -> pid_t {
        let keeper = getpid()
        let environment = makeEnvironment()
        let arguments = makeArguments(keeper: keeper)
        let pid = fork()
        if pid == 0 { become(arguments: arguments, environment: environment) }
        let error = capelet_linux_errno()
        release(arguments)
        release(environment)
        return pid > 0 ? pid : -error
    }

    private typealias CStrings = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    /// What follows the mode is for `ps` alone, save the keeper's pid.
    private func makeArguments(keeper: pid_t) -> CStrings {
        var number: Text = []
        number.append(number: Int(keeper))
        var mode: Text = []
        mode.append(self.mode)
        return makeStrings([Text.of("capelet-worker"), mode, number, settings.text("plugin"), settings.text("generation")])
    }

    private func makeEnvironment() -> CStrings {
        var variables: [Text] = []
        var names: [Text] = []
        func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            if name.isEmpty || name.contains(UInt8(ascii: "=")) || name.contains(0) || value.contains(0) { return }
            for known in names where known.withUnsafeBytes({ $0.equals(name) }) { return }
            var variable: Text = []
            variable.append(name)
            names.append(variable)
            variable.append("=")
            variable.append(value)
            variables.append(variable)
        }
        // The first of a name wins: a worker's settings, then its plugin's, then ours.
        more.forEach(prefix: "environment.", add)
        settings.forEach(prefix: "environment.", add)
        for (name, value) in Self.ownVariables {
            add(
                UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount),
                UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
        }
        return makeStrings(variables)
    }

    /// What every process that loads a plugin has in its environment, unless its settings say otherwise.
    ///
    /// - SWIFT_BACKTRACE: the Swift runtime's crash handler would start a process at a crash.
    /// - GLIBC_TUNABLES: room for the thread-local storage of libraries that are loaded late; without it the seventh with 256 bytes fails.
    static let ownVariables: [(StaticString, StaticString)] = [
        ("SWIFT_BACKTRACE", "enable=no"),
        ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536"),
    ]

    private func makeStrings(_ texts: [Text]) -> CStrings {
        let strings = CStrings.allocate(capacity: texts.count + 1)
        for (i, text) in texts.enumerated() { strings[i] = text.withCString { strdup($0) } }
        strings[texts.count] = nil
        return strings
    }

    private func release(_ strings: CStrings) {
        var i = 0
        while let string = strings[i] {
            free(string)
            i += 1
        }
        strings.deallocate()
    }

    /// In the child, until the program is executed.
    private func become(arguments: CStrings, environment: CStrings) -> Never {
        capelet_linux_reset_signals()
        setpgid(0, 0)
        // 0 stands for whoever writes it.
        for group in groups { _ = write(group, "0", 1) }
        // First out of the way of the numbers that they are to have, then to their places.
        let null = capelet_linux_open("/dev/null", O_RDWR)
        let input = capelet_linux_duplicate_above(null, 64)
        let output = self.output >= 0 ? capelet_linux_duplicate_above(self.output, 64) : input
        let errors = self.errors >= 0 ? capelet_linux_duplicate_above(self.errors, 64) : input
        let raised = descriptors.map { $0 >= 0 ? capelet_linux_duplicate_above($0, 64) : -1 }
        dup2(input, 0)
        dup2(output, 1)
        dup2(errors, 2)
        for (i, descriptor) in raised.enumerated() {
            if descriptor >= 0 { dup2(descriptor, 3 + Int32(i)) } else { close(3 + Int32(i)) }
        }
        capelet_linux_close_from(UInt32(3 + raised.count))
        Confinement.applyStackLimit(settings)
        Confinement.applyStackLimit(more)
        execve("/proc/self/exe", arguments, environment)
        fail("/proc/self/exe cannot be executed; /proc has to be mounted", status: 127)
    }
}
