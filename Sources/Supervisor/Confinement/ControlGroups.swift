internal import Glibc
internal import WorkerProtocol

/// The control groups of this host's workers: one for each template and each worker, below one for this host (ISOLATION §2).
///
/// Version 2 where the host's own group has been delegated to it (or it is root at the top), else version 1 where its folders can be written,
/// else none. What cannot be had is said in `Report`. A group that has become free is used again, because making and removing them takes
/// the kernel up to some milliseconds.
///
/// Engine's thread, after `open`. Blocks on the kernel's file systems only.
public final class ControlGroups {
    /// What is in force.
    public struct Report: Sendable, Equatable {
        /// In words: `cgroup v1 (memory, cpu, pids)`; nil: nothing.
        public var words: String?
        /// Why not all of it; nil: all is.
        public var lacks: String?
        /// Whether processor time is shared between groups.
        public var hasProcessors = false
        /// Whether processes and threads are counted by group.
        public var hasTasks = false

        /// Nothing, and why.
        public init(lacks: String? = nil) { self.lacks = lacks }
    }

    /// What one group may use.
    struct Limits: Equatable {
        var memoryBytes: UInt64
        /// Processes and threads.
        var tasks: Int
        /// Processors' worth of time; nil: no limit.
        var processors: Double?
    }

    let layout: ControlGroupLayout
    let report: Report
    private var free: [ControlGroup] = []
    private var doomed: [ControlGroup] = []
    private var count = 0

    /// Free groups that are kept.
    private static let freeMax = 32

    init(layout: ControlGroupLayout) {
        self.layout = layout
        report = layout.report
    }

    /// Finds out what can be used and makes the host's own group. nil: none; the report says why.
    ///
    /// - Parameters:
    ///   - root: `/`, or a made-up tree for tests.
    ///   - name: the name of the host's own group; nil: one with its pid.
    public static func open(root: String = "", name: String? = nil) -> (groups: ControlGroups?, report: Report) {
        let (layout, lacks) = ControlGroupLayout.find(root: root, name: name ?? "capelet-\(getpid())")
        guard let layout else { return (nil, Report(lacks: lacks)) }
        return (ControlGroups(layout: layout), layout.report)
    }

    /// A group with these limits.
    func take(_ limits: Limits) throws(SystemCallError) -> ControlGroup {
        sweep()
        if let index = free.lastIndex(where: { $0.limits == limits }) {
            let group = free.remove(at: index)
            do throws(SystemCallError) {
                try group.beginAnew()
                return group
            } catch {
                if !group.remove() { doomed.append(group) }
                throw error
            }
        }
        count += 1
        return try ControlGroup(layout: layout, name: "\(count)", limits: limits)
    }

    /// Gives a group back whose processes are dead.
    func release(_ group: ControlGroup) {
        if group.isEmpty, free.count < Self.freeMax, layout.canReset {
            free.append(group)
        } else if !group.remove() {
            doomed.append(group)
        }
    }

    /// Tries again to remove groups that still had a process when they were given back.
    private func sweep() { doomed.removeAll { $0.remove() } }

    /// Removes everything. The processes have to be gone.
    func close() {
        for group in free { _ = group.remove() }
        free = []
        for _ in 0..<100 where !doomed.isEmpty {
            sweep()
            if !doomed.isEmpty { usleep(1000) }
        }
        layout.remove()
    }
}
