import CLibC
import CWorkerProtocol

/// A worker that lives, or is dead but not yet buried.
struct KeeperWorker {
    let id: UInt64
    let process: pid_t
    /// The kernel says that it is dead. It is not reaped before its descendants are, so that its pid and process group stay its own.
    var ended = false
}

/// A worker that the host has asked for and that does not exist yet.
struct KeeperSpawn {
    let id: UInt64
    /// Settings, inbox, outbox, bell, socket, standard output, standard error. Ours until the template has them.
    let descriptors: [Int32]
    /// Files `cgroup.procs` of its control groups.
    var groups: [Int32] = []
    /// When the template has to have answered, by the monotonic clock.
    var deadlineMillis: Int64 = 0
    /// A signal that the host wanted to send before the worker was there; 0: none.
    var signal: Int32 = 0

    static let descriptorCount = 7
    static let groupsMax = 4

    func closeDescriptors() {
        for descriptor in descriptors + groups { close(descriptor) }
    }
}

extension Keeper {
    func spawn(_ message: KeeperMessage) {
        let id = message.header.id
        let count = KeeperSpawn.descriptorCount
        guard !message.descriptorsLost, (count...count + KeeperSpawn.groupsMax).contains(message.descriptors.count) else {
            message.closeDescriptors()
            tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: id, value: UInt64(message.descriptorsLost ? EMFILE : EINVAL))
            return
        }
        queue.append(
            KeeperSpawn(id: id, descriptors: Array(message.descriptors[0..<count]), groups: Array(message.descriptors[count...])))
    }

    /// Takes what the host has asked for in turn, as far as that can be done now.
    func sendNextSpawn() {
        while inFlight == nil, !queue.isEmpty, state != .loading {
            var next = queue.removeFirst()
            switch state {
            case .idle, .loading, .broken:
                next.closeDescriptors()
                tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: next.id, value: UInt64(ESRCH))
            case .executing:
                execute(next)
                next.closeDescriptors()
            case .forking:
                let error =
                    templateSocket < 0
                    ? ESRCH
                    : KeeperMessage.send(
                        to: templateSocket, type: CAPELET_HOST_SPAWN, id: next.id, descriptors: next.descriptors,
                        flags: Int32(MSG_DONTWAIT))
                // Those of the worker are the template's now; those of its groups are for us, when we know its number.
                for descriptor in next.descriptors { close(descriptor) }
                if error != 0 {
                    for group in next.groups { close(group) }
                    killTemplate()
                    tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: next.id, value: UInt64(error))
                } else {
                    next.deadlineMillis = capelet_linux_monotonic_millis() + Keeper.cloneMillisMax
                    inFlight = next
                }
            }
        }
    }

    /// Exec mode: a process that loads the plugin for itself.
    private func execute(_ spawn: KeeperSpawn) {
        let descriptors = spawn.descriptors
        guard let settings = Settings(descriptor: descriptors[0]) else {
            tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: spawn.id, value: UInt64(EINVAL))
            return
        }
        let pid = KeeperLaunch(
            mode: "worker", settings: loadSettings, more: settings, output: descriptors[5], errors: descriptors[6],
            descriptors: [-1, generationDescriptor, loadSettingsDescriptor] + descriptors[0..<5],
            groups: spawn.groups
        ).start()
        settings.release()
        if pid > 0 {
            started(spawn, process: pid)
        } else {
            tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: spawn.id, value: UInt64(-pid))
        }
    }

    /// The template's answer. It has run code of the plugin, so nothing of it is believed: the process it names has to be a child of ours,
    /// and no worker's. At worst it names an orphan that one of its own plugin's workers left.
    func cloned(_ message: KeeperMessage) {
        guard let spawn = inFlight, message.header.id == spawn.id else {
            killTemplate()
            return
        }
        inFlight = nil
        defer { for group in spawn.groups { close(group) } }
        if Int(message.header.type) == Int(CAPELET_KEEPER_SPAWN_FAILED) {
            tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: spawn.id, value: message.header.value)
            return
        }
        guard let pid = pid_t(exactly: message.header.value), pid > 1, pid != templateProcess,
            !workers.contains(where: { $0.process == pid }),
            capelet_linux_child_state(pid) >= 0
        else {
            killTemplate()
            tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: spawn.id, value: UInt64(EPROTO))
            return
        }
        // It may run already. What it has done until now counts for its template's group, which has limits too.
        var number: Text = []
        number.append(number: Int(pid))
        for group in spawn.groups { writeAll(group, number) }
        started(spawn, process: pid)
    }

    private func started(_ spawn: KeeperSpawn, process: pid_t) {
        workers.append(KeeperWorker(id: spawn.id, process: process))
        let descriptor = capelet_linux_pidfd_open(process)
        tellHost(CAPELET_KEEPER_STARTED, id: spawn.id, value: UInt64(process), descriptors: descriptor >= 0 ? [descriptor] : [])
        if descriptor >= 0 { close(descriptor) }
        if spawn.signal != 0 { signal(worker: spawn.id, number: spawn.signal) }
        // It may have died before it was one of ours: its signal is taken then.
        if capelet_linux_child_state(process) != 0 { unsettled = true }
    }

    /// A template that does not answer is stopped or spoilt; it is killed, and what it made by then is an orphan.
    func checkClone() {
        guard let spawn = inFlight, capelet_linux_monotonic_millis() >= spawn.deadlineMillis else { return }
        inFlight = nil
        for group in spawn.groups { close(group) }
        killTemplate()
        tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: spawn.id, value: UInt64(ETIMEDOUT))
    }

    /// Sends a signal to a worker and its process group; later, if it is still to be made.
    func signal(worker id: UInt64, number: Int32) {
        guard number > 0, number <= 64 else { return }
        for worker in workers where worker.id == id {
            // A worker that has left its group gets the signal itself, too.
            let led = getpgid(worker.process) == worker.process
            kill(-worker.process, number)
            if !led { kill(worker.process, number) }
            return
        }
        if inFlight?.id == id { inFlight?.signal = number }
        for i in queue.indices where queue[i].id == id { queue[i].signal = number }
    }
}
