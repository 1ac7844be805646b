import CLibC
import CWorkerProtocol

/// The process above a template and its workers.
///
/// Purpose. It runs no code of the plugin, so the host can believe what it says: which processes there are and how each ended.
///
/// States, and what moves them:
///
///     idle     -- LOAD ----------------------> loading (a template runs)
///     loading  -- template: LOADED, 1 thread -> forking (SPAWN goes to the template)
///     loading  -- LOADED, more threads ------> executing (SPAWN starts a process of its own; the template is gone)
///     loading  -- LOAD_FAILED, death --------> broken
///     forking  -- template died -------------> broken (workers live on; every SPAWN fails)
///     any      -- END, host closed its end --> everything is killed, reaped, exit
///
/// Invariants. Every worker is a child of this process. A pid is signalled only while it is a child that has not been reaped, so that it
/// cannot be anybody else's. DIED is sent when no descendant of that worker is left: see KeeperChildren.swift. At most one clone is in
/// progress in the template (`inFlight`), because until its pid is known its process cannot be told from an orphan.
///
/// One thread, one loop around `poll`.
final class Keeper {
    enum State { case idle, loading, forking, executing, broken }

    let host: Int32
    /// Readable when a child has died.
    let childSignals: Int32
    var state = State.idle

    /// From LOAD; kept for the workers that exec mode starts.
    var loadSettings = Settings.empty
    var loadSettingsDescriptor: Int32 = -1
    var generationDescriptor: Int32 = -1
    /// Files `cgroup.procs` of the template's control groups.
    var templateGroups: [Int32] = []

    /// -1 or 0: there is none.
    var templateProcess: pid_t = 0
    var templateSocket: Int32 = -1
    /// What the template writes to its standard output and error; its end is quoted when it dies while loading.
    var templateOutput: Int32 = -1
    var templateWords: Text = []

    var workers: [KeeperWorker] = []
    var queue: [KeeperSpawn] = []
    /// What the template is making now.
    var inFlight: KeeperSpawn?
    /// Look at the children again soon, although no signal announces anything.
    var unsettled = false
    /// When to look at them all the same, by the monotonic clock.
    var nextCheckMillis: Int64 = 0

    /// How long a template may take for a clone.
    static let cloneMillisMax: Int64 = 5_000
    /// How often to look for processes that a living worker has left to us; nothing announces them.
    static let orphanCheckMillis: Int64 = 2_000

    private init(host: Int32, childSignals: Int32) {
        self.host = host
        self.childSignals = childSignals
    }

    /// `capelet-worker keeper`. No PDEATHSIG here: it would follow the host's *thread* that spawned this process.
    static func run() -> Never {
        capelet_linux_reset_signals()
        let host = Int32(CAPELET_KEEPER_SOCKET)
        var kind: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(host, SOL_SOCKET, SO_TYPE, &kind, &size) != 0 || kind != Int32(SOCK_SEQPACKET.rawValue) {
            fail("descriptor 3 is not the host's socket; `keeper` is started by capelet, not by hand", status: 64)
        }
        let null = capelet_linux_open("/dev/null", O_RDWR)
        dup2(null, 0)
        dup2(null, 1)
        capelet_linux_close_from(UInt32(host) + 1)
        _ = capelet_linux_set_close_on_exec(host)
        _ = capelet_linux_become_subreaper()
        capelet_linux_name_thread("capelet-keeper")
        let childSignals = capelet_linux_child_signals()
        if childSignals < 0 { fail("signalfd is refused; Linux 2.6.27 or newer is needed", status: 71) }
        Keeper(host: host, childSignals: childSignals).loop()
    }

    private func loop() -> Never {
        while true {
            var waits = [
                pollfd(fd: host, events: Int16(POLLIN), revents: 0),
                pollfd(fd: childSignals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: templateSocket, events: Int16(POLLIN), revents: 0),
                pollfd(fd: templateOutput, events: Int16(POLLIN), revents: 0),
            ]
            // Negative descriptors are passed over.
            _ = poll(&waits, nfds_t(waits.count), timeout())
            if waits[3].revents != 0 { readTemplateOutput() }
            if waits[2].revents != 0 { readTemplate() }
            let isSignalled = waits[1].revents != 0
            if isSignalled { drainChildSignals() }
            // Not in every turn: with 1,000 workers it takes a millisecond. A death comes with a signal, and all are looked for after all
            // signals were taken; what comes without one is looked for now and then.
            if isSignalled || unsettled || capelet_linux_monotonic_millis() >= nextCheckMillis {
                noteDeaths()
                settle()
            }
            checkClone()
            if waits[0].revents != 0 { readHost() }
            sendNextSpawn()
        }
    }

    private func timeout() -> Int32 {
        if unsettled { return 5 }
        var millis = workers.isEmpty && templateProcess <= 0 ? -1 : Keeper.orphanCheckMillis
        if let inFlight { millis = max(0, min(millis, inFlight.deadlineMillis - capelet_linux_monotonic_millis())) }
        return Int32(millis)
    }

