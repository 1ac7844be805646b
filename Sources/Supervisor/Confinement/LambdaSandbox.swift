public import Routing

/// How one lambda's processes are really confined: the tier in force and everything it consists of. Two lambdas can share a template only when
/// this is the same.
public struct LambdaSandbox: Sendable, Hashable {
    /// The tier that is in force.
    public var tier = SandboxTier.off
    /// What it consists of, in words, for the status: `Landlock 7`, `seccomp`, …
    public var mechanisms: [String] = []
    /// What the routing file asks for and this machine does not give, and why.
    public var lacks: [String] = []

    /// The user id that its processes get; nil: the host's.
    var user: UInt32?
    var userNamespace = false
    var noCapabilities = false
    /// Namespaces that the keeper enters: `user`, `pid`, `mount`, `network`, `ipc`, `proc`.
    var namespaces: [String] = []
    /// Folders that are covered.
    var covers: [String] = []
    /// Paths below them that can be seen.
    var shows: [String] = []
    /// Version of Landlock; 0: no rules.
    var landlock = 0
    var readable: [String] = []
    var writable: [String] = []
    var usable: [String] = []
    var network = true
    var filter: SystemCallFilter?
    /// Whether its processes can send signals to themselves only.
    var ownSignals = false
    /// No template: each worker loads the plugin for itself, with everything in force.
    var isExec = false
    /// Processes that it may start, at a time.
    var processes = 0
    /// RLIMIT_NPROC; nil: none, since it would count what belongs to others.
    var processesLimit: Int?
    /// Levels of priority below the host's.
    var nice = 0

    /// Threads of one worker, where they are counted.
    static let threadsMax = 256
    /// The generation's folder, where the keeper puts it for whoever loads the plugin: it can be opened whatever covers its path.
    static let generationPath = "/proc/self/fd/4"

    /// Limits only.
    public init() {}

    /// Adds all of it as settings for a keeper, or for a process that describes a plugin (keeper_messages.h).
    ///
    /// - Parameter programs: where the filter's programs are, made before by `SandboxPrograms.prepare`.
    func addSettings(to settings: inout SettingsBuffer, programs: SandboxPrograms) {
        if nice > 0 { settings.add("nice", String(nice)) }
        if let user { settings.add("sandbox.user", String(user)) }
        if userNamespace { settings.add("sandbox.user-namespace", "1") }
        if noCapabilities { settings.add("sandbox.no-capabilities", "1") }
        for namespace in namespaces { settings.add("namespace.\(namespace)", "1") }
        for (index, path) in covers.enumerated() { settings.add("mount.hide.\(index)", path) }
        for (index, path) in shows.enumerated() { settings.add("mount.show.\(index)", path) }
        settings.add("landlock.version", String(landlock))
        if landlock > 0 {
            if network { settings.add("landlock.network", "1") }
            for (index, path) in readable.enumerated() { settings.add("landlock.read.\(index)", path) }
            for (index, path) in writable.enumerated() { settings.add("landlock.write.\(index)", path) }
            for (index, path) in usable.enumerated() { settings.add("landlock.use.\(index)", path) }
        }
        if let filter, let program = programs[filter] {
            settings.add("seccomp.base", bytes: program.base)
            settings.add("seccomp.worker", bytes: program.worker)
        }
        if ownSignals { settings.add("seccomp.signals", "1") }
        if let processesLimit { settings.add("limit.processes", String(processesLimit)) }
    }
}
