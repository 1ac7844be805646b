internal import CLinux
internal import CWorkerProtocol
internal import Glibc
internal import Routing
internal import WorkerProtocol

/// What makes two lambdas share a template: the same generation and the same limits.
struct KeeperKey: Hashable {
    var plugin: String
    var generation: String
    var memoryBytes: UInt64
    var cpuSeconds: UInt64?
    var files: Int
    var fileBytes: UInt64
    var stackBytes: UInt64
    var processors: Double?
    var sandbox: LambdaSandbox

    init(_ spec: WorkerSpec) {
        plugin = spec.generation.plugin
        generation = spec.generation.id
        let limits = spec.route.limits
        memoryBytes = limits.memoryBytes
        cpuSeconds = limits.cpuLifeSecondsMax
        files = limits.files
        fileBytes = limits.fileBytes
        stackBytes = limits.stackBytes
        processors = limits.processors
        sandbox = spec.sandbox
    }

    /// What the control group of a worker, or of the template, may use. The kernel counts pages of libraries and of the channel too.
    var groupLimits: ControlGroups.Limits {
        ControlGroups.Limits(
            memoryBytes: memoryBytes + 16 << 20, tasks: LambdaSandbox.threadsMax + sandbox.processes, processors: processors)
    }

    /// The limits as settings; the same for the template and for its workers.
    func addLimits(to settings: inout SettingsBuffer) {
        settings.add("limit.data", String(memoryBytes))
        // Counts reservations, of which a Go runtime makes 1.1 GB and Swift some: a backstop only (ISOLATION §2).
        settings.add("limit.address", String(4 << 30 + 4 * memoryBytes))
        if let cpuSeconds { settings.add("limit.cpu", String(cpuSeconds)) }
        settings.add("limit.files", String(files))
        settings.add("limit.file-size", String(fileBytes))
        settings.add("limit.stack", String(stackBytes))
    }
}

/// A keeper process: the host's own child, above one template and its workers (ISOLATION §1). Belongs to the engine's thread.
final class Keeper {
    enum State: Equatable {
        /// The template loads the plugin.
        case loading
        /// Makes workers.
        case ready
        /// Its template is dead: its workers go on, no more can be made.
        case templateDead
        /// Told to end.
        case ending

        var text: String {
            switch self {
            case .loading: "loading"
            case .ready: "ready"
            case .templateDead: "template dead"
            case .ending: "ending"
            }
        }
    }

    let id: UInt64
    let key: KeeperKey
    let generation: PluginGeneration
    let pid: Int32
    let pidfd: Int32
    let socket: Int32
    var outputPipe: Int32
    var errorPipe: Int32
    var state = State.loading
    /// Threads of the template after loading; more than 1: exec mode.
    var threads = 0
    /// Living workers, asked for or started, by number.
    var workers: [UInt64: WorkerHandle] = [:]
    /// Loading: failed then. Ending: killed then.
    var deadlineMillis: Int64
    var outputLines = LogLines()
    var errorLines = LogLines()
    var errorTail = LogTail()
    /// The template's control group.
    var group: ControlGroup?
    let logGate = LogGate(bytesPerSecond: 1 << 20)
    /// How many workers it may have been asked for that it has not told of yet. Each waits in its socket and then in its memory with ten
    /// descriptors; more than these have room for would be refused.
    static let startsAskedMax = 32
    /// How many those are.
    var startsAsked: Int { workers.values.reduce(0) { $0 + ($1.pid == 0 ? 1 : 0) } }
    /// Why its end was expected; nil: it was not.
    var endReason: String?

    var mode: String {
        switch threads {
        case 0: ""
        case 1: "fork"
        default: "exec"
        }
    }

    private init(
        id: UInt64, key: KeeperKey, generation: PluginGeneration, pid: Int32, pidfd: Int32, socket: Int32, outputPipe: Int32,
        errorPipe: Int32, deadlineMillis: Int64
    ) {
        self.id = id
        self.key = key
        self.generation = generation
        self.pid = pid
        self.pidfd = pidfd
        self.socket = socket
        self.outputPipe = outputPipe
        self.errorPipe = errorPipe
        self.deadlineMillis = deadlineMillis
    }

