import CCapelet
import CLibC
import CWorkerProtocol

/// The process that runs one lambda's events.
///
/// Its files: this one sets it up and takes it down; WorkerLoop takes events from the inbox and calls the lambda; WorkerState is what that
/// loop shares with the functions of `capelet_host` (WorkerHost…), which may be called from any thread of the plugin: the ring of frames
/// (FrameRing), the open runs (RunTable) and the mutex around both.
///
/// Threads: the main one, which makes every call to the plugin save `cancel`; one more for `cancel`, only if the lambda has it; those
/// of the plugin.
enum Worker {
    /// What the host gives a worker, in the order of SPAWN.
    struct Resources {
        var settings, inbox, outbox, bell, socket, output, errors: Int32
    }

    /// Where a worker of exec mode finds its resources; below lie those of `Template`.
    private static let firstResource: Int32 = 6

    /// A worker made by copying a template. The plugin is loaded.
    static func run(plugin: Plugin, keeper: pid_t, loadSettings: Settings, resources: Resources) -> Never {
        setpgid(0, 0)
        Confinement.dieWith(keeper: keeper)
        dup2(resources.output, 1)
        dup2(resources.errors, 2)
        close(resources.output)
        close(resources.errors)
        capelet_linux_reset_signals()
        let settings = readSettings(resources)
        Confinement.applyLimits(settings)
        settings.forEach(prefix: "environment.") { name, value in
            var (key, content): (Text, Text) = ([], [])
            key.append(name)
            content.append(value)
            key.withCString { key in content.withCString { _ = setenv(key, $0, 1) } }
        }
        // For `ps`: the arguments are still those of the template.
        if capelet_linux_argument_count() > 1, let mode = capelet_linux_arguments()![1], strlen(mode) == 8 { memcpy(mode, "worker  ", 8) }
        openChannel(resources, settings: settings)
        if let why = Sandbox(settings: loadSettings).enterAlone(isCopy: true) { failToStart(code: 0xffff, why: why) }
        serve(plugin: plugin, settings: settings, socket: resources.socket)
    }

    /// `capelet-worker worker KEEPER`: a worker of exec mode, which loads the plugin for itself.
    static func runAlone(keeper: pid_t) -> Never {
        let first = firstResource
        let resources = Resources(
            settings: first, inbox: first + 1, outbox: first + 2, bell: first + 3, socket: first + 4, output: 1, errors: 2)
        guard let loadSettings = Settings(descriptor: Template.settings) else {
            fail("`worker` is started by a keeper, not by hand", status: 64)
        }
        let settings = readSettings(resources)
        for descriptor in Template.directory...resources.socket { _ = capelet_linux_set_close_on_exec(descriptor) }
        close(Template.settings)
        openChannel(resources, settings: settings)
        Confinement.applyLimits(settings)
        let unused = UInt32(resources.socket) + 1
        if let why = Confinement.enter(settings: loadSettings, keeper: keeper, firstUnused: unused, forks: false) {
            failToStart(code: 0xffff, why: why)
        }
        capelet_linux_line_buffer_output()
        switch Plugin.load(loadSettings) {
        case .failed(let why): failToStart(code: 0xffff, why: why)
        case .loaded(let plugin): serve(plugin: plugin, settings: settings, socket: resources.socket)
        }
    }

    private static func readSettings(_ resources: Resources) -> Settings {
        guard let settings = Settings(descriptor: resources.settings) else { fail("the worker's settings cannot be read", status: 70) }
        close(resources.settings)
        return settings
    }

    /// Maps inbox and outbox and sets up `worker`.
    private static func openChannel(_ resources: Resources, settings: Settings) {
        let inboxSize = MemoryLayout<capelet_inbox>.size
        let outboxSize = MemoryLayout<capelet_outbox>.size
        guard capelet_linux_file_size(resources.inbox) >= Int64(inboxSize), capelet_linux_file_size(resources.outbox) >= Int64(outboxSize),
            let inboxMap = capelet_linux_map(resources.inbox, inboxSize, false),
            let outboxMap = capelet_linux_map(resources.outbox, outboxSize, true)
        else { fail("the channel to the host cannot be mapped", status: 70) }
        let inbox = UnsafePointer(inboxMap.assumingMemoryBound(to: capelet_inbox.self))
        guard inbox.pointee.version == UInt32(CAPELET_CHANNEL_VERSION) else {
            fail("the host talks another version of the channel; capelet and capelet-worker have to be of one build", status: 70)
        }
        close(resources.inbox)
        close(resources.outbox)
        WorkerState.open(
            inbox: inbox, outbox: outboxMap.assumingMemoryBound(to: capelet_outbox.self), bell: resources.bell, settings: settings)
    }

    /// Finds the lambda, starts it, runs it until the host says stop, ends the process.
    private static func serve(plugin: Plugin, settings: Settings, socket: Int32) -> Never {
        let lambda = findLambda(plugin: plugin, settings: settings)
        settings.text("lambda").withCString { capelet_linux_name_thread($0) }

        let host = makeHostTable(settings: settings, entry: lambda.element)
        let result = WorkerResult.make()
        var state: UnsafeMutableRawPointer?
        if let start = lambda.start {
            let code = start(host, &state, result)
            if code != 0 { failToStart(code: UInt16(truncatingIfNeeded: code), why: WorkerResult.message(result)) }
            WorkerResult.clear(result)
        }
        worker.locked { $0.pointee.ring.send(type: CAPELET_FRAME_READY) }
        if let cancel = lambda.cancel { CancelThread.start(state: state, cancel: cancel) }

        let loop = UnsafeMutablePointer<WorkerLoop>.allocate(capacity: 1)
        loop.initialize(to: WorkerLoop(lambda: lambda, lambdaState: state, socket: socket, result: result, settings: settings))
        loop.pointee.run()

        worker.waitUntilNothingIsPending()
        CancelThread.stop()
        if let stop = lambda.stop { stop(state) }
        exit(0)
    }

    private static func findLambda(plugin: Plugin, settings: Settings) -> PluginLambda {
        guard let name = settings.value("lambda.entry") else { failToStart(code: 0xffff, why: Text.of("the settings name no lambda")) }
        switch plugin.table(settings) {
        case .invalid(let why): failToStart(code: 0xffff, why: why)
        case .table(let table):
            guard let lambda = table.lambda(named: name) else { failToStart(code: 0xffff, why: table.unknown(name)) }
            return lambda
        }
    }

    private static func failToStart(code: UInt16, why: Text) -> Never {
        why.withUnsafeBytes { bytes in
            worker.locked { $0.pointee.ring.send(type: CAPELET_FRAME_START_FAILED, code: code, body: bytes) }
        }
        exit(1)
    }
}