    func tellHost(_ type: Int, id: UInt64 = 0, value: UInt64 = 0, body: Text = [], descriptors: [Int32] = []) {
        // The host's end closed: `readHost` sees that too, and ends everything.
        _ = KeeperMessage.send(to: host, type: type, id: id, value: value, body: body, descriptors: descriptors)
    }

    private func readHost() {
        switch KeeperMessage.receive(from: host, flags: Int32(MSG_DONTWAIT)) {
        case .nothing: return
        case .ended: endEverything()
        case .message(let message):
            switch Int(message.header.type) {
            case Int(CAPELET_HOST_LOAD): load(message)
            case Int(CAPELET_HOST_SPAWN): spawn(message)
            case Int(CAPELET_HOST_KILL):
                signal(worker: message.header.id, number: Int32(truncatingIfNeeded: message.header.value))
                message.closeDescriptors()
            case Int(CAPELET_HOST_END): endEverything()
            default: message.closeDescriptors()
            }
        }
    }

    // MARK: loading

    private func load(_ message: KeeperMessage) {
        guard state == .idle, (2...2 + KeeperSpawn.groupsMax).contains(message.descriptors.count),
            let settings = Settings(descriptor: message.descriptors[0])
        else {
            message.closeDescriptors()
            var why = Text.of("the host's order to load is not valid: ")
            why.append(state == .idle ? "its settings or descriptors are missing" : "this keeper has had one already")
            tellHost(CAPELET_KEEPER_LOAD_FAILED, body: why)
            return
        }
        loadSettings = settings
        loadSettingsDescriptor = message.descriptors[0]
        generationDescriptor = message.descriptors[1]
        templateGroups = Array(message.descriptors[2...])
        if let why = Namespaces(settings: settings).enter() {
            state = .broken
            tellHost(CAPELET_KEEPER_LOAD_FAILED, body: why)
            return
        }
        let started = startTemplate()
        state = started == 0 ? .loading : .broken
        if started != 0 {
            var why = Text.of("the process that loads the plugin could not be started: ")
            why.append(cString: strerror(started))
            tellHost(CAPELET_KEEPER_LOAD_FAILED, body: why)
        }
    }

    /// Returns 0 or an errno.
    private func startTemplate() -> Int32 {
        var sockets: [Int32] = [-1, -1]
        var output: [Int32] = [-1, -1]
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &sockets) == 0 else { return capelet_linux_errno() }
        guard pipe2(&output, O_CLOEXEC | O_NONBLOCK) == 0 else {
            let error = capelet_linux_errno()
            for socket in sockets { close(socket) }
            return error
        }
        let pid = KeeperLaunch(
            mode: "template", settings: loadSettings, more: .empty, output: output[1], errors: output[1],
            descriptors: [sockets[1], generationDescriptor, loadSettingsDescriptor], groups: templateGroups
        ).start()
        close(sockets[1])
        close(output[1])
        guard pid > 0 else {
            close(sockets[0])
            close(output[0])
            return Int32(-pid)
        }
        templateProcess = pid
        templateSocket = sockets[0]
        templateOutput = output[0]
        return 0
    }

    /// Reads what the template says. Also called when it is dead, for its last words.
    func readTemplate() {
        while templateSocket >= 0 {
            switch KeeperMessage.receive(from: templateSocket, flags: Int32(MSG_DONTWAIT)) {
            case .nothing: return
            case .ended:
                close(templateSocket)
                templateSocket = -1
                // A template without its socket is of no use. Its death tells the rest.
                killTemplate()
            case .message(let message):
                message.closeDescriptors()
                switch (Int(message.header.type), state) {
                case (Int(CAPELET_KEEPER_LOADED), .loading): loaded(threads: message.header.value)
                case (Int(CAPELET_KEEPER_LOAD_FAILED), .loading):
                    state = .broken
                    tellHost(CAPELET_KEEPER_LOAD_FAILED, body: message.body)
                    killTemplate()
                case (Int(CAPELET_KEEPER_STARTED), .forking), (Int(CAPELET_KEEPER_SPAWN_FAILED), .forking): cloned(message)
                default: killTemplate()
                }
            }
        }
    }

    private func loaded(threads: UInt64) {
        let executing = threads != 1 || loadSettings.flag("plugin.exec")
        state = executing ? .executing : .forking
        if executing { killTemplate() }
        tellHost(CAPELET_KEEPER_LOADED, value: executing ? max(2, threads) : 1)
    }

    /// Reads and keeps the last few lines of what the template prints.
    func readTemplateOutput() {
        guard templateOutput >= 0 else { return }
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            // A bounded turn: a template that floods its output must not keep this process from its other work.
            for _ in 0..<16 {
                let size = read(templateOutput, buffer.baseAddress, buffer.count)
                if size < 0 { return }
                if size == 0 {
                    close(templateOutput)
                    templateOutput = -1
                    return
                }
                templateWords.append(UnsafeRawBufferPointer(rebasing: buffer[0..<size]))
                if templateWords.count > 8192 { templateWords.removeFirst(templateWords.count - 4096) }
            }
        }
    }

    func killTemplate() {
        guard templateProcess > 0 else { return }
        kill(-templateProcess, SIGKILL)
        kill(templateProcess, SIGKILL)
    }
}
