internal import Glibc
internal import WorkerProtocol

/// Where this host's control groups are, and what can be done there.
struct ControlGroupLayout {
    /// What a group can limit.
    enum Controller: String, CaseIterable {
        case memory, cpu, pids
    }

    /// Version 2.
    var isUnified = false
    /// The folder in which groups are made, for each controller.
    var bases: [Controller: String] = [:]
    /// Why some controllers are missing; nil: none is.
    var lacks: String?
    /// Folders to remove at the end, innermost first.
    var own: [String] = []
    /// For a made-up tree: files are made when they are written.
    var creating: Int32 = 0
    /// Whether the counters of a used group can be set back.
    var canReset: Bool { !isUnified }

    var report: ControlGroups.Report {
        var report = ControlGroups.Report(lacks: lacks)
        let names = Controller.allCases.filter { bases[$0] != nil }.map(\.rawValue)
        report.words = "cgroup \(isUnified ? "v2" : "v1") (\(names.joined(separator: ", ")))"
        report.hasProcessors = bases[.cpu] != nil
        report.hasTasks = bases[.pids] != nil
        return report
    }

    /// - Parameter root: before /proc and /sys; empty, but for tests.
    static func find(root: String, name: String) -> (ControlGroupLayout?, lacks: String?) {
        let mounts = Mount.read(root + "/proc/self/mountinfo")
        let groups = Self.groups(text(root + "/proc/self/cgroup"))
        let creating = root.isEmpty ? 0 : O_CREAT
        var reasons: [String] = []
        if let mount = mounts.first(where: { $0.type == "cgroup2" }), let path = groups[""] {
            switch unified(root + mount.folder(of: path), name: name, creating: creating, isTop: mount.folder(of: path) == mount.point) {
            case .success(let layout): return (layout, nil)
            case .failure(let reason): reasons.append(reason.text)
            }
        }
        var layout = ControlGroupLayout(creating: creating)
        for controller in Controller.allCases {
            guard let mount = mounts.first(where: { $0.type == "cgroup" && $0.options.contains(controller.rawValue) }),
                let path = groups[controller.rawValue]
            else { continue }
            let folder = root + mount.folder(of: path) + "/" + name
            // One that is there may be another user's, left by a host that had this pid.
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST, access(folder, W_OK) == 0 else {
                reasons.append("\(folder): \(SystemCallError.text(errno))")
                continue
            }
            layout.bases[controller] = folder
            if !layout.own.contains(folder) { layout.own.append(folder) }
            // The host, which is outside of it, goes before all workers together.
            if controller == .cpu { try? layout.write("cpu.shares", "512", in: folder) }
        }
        if layout.bases.isEmpty {
            let why = reasons.isEmpty ? "no control groups are mounted that limit memory, cpu or pids" : reasons.joined(separator: "; ")
            return (nil, "no control groups: \(why)")
        }
        let missing = Controller.allCases.filter { layout.bases[$0] == nil }.map(\.rawValue)
        if !missing.isEmpty {
            let why = reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))"
            layout.lacks = "no control groups for \(missing.joined(separator: ", "))\(why)"
        }
        return (layout, nil)
    }

    private struct Reason: Error { var text: String }

    /// Version 2: a group with processes cannot give its children controllers, so the host goes into one of its own first.
    private static func unified(_ base: String, name: String, creating: Int32, isTop: Bool) -> Result<ControlGroupLayout, Reason> {
        let offered = Set(text(base + "/cgroup.controllers").split(whereSeparator: \.isWhitespace).map(String.init))
        let usable = Controller.allCases.filter { offered.contains($0.rawValue) }
        guard !usable.isEmpty else { return .failure(Reason(text: "the group v2 \(base) has no controllers for memory, cpu or pids")) }
        guard access(base, W_OK) == 0, access(base + "/cgroup.subtree_control", W_OK) == 0 else {
            return .failure(Reason(text: "the group v2 \(base) has not been delegated to this host (in systemd: Delegate=yes)"))
        }
        var layout = ControlGroupLayout(isUnified: true, creating: creating)
        let host = "\(base)/\(name)-host"
        let workers = "\(base)/\(name)"
        do throws(SystemCallError) {
            if !isTop {
                let others = text(base + "/cgroup.procs").split(whereSeparator: \.isWhitespace).filter { $0 != "\(getpid())" }
                guard others.isEmpty else {
                    return .failure(Reason(text: "other processes are in the host's group v2 \(base), so that it cannot be divided"))
                }
                try make(host)
                try layout.write("cgroup.procs", "\(getpid())", in: host)
            }
            let controllers = usable.map { "+\($0.rawValue)" }.joined(separator: " ")
            try layout.write("cgroup.subtree_control", controllers, in: base)
            try make(workers)
            layout.own = [workers]
            try layout.write("cgroup.subtree_control", controllers, in: workers)
            if usable.contains(.cpu) { try layout.write("cpu.weight", "50", in: workers) }
        } catch {
            return .failure(Reason(text: "the group v2 \(base) cannot be divided: \(error)"))
        }
        for controller in usable { layout.bases[controller] = workers }
        let missing = Controller.allCases.filter { !usable.contains($0) }.map(\.rawValue)
        if !missing.isEmpty { layout.lacks = "no control groups for \(missing.joined(separator: ", "))" }
        return .success(layout)
    }

    private static func make(_ folder: String) throws(SystemCallError) {
        if mkdir(folder, 0o755) != 0, errno != EEXIST { throw SystemCallError("make the control group \(folder)", code: errno) }
    }

    // MARK: files

    func write(_ file: String, _ text: String, in folder: String) throws(SystemCallError) {
        let path = folder + "/" + file
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | creating, 0o644)
        guard descriptor >= 0 else { throw SystemCallError("open \(path)", code: errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw SystemCallError("write \(text) to \(path)", code: errno)
        }
    }

    /// The number in a file; with a key, that of the line which begins with it.
    func number(_ key: String?, in path: String) -> UInt64? {
        let text = Self.text(path)
        guard let key else { return UInt64(text.prefix { $0 != "\n" }) }
        let line = text.split(separator: "\n").first { $0.hasPrefix(key + " ") }
        return line.flatMap { UInt64($0.dropFirst(key.utf8.count + 1)) }
    }

    /// False: it is not empty.
    func removeFolder(_ folder: String) -> Bool {
        if creating != 0 { FileOperations.remove(folder) }
        return rmdir(folder) == 0 || errno == ENOENT
    }

    func remove() { for folder in own { _ = removeFolder(folder) } }

    /// The whole of a short file; empty when it cannot be read.
    static func text(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while bytes.count < 4 << 20 {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes.append(contentsOf: buffer[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The paths of a process's groups, from /proc/PID/cgroup, by controller; that of version 2 under the empty name.
    static func groups(_ text: String) -> [String: String] {
        var groups: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                groups[String(controller)] = String(parts[2])
            }
        }
        return groups
    }

    /// One line of /proc/PID/mountinfo (proc(5)).
    struct Mount {
        var root: String
        var point: String
        var type: String
        var options: Set<String>

        static func read(_ path: String) -> [Mount] {
            text(path).split(separator: "\n").compactMap { Mount(line: String($0)) }
        }

        init?(line: String) {
            let fields = line.split(separator: " ").map(String.init)
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { return nil }
            root = fields[3]
            point = fields[4]
            type = fields[dash + 1]
            options = Set(fields[dash + 3].split(separator: ",").map(String.init))
        }

        /// Where a group is seen: in a container its path may begin with that of the container's own group.
        func folder(of group: String) -> String {
            var path = group
            if root != "/", path == root || path.hasPrefix(root + "/") { path = String(path.dropFirst(root.count)) }
            return path == "/" || path.isEmpty ? point : point + path
        }
    }
}
