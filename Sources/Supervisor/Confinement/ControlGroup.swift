internal import CLinux
internal import Glibc
internal import WorkerProtocol

/// The control group of one template or worker. Engine's thread.
final class ControlGroup {
    private let layout: ControlGroupLayout
    private let folders: [ControlGroupLayout.Controller: String]
    let limits: ControlGroups.Limits
    /// The files `cgroup.procs`: whose number is written there is in the group.
    private(set) var descriptors: [Int32] = []
    private var killsBefore: UInt64 = 0

    init(layout: ControlGroupLayout, name: String, limits: ControlGroups.Limits) throws(SystemCallError) {
        self.layout = layout
        self.limits = limits
        var folders: [ControlGroupLayout.Controller: String] = [:]
        for (controller, base) in layout.bases { folders[controller] = base + "/" + name }
        self.folders = folders
        do throws(SystemCallError) {
            for folder in Set(folders.values).sorted() {
                if mkdir(folder, 0o755) != 0, errno != EEXIST { throw SystemCallError("make the control group \(folder)", code: errno) }
            }
            try apply()
            try openForEntry()
        } catch {
            _ = remove()
            throw error
        }
        killsBefore = kills
    }

    private func openForEntry() throws(SystemCallError) {
        for folder in Set(folders.values).sorted() {
            let file = open(folder + "/cgroup.procs", O_WRONLY | O_CLOEXEC | layout.creating, 0o644)
            guard file >= 0 else { throw SystemCallError("open \(folder)/cgroup.procs", code: errno) }
            descriptors.append(file)
        }
    }

    /// Closes the files by which processes enter: a keeper has them now, and a host with many workers would run out of descriptors.
    func closeEntry() {
        for descriptor in descriptors { capelet_linux_close(descriptor) }
        descriptors = []
    }

    private func apply() throws(SystemCallError) {
        if let memory = folders[.memory] {
            try layout.write(layout.isUnified ? "memory.max" : "memory.limit_in_bytes", String(limits.memoryBytes), in: memory)
            // Not every kernel counts swap.
            if layout.isUnified {
                try? layout.write("memory.swap.max", "0", in: memory)
                try? layout.write("memory.oom.group", "1", in: memory)
            } else {
                try? layout.write("memory.memsw.limit_in_bytes", String(limits.memoryBytes), in: memory)
            }
        }
        if let pids = folders[.pids] { try layout.write("pids.max", String(limits.tasks), in: pids) }
        guard let cpu = folders[.cpu], let processors = limits.processors else { return }
        let period = 100_000
        let quota = max(1000, Int(processors * Double(period)))
        if layout.isUnified {
            try layout.write("cpu.max", "\(quota) \(period)", in: cpu)
        } else {
            try layout.write("cpu.cfs_period_us", "\(period)", in: cpu)
            try layout.write("cpu.cfs_quota_us", "\(quota)", in: cpu)
        }
    }

    /// Counts from here on for a new process.
    func beginAnew() throws(SystemCallError) {
        closeEntry()
        try openForEntry()
        killsBefore = kills
        if let memory = folders[.memory], !layout.isUnified { try? layout.write("memory.max_usage_in_bytes", "0", in: memory) }
    }

    private var kills: UInt64 {
        guard let memory = folders[.memory] else { return 0 }
        return layout.number("oom_kill", in: memory + (layout.isUnified ? "/memory.events" : "/memory.oom_control")) ?? 0
    }

    /// How often the kernel has killed something here because the memory was used up.
    var memoryKills: UInt64 { kills &- killsBefore }

    /// The most memory that was in use at a time, in bytes; 0: not known.
    var memoryPeak: UInt64 {
        guard let memory = folders[.memory] else { return 0 }
        return layout.number(nil, in: memory + (layout.isUnified ? "/memory.peak" : "/memory.max_usage_in_bytes")) ?? 0
    }

    /// Whether no process is in it.
    var isEmpty: Bool {
        folders.values.allSatisfy { ControlGroupLayout.text($0 + "/cgroup.procs").isEmpty }
    }

    /// Removes it. False: something is still in it, which is killed where the kernel can do that.
    func remove() -> Bool {
        closeEntry()
        var isGone = true
        for folder in Set(folders.values) {
            if layout.removeFolder(folder) { continue }
            isGone = false
            if layout.isUnified { try? layout.write("cgroup.kill", "1", in: folder) }
        }
        return isGone
    }

    deinit { for descriptor in descriptors { capelet_linux_close(descriptor) } }
}
