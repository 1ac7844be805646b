import Foundation
import Glibc
import Testing

/// Row 52: a process that got the pid of a dead worker is nobody's to signal. Only root can choose the next pid.
@Suite(.serialized, .ownThreads, .enabled(if: TestUser.isRoot, "only root can choose the next pid"))
struct HostileReuseTests {
    @Test("A stranger under a dead worker's pid, and under a dead template's, outlives timeouts, reloads and the end of the host")
    func strangers() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard) else { return }
        var strangers: [ChildProcess] = []
        for isTemplate in [true, false] {
            // Others take pids too: then it is another pid's turn.
            for _ in 0..<8 {
                try await arena.warmUp()
                let worker = try await arena.worker()
                let keeper = ProcessTable.parent(of: worker) ?? 0
                let template = arena.host.children.first { $0.parent == keeper && $0.pid != worker }?.pid
                guard let pid = isTemplate ? template : worker else { continue }
                kill(pid, SIGKILL)
                #expect(await eventually { ProcessTable.parent(of: pid) != keeper }, "its keeper reaps it")
                guard let stranger = try await Self.stranger(pid, folder: arena.host.folder) else { continue }
                strangers.append(stranger)
                break
            }
        }
        #expect(strangers.count == 2, "the pids could not be had")
        // Everything that makes the host kill: a deadline, a reload, the end.
        for word in ["sleep", "spin", "abort"] { try await arena.send([("s", word), ("s", "success")]) }
        try await arena.settled()
        try HostilePlugins.install(HostilePlugins.path("faults"), as: "hostile", in: arena.host)
        try arena.host.route(Arena.routing(lambda: "villain", tier: .standard, settings: ["files": "99"]))
        #expect(try await arena.host.capelet("reload").code == 0)
        try await arena.warmUp()
        try await arena.end()
        for stranger in strangers {
            #expect(stranger.poll() == nil, "somebody has signalled the process that got pid \(stranger.pid)")
            stranger.send(SIGKILL)
            try await stranger.wait()
        }
        FaultTable.shared.note(row: 52, "pid reuse", .c, verdict: "nobody else signalled", tier: .standard)
    }

    /// A process of ours with this pid; nil: others were faster.
    private static func stranger(_ pid: pid_t, folder: TestFolder) async throws -> ChildProcess? {
        for _ in 0..<40 where kill(pid, 0) != 0 {
            try Data("\(pid - 1)".utf8).write(to: URL(fileURLWithPath: "/proc/sys/kernel/ns_last_pid"))
            let child = try ChildProcess("sleep", ["600"], output: folder.file("stranger"), errors: folder.file("stranger"))
            if child.pid == pid { return child }
            child.send(SIGKILL)
            try await child.wait()
        }
        return nil
    }
}
