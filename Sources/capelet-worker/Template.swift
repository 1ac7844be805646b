import CLibC
import CWorkerProtocol

/// The process that has loaded one generation of a plugin, and is copied for each worker.
///
/// Its life: limits, sandbox, load, thread check, LOADED, then one copy for each SPAWN. Nothing of the plugin runs here but its load-time
/// constructors. The keeper believes nothing that this process says, since those may have done anything.
enum Template {
    /// Descriptors that the keeper gives a template, and (but the first) a worker of exec mode.
    static let socket: Int32 = 3
    static let directory: Int32 = 4
    static let settings: Int32 = 5

    /// The path by which a plugin is opened, whatever its folder is called and whether this process may go there.
    static var directoryPath: Text {
        var path = Text.of("/proc/self/fd/")
        path.append(number: Int(directory))
        return path
    }

    /// `capelet-worker template KEEPER`, started by a keeper.
    static func run(keeper: pid_t) -> Never {
        guard let loadSettings = Settings(descriptor: settings) else { fail("`template` is started by a keeper, not by hand", status: 64) }
        for descriptor in [socket, directory] { _ = capelet_linux_set_close_on_exec(descriptor) }
        close(settings)
        capelet_linux_name_thread("capelet-templat")
        let forks = !loadSettings.flag("plugin.exec")
        if let why = Confinement.enter(settings: loadSettings, keeper: keeper, firstUnused: UInt32(settings), forks: forks) {
            _ = KeeperMessage.send(to: socket, type: CAPELET_KEEPER_LOAD_FAILED, body: why)
            _exit(1)
        }
        capelet_linux_line_buffer_output()

        // Before the plugin's code runs, which may change what these words hold.
        let threadWord = capelet_linux_thread_id_word()
        let plugin: Plugin
        switch Plugin.load(loadSettings) {
        case .failed(let why):
            _ = KeeperMessage.send(to: socket, type: CAPELET_KEEPER_LOAD_FAILED, body: why)
            _exit(1)
        case .loaded(let loaded): plugin = loaded
        }
        // What a constructor has printed is not to come out again of every copy.
        capelet_linux_flush_output()
        let threads = Plugin.threadCount()
        _ = KeeperMessage.send(to: socket, type: CAPELET_KEEPER_LOADED, value: UInt64(threads))
        // With more threads than this one the keeper uses exec mode.
        if threads != 1 || !forks { _exit(0) }
        serve(plugin: plugin, loadSettings: loadSettings, keeper: keeper, threadWord: threadWord)
    }

    private static func serve(plugin: Plugin, loadSettings: Settings, keeper: pid_t, threadWord: UnsafeMutablePointer<Int32>?) -> Never {
        while true {
            // The keeper has closed its end: it is dead or wants us gone. (And nothing comes but SPAWN.)
            guard case .message(let message) = KeeperMessage.receive(from: socket) else { _exit(0) }
            guard Int(message.header.type) == Int(CAPELET_HOST_SPAWN), message.descriptors.count == KeeperSpawn.descriptorCount else {
                message.closeDescriptors()
                let error = message.descriptorsLost ? EMFILE : EINVAL
                _ = KeeperMessage.send(to: socket, type: CAPELET_KEEPER_SPAWN_FAILED, id: message.header.id, value: UInt64(error))
                continue
            }
            let descriptors = message.descriptors
            let resources = Worker.Resources(
                settings: descriptors[0], inbox: descriptors[1], outbox: descriptors[2], bell: descriptors[3], socket: descriptors[4],
                output: descriptors[5], errors: descriptors[6])
            // No handler of the plugin's may run in the copy before it has its own state.
            capelet_linux_block_signals()
            let pid = makeWorker(threadWord: threadWord)
            if pid == 0 {
                close(socket)
                Worker.run(plugin: plugin, keeper: keeper, loadSettings: loadSettings, resources: resources)
            }
            capelet_linux_unblock_signals()
            message.closeDescriptors()
            if pid > 0 {
                _ = KeeperMessage.send(to: socket, type: CAPELET_KEEPER_STARTED, id: message.header.id, value: UInt64(pid))
            } else {
                _ = KeeperMessage.send(to: socket, type: CAPELET_KEEPER_SPAWN_FAILED, id: message.header.id, value: UInt64(-pid))
            }
        }
    }

    /// Copies this process so that the keeper is the copy's parent. Returns the pid, 0 in the copy, or a negative errno.
    ///
    /// By a raw clone with CLONE_PARENT. The other way, an ordinary fork through a short-lived child whose orphan the keeper inherits, was
    /// measured too, until the worker runs: 0.23 against 0.84 ms for a small process, 0.45 against 0.86 ms with Foundation loaded. Besides,
    /// its worker has to wait until it is an orphan before it can ask for PDEATHSIG, which the end of the short-lived parent would set off.
    ///
    /// What glibc's fork does beside the system call, and a raw clone does not:
    ///
    /// - It has the kernel write the new thread id to the main thread's record, which is where recursive and error-checking mutexes, robust
    ///   ones and pthread_kill look. The clone is asked for the same (CLONE_CHILD_SETTID, CLEARTID), at the address that the kernel already
    ///   knows; and the list of robust mutexes is registered again. Without that, pthread_kill to the main thread failed with ESRCH.
    /// - It takes and resets the locks of malloc and stdio: this process has one thread, so nobody else holds them.
    /// - It calls the handlers of pthread_atfork. They are not called here. Those that reset locks have nothing to do with one thread; a
    ///   library that uses one to notice a new pid has to ask getpid instead, as the common ones do.
    private static func makeWorker(threadWord: UnsafeMutablePointer<Int32>?) -> pid_t {
        capelet_linux_clone_sibling(threadWord)
    }
}
