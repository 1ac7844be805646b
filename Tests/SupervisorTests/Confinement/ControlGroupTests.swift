import Foundation
import Testing

@testable import Supervisor

/// Control groups on a made-up tree, since no machine has every layout. What the kernel itself does is seen in the fault matrix.
@Suite struct ControlGroupTests {
    /// A folder that looks like /proc and /sys of a machine.
    struct Tree: ~Copyable {
        let root = NSTemporaryDirectory() + "/capelet-groups-\(UUID().uuidString)"

        init(groups: String, mounts: String) throws {
            try write("proc/self/cgroup", groups)
            try write("proc/self/mountinfo", mounts)
        }

        deinit { try? FileManager.default.removeItem(atPath: root) }

        func write(_ path: String, _ text: String) throws {
            let url = URL(fileURLWithPath: root + "/" + path)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }

        func text(_ path: String) -> String { (try? String(contentsOfFile: root + "/" + path, encoding: .utf8)) ?? "" }

        func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }
    }

    static let limits = ControlGroups.Limits(memoryBytes: 100 << 20, tasks: 50, processors: 0.5)
    static let mountsOfOne = """
        30 24 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
        31 24 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        32 24 0:28 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids

        """

    @Test("Version 1: a group in each hierarchy, below the host's own")
    func first() throws {
        let tree = try Tree(groups: "4:memory:/app\n3:pids:/\n2:cpu,cpuacct:/app\n0::/\n", mounts: Self.mountsOfOne)
        for folder in ["cpu/app", "memory/app", "pids"] { try tree.write("sys/fs/cgroup/\(folder)/tasks", "") }
        let (opened, report) = ControlGroups.open(root: tree.root, name: "host")
        let groups = try #require(opened)
        #expect(report.words == "cgroup v1 (memory, cpu, pids)" && report.lacks == nil && report.hasProcessors)
        #expect(tree.text("sys/fs/cgroup/cpu/app/host/cpu.shares") == "512")

        let group = try groups.take(Self.limits)
        #expect(group.descriptors.count == 3)
        #expect(tree.text("sys/fs/cgroup/memory/app/host/1/memory.limit_in_bytes") == "\(100 << 20)")
        #expect(tree.text("sys/fs/cgroup/pids/host/1/pids.max") == "50")
        #expect(tree.text("sys/fs/cgroup/cpu/app/host/1/cpu.cfs_quota_us") == "50000")

        try tree.write("sys/fs/cgroup/memory/app/host/1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
        try tree.write("sys/fs/cgroup/memory/app/host/1/memory.max_usage_in_bytes", "12345\n")
        #expect(group.memoryKills == 3 && group.memoryPeak == 12345)
        groups.release(group)
        let again = try groups.take(Self.limits)
        #expect(again === group, "a free group is used again")
        #expect(again.memoryKills == 0, "what was counted before is not the new process's")
        let other = try groups.take(ControlGroups.Limits(memoryBytes: 1 << 20, tasks: 5))
        #expect(other !== group)
        groups.release(again)
        groups.release(other)
        groups.close()
        #expect(!tree.exists("sys/fs/cgroup/memory/app/host") && !tree.exists("sys/fs/cgroup/pids/host"))
    }

    @Test("Version 1 with fewer controllers says which are missing")
    func partial() throws {
        let tree = try Tree(
            groups: "4:memory:/\n", mounts: "31 24 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n")
        try tree.write("sys/fs/cgroup/memory/tasks", "")
        let report = ControlGroups.open(root: tree.root, name: "host").report
        #expect(report.words == "cgroup v1 (memory)" && report.lacks == "no control groups for cpu, pids" && !report.hasProcessors)
    }

    @Test("Version 2: the host moves into a group of its own, then divides what it was given")
    func second() throws {
        let tree = try Tree(
            groups: "0::/system.slice/capelet.service\n",
            mounts: "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n")
        let base = "sys/fs/cgroup/system.slice/capelet.service"
        try tree.write("\(base)/cgroup.controllers", "cpuset cpu io memory pids\n")
        try tree.write("\(base)/cgroup.subtree_control", "")
        try tree.write("\(base)/cgroup.procs", "\(getpid())\n")
        let (opened, report) = ControlGroups.open(root: tree.root, name: "c")
        let groups = try #require(opened)
        #expect(report.words == "cgroup v2 (memory, cpu, pids)" && report.lacks == nil)
        #expect(tree.text("\(base)/c-host/cgroup.procs") == "\(getpid())")
        #expect(tree.text("\(base)/cgroup.subtree_control") == "+memory +cpu +pids")
        #expect(tree.text("\(base)/c/cgroup.subtree_control") == "+memory +cpu +pids")
        let group = try groups.take(Self.limits)
        #expect(group.descriptors.count == 1, "one hierarchy, one file to write to")
        #expect(tree.text("\(base)/c/1/memory.max") == "\(100 << 20)" && tree.text("\(base)/c/1/memory.swap.max") == "0")
        #expect(tree.text("\(base)/c/1/memory.oom.group") == "1" && tree.text("\(base)/c/1/pids.max") == "50")
        #expect(tree.text("\(base)/c/1/cpu.max") == "50000 100000")
        try tree.write("\(base)/c/1/memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n")
        #expect(group.memoryKills == 1)
    }

    @Test("Version 2 that is not the host's to divide is left alone, and that is said")
    func notDelegated() throws {
        let tree = try Tree(
            groups: "0::/user.slice\n", mounts: "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        try tree.write("sys/fs/cgroup/user.slice/cgroup.controllers", "memory pids\n")
        try tree.write("sys/fs/cgroup/user.slice/cgroup.subtree_control", "")
        try tree.write("sys/fs/cgroup/user.slice/cgroup.procs", "1\n\(getpid())\n")
        let (groups, report) = ControlGroups.open(root: tree.root, name: "c")
        #expect(groups == nil && report.words == nil)
        #expect(report.lacks?.contains("other processes are in the host's group v2") == true)
        #expect(tree.text("sys/fs/cgroup/user.slice/cgroup.subtree_control") == "")
    }

    @Test("Version 2 mounted without controllers gives way to version 1")
    func mixed() throws {
        let tree = try Tree(
            groups: "4:memory:/\n3:pids:/\n2:cpu:/\n0::/\n",
            mounts: Self.mountsOfOne + "40 24 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")
        try tree.write("sys/fs/cgroup/unified/cgroup.controllers", "\n")
        for name in ["cpu", "memory", "pids"] { try tree.write("sys/fs/cgroup/\(name)/tasks", "") }
        #expect(ControlGroups.open(root: tree.root, name: "c").report.words == "cgroup v1 (memory, cpu, pids)")
    }

    @Test("Without any, the report says so")
    func none() throws {
        let tree = try Tree(groups: "0::/\n", mounts: "24 1 254:0 / / rw - ext4 /dev/vda rw\n")
        let (groups, report) = ControlGroups.open(root: tree.root)
        #expect(groups == nil && report.words == nil && !report.hasProcessors)
        #expect(report.lacks == "no control groups: no control groups are mounted that limit memory, cpu or pids")
    }

    @Test("In a container, the path of its own group is not part of what it sees")
    func container() throws {
        let mount = try #require(
            ControlGroupLayout.Mount(line: "31 24 0:27 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"))
        #expect(mount.folder(of: "/docker/ab/sub") == "/sys/fs/cgroup/memory/sub")
        #expect(mount.folder(of: "/docker/ab") == "/sys/fs/cgroup/memory")
        #expect(mount.folder(of: "/docker/abc") == "/sys/fs/cgroup/memory/docker/abc")
        #expect(ControlGroupLayout.Mount(line: "31 24 0:27 / /x ro") == nil)
    }
}
