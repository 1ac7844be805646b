internal import Glibc
public import Routing
internal import WorkerProtocol

/// Decides how each lambda is confined: what its settings ask for, as far as the machine gives it (ISOLATION §1, §2).
///
/// Degrades step by step and says so; never more quietly than in the status and the log. Any thread; blocks on the file system.
public final class SandboxPlanner: Sendable {
    /// What the machine can.
    public let support: SandboxSupport
    /// What control groups are in force, in words; nil: none.
    let groups: String?
    /// Why there are no control groups, or not all.
    let noGroups: String?
    /// Whether control groups weigh workers against the host in processor time.
    public let hasCPUGroup: Bool
    private let hasTaskGroup: Bool
    private let data: String
    private let users: LambdaUsers
    private let userRange: ClosedRange<UInt32>

    /// - Parameters:
    ///   - data: the data directory. Absolute.
    ///   - users: ids for workers, when the host is root.
    ///   - groups: control groups, if there are any.
    public init(support: SandboxSupport, data: String, users: ClosedRange<UInt32>, groups: ControlGroups.Report) {
        self.support = support
        self.data = data
        self.groups = groups.words
        noGroups = groups.lacks
        hasCPUGroup = groups.hasProcessors
        hasTaskGroup = groups.hasTasks
        userRange = users
        self.users = LambdaUsers(path: data + "/users", range: users)
    }

    /// The sandbox of one lambda. Makes its state folder and gives it to the lambda's user.
    ///
    /// - Parameters:
    ///   - state: its state folder. Absolute.
    ///   - sources: folders that its domains watch. Absolute.
    ///   - libraries: folders with libraries that every plugin may use. Absolute.
    /// - Throws: when it requires more than the machine gives, or its folder or user cannot be had.
    public func plan(_ route: LambdaRoute, state: String, sources: [String], libraries: [String]) throws(SandboxRefusal) -> LambdaSandbox {
        let settings = route.sandbox
        var sandbox = base(settings, libraries: libraries)
        sandbox.readable += sources + settings.read
        sandbox.writable += [state] + settings.write
        guard sandbox.tier >= settings.require else {
            throw SandboxRefusal(
                "its sandbox requires the tier \(settings.require.rawValue), but this machine gives \(sandbox.tier.rawValue): "
                    + sandbox.lacks.joined(separator: "; "))
        }
        try StateFolder.make(state)
        if settings.tier != .off, support.isRoot, settings.user == .private {
            if let why = support.noUsers {
                sandbox.lacks.append("no user id of its own: \(why)")
            } else {
                sandbox.user = try users.user(for: route.name)
            }
        }
        cover(&sandbox, settings: settings, state: state, sources: sources, libraries: libraries)
        if settings.network, var filter = sandbox.filter, sandbox.user != nil || sandbox.tier == .strict {
            filter.unixSockets = true
            self.filter(filter, for: &sandbox)
        }
        try StateFolder.give(state, to: sandbox.user)
        if let user = sandbox.user { warn(of: sources + settings.read, user: user, in: &sandbox) }
        // Counts everything that the user id has on this machine, also of another host with the same range: only where nothing better does.
        if !hasTaskGroup, sandbox.user != nil || sandbox.tier == .strict {
            sandbox.processesLimit = (route.workers + 1) * (LambdaSandbox.threadsMax + settings.processes)
        }
        describe(&sandbox)
        return sandbox
    }

    /// What a plugin is described in: as `standard`, with nothing of any lambda's.
    public func planDescription(libraries: [String]) -> LambdaSandbox {
        var settings = SandboxSettings()
        settings.tier = .standard
        var sandbox = base(settings, libraries: libraries)
        // The last id is nobody's: see LambdaUsers.
        if support.isRoot, support.noUsers == nil { sandbox.user = userRange.upperBound }
        return sandbox
    }

    // MARK: parts

    /// Tier, Landlock, seccomp.
    private func base(_ settings: SandboxSettings, libraries: [String]) -> LambdaSandbox {
        var sandbox = LambdaSandbox()
        sandbox.processes = settings.processes
        sandbox.nice = hasCPUGroup ? 0 : 5
        guard settings.tier != .off else { return sandbox }
        sandbox.tier = settings.tier
        if sandbox.tier == .strict, let why = support.noStrict {
            sandbox.lacks.append("not strict: \(why)")
            sandbox.tier = .standard
        }
        if let why = support.noStandard {
            sandbox.lacks.append("not standard: \(why)")
            sandbox.tier = .off
        }
        sandbox.isExec = sandbox.tier == .strict
        sandbox.noCapabilities = true
        sandbox.network = settings.network
        sandbox.landlock = support.landlock
        sandbox.readable = SystemPaths.readable + SystemPaths.ownRuntime + libraries + [LambdaSandbox.generationPath]
        sandbox.usable = SystemPaths.usable
        if support.seccomp {
            filter(SystemCallFilter(network: settings.network, processes: settings.processes > 0), for: &sandbox)
            sandbox.ownSignals = settings.processes == 0
        }
        return sandbox
    }