    deinit {
        for descriptor in [pidfd, socket, outputPipe, errorPipe] where descriptor >= 0 { capelet_linux_close(descriptor) }
    }

    /// Starts a keeper and tells it to load the plugin.
    static func start(
        executable: String, id: UInt64, spec: WorkerSpec, group: ControlGroup?, nowMillis: Int64
    ) throws(SystemCallError) -> Keeper {
        let key = KeeperKey(spec)
        let generation = spec.generation
        var sockets: [Int32] = [-1, -1]
        var output: [Int32] = [-1, -1]
        var error: [Int32] = [-1, -1]
        defer {
            for descriptor in [sockets[1], output[1], error[1]] where descriptor >= 0 { capelet_linux_close(descriptor) }
        }
        func fail(_ what: String, _ code: Int32) -> SystemCallError {
            for descriptor in [sockets[0], output[0], error[0]] where descriptor >= 0 { capelet_linux_close(descriptor) }
            return SystemCallError("start a keeper for \(generation.label): \(what)", code: code)
        }
        var code = capelet_linux_seqpacket_pair(&sockets)
        if code != 0 { throw fail("socketpair", code) }
        code = capelet_linux_pipe(&output)
        if code != 0 { throw fail("pipe", code) }
        code = capelet_linux_pipe(&error)
        if code != 0 { throw fail("pipe", code) }

        var settings = SettingsBuffer()
        settings.add("library", generation.library)
        if generation.kind != .plugin { settings.add("library.kind", generation.kind.rawValue) }
        settings.add("plugin", generation.plugin)
        settings.add("generation", String(generation.number))
        if key.sandbox.isExec { settings.add("plugin.exec", "1") }
        key.addLimits(to: &settings)
        key.sandbox.addSettings(to: &settings, programs: .shared)
        let environment = WorkerEnvironment.base()
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) { settings.add("environment.\(name)", value) }
        let settingsFile: Int32
        do { settingsFile = try settings.makeDescriptor() } catch { throw fail("settings", error.code) }
        defer { capelet_linux_close(settingsFile) }
        let folder = open(generation.directory, openPath | O_DIRECTORY | O_CLOEXEC)
        if folder < 0 { throw fail("open \(generation.directory)", errno) }
        defer { capelet_linux_close(folder) }

        // Sent before the keeper exists: it waits for it in the socket.
        var message = capelet_keeper_message()
        message.type = UInt32(CAPELET_HOST_LOAD)
        code = capelet_linux_send_message(
            sockets[0], &message, MemoryLayout.size(ofValue: message), [settingsFile, folder] + (group?.descriptors ?? []),
            Int32(2 + (group?.descriptors.count ?? 0)), Int32(MSG_DONTWAIT))
        if code != 0 { throw fail("send", code) }

        var pid: pid_t = 0
        var pidfd: Int32 = -1
        code = ChildProcess.spawn(
            executable, arguments: ["capelet-worker", "keeper"], environment: environment,
            descriptors: [-1, output[1], error[1], sockets[1]], pid: &pid, pidfd: &pidfd)
        if code != 0 { throw fail("start \(executable)", code) }
        let keeper = Keeper(
            id: id, key: key, generation: generation, pid: pid, pidfd: pidfd, socket: sockets[0], outputPipe: output[0],
            errorPipe: error[0], deadlineMillis: nowMillis + spec.route.limits.boot.wholeMillis)
        keeper.group = group
        group?.closeEntry()
        return keeper
    }

    /// O_PATH, which glibc declares only with _GNU_SOURCE.
    private static let openPath: Int32 = 0o10000000

    /// Sends one message; returns 0 or an errno.
    func send(_ type: Int, id: UInt64 = 0, value: UInt64 = 0, descriptors: [Int32] = []) -> Int32 {
        var message = capelet_keeper_message()
        message.type = UInt32(type)
        message.id = id
        message.value = value
        return capelet_linux_send_message(
            socket, &message, MemoryLayout.size(ofValue: message), descriptors, Int32(descriptors.count), Int32(MSG_DONTWAIT))
    }
}

extension Duration {
    /// In milliseconds, rounded down, bounded to a century.
    var wholeMillis: Int64 {
        let (seconds, attoseconds) = components
        return min(max(seconds, 0), 3_200_000_000) * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