    private func filter(_ filter: SystemCallFilter, for sandbox: inout LambdaSandbox) {
        do {
            try SandboxPrograms.shared.prepare(filter)
            sandbox.filter = filter
        } catch {
            sandbox.lacks.append("no filter of system calls: \(error)")
            sandbox.tier = .off
        }
    }

    /// Namespaces and mounts.
    private func cover(
        _ sandbox: inout LambdaSandbox, settings: SandboxSettings, state: String, sources: [String], libraries: [String]
    ) {
        let needed = [state] + sources + settings.read + settings.write + libraries + SystemPaths.ownRuntime
        var covers: [String] = []
        if sandbox.tier == .strict {
            sandbox.namespaces = (support.isRoot ? [] : ["user"]) + ["pid", "mount", "ipc", "proc"] + (settings.network ? [] : ["network"])
            sandbox.userNamespace = support.isRoot && support.noUserNamespace == nil
            covers = [data] + SystemPaths.private
        } else if sandbox.user != nil {
            // Its own user cannot go where the host's can. Those folders are covered, and what it needs of them is shown.
            let closed = needed.compactMap(Self.closedFolder)
            if support.noNamespaces == nil {
                sandbox.namespaces = ["mount"]
                covers = [data] + closed
            } else if let first = closed.first {
                sandbox.user = nil
                sandbox.lacks.append("no user id of its own: others cannot enter \(first), and there are no mount namespaces to mend that")
            }
        }
        covers = Set(covers.compactMap(Self.realFolder)).sorted()
        sandbox.covers = covers.filter { path in !covers.contains { $0 != path && Self.holds($0, path) } }
        guard !sandbox.covers.isEmpty else { return }
        let more = SystemPaths.configuration.compactMap(FileOperations.real)
        for path in needed + more {
            for path in Set([path, FileOperations.real(path) ?? path]).sorted()
            where sandbox.covers.contains(where: { Self.holds($0, path) }) {
                sandbox.shows.append(path)
            }
        }
        // What lies in something that is shown comes with it.
        let shows = sandbox.shows
        sandbox.shows = shows.enumerated().filter { index, path in
            !shows.enumerated().contains { $0.offset != index && Self.holds($0.element, path) && ($0.element != path || $0.offset < index) }
        }.map(\.element)
    }

    /// The highest folder on the way to `path` that other users cannot enter.
    private static func closedFolder(_ path: String) -> String? {
        guard let real = FileOperations.real(path) else { return nil }
        var folder = ""
        for part in real.split(separator: "/").dropLast() {
            folder += "/" + part
            guard let status = try? FileOperations.status(folder) else { return nil }
            if status.st_mode & 0o001 == 0 { return folder }
        }
        return nil
    }

    /// Says which granted paths the file system does not let a lambda's own user read.
    private func warn(of paths: [String], user: uid_t, in sandbox: inout LambdaSandbox) {
        for path in paths {
            guard let status = try? FileOperations.status(path) else { continue }
            let isFolder = FileOperations.kind(status) == .folder
            let shift: UInt32 = status.st_uid == user ? 6 : status.st_gid == user ? 3 : 0
            let wanted: UInt32 = (isFolder ? 0o5 : 0o4) << shift
            if status.st_mode & wanted == wanted { continue }
            let mode = String(status.st_mode & 0o777, radix: 8)
            sandbox.lacks.append(
                "its user \(user) cannot read \(path) (mode \(mode)): change that, or give it the host's user (`sandbox: { user: host }`)")
        }
    }

    private static func realFolder(_ path: String) -> String? {
        guard let real = FileOperations.real(path), let status = try? FileOperations.status(real), FileOperations.kind(status) == .folder
        else {
            return nil
        }
        return real == "/" ? nil : real
    }

    private static func holds(_ folder: String, _ path: String) -> Bool { path == folder || path.hasPrefix(folder + "/") }

    private func describe(_ sandbox: inout LambdaSandbox) {
        var words: [String] = []
        if let user = sandbox.user { words.append("user \(user)") }
        if !sandbox.namespaces.isEmpty || sandbox.userNamespace {
            let names = (sandbox.userNamespace ? ["user"] : []) + sandbox.namespaces.filter { $0 != "proc" }
            words.append("namespaces (\(names.joined(separator: ", ")))")
        }
        if sandbox.landlock > 0, !sandbox.readable.isEmpty { words.append("Landlock \(sandbox.landlock)") }
        if sandbox.filter != nil { words.append("seccomp") }
        if let groups { words.append(groups) }
        words.append("limits")
        sandbox.mechanisms = words
        if let noGroups, sandbox.tier != .off { sandbox.lacks.append(noGroups) }
        if sandbox.landlock > 0, sandbox.landlock < 6, sandbox.tier != .off {
            sandbox.lacks.append("signals are confined in workers, not while a plugin is loaded (Landlock 6 or newer does that)")
        }
    }
}
