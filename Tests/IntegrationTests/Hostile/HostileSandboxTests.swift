import CLinux
import Foundation
import Glibc
import Testing

/// Rows 22 to 24, 51 and 57: what a sandbox denies, by tier. `off` has limits only, which these tests say too.
@Suite(.serialized, .ownThreads)
struct HostileSandboxTests {
    /// What a sandbox answers to what it denies. (ESRCH: in a namespace of its own there is no such process. EROFS: what covers a folder
    /// cannot be written. EAFNOSUPPORT, ENETUNREACH,
    /// ECONNREFUSED: in a network of its own there is nobody.)
    private static let denials = [
        "EPERM", "EACCES", "ESRCH", "EAGAIN", "ENOSYS", "EAFNOSUPPORT", "ENETUNREACH", "ENOENT", "EROFS", "killed",
    ]

    /// Tries one thing; the answer is an error's name, `ok`, or `killed` if it cost the worker its life.
    private func attempt(
        _ arena: Arena, row: Int, _ fault: String, _ word: String, denied: Bool?, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let deaths = try await arena.host.deaths(Arena.villain).count
        try await arena.send([("probe", word)])
        try await arena.settled()
        let new = try await arena.host.deaths(Arena.villain).dropFirst(deaths)
        #expect(new.allSatisfy { $0.verdict == "seccomp" }, "\(word): \(new)", sourceLocation: sourceLocation)
        let answer = new.isEmpty ? arena.answers(word) ?? "no answer" : "killed"
        let isDenied = Self.denials.contains(answer)
        if let denied {
            #expect(isDenied == denied, "\(word) in tier \(arena.tier.rawValue): \(answer)", sourceLocation: sourceLocation)
        }
        FaultTable.shared.note(
            row: row, fault, .c, verdict: answer == "killed" ? "seccomp" : answer, tier: arena.tier,
            failed: denied.map { $0 != isDenied } ?? false)
    }

    private func probe(_ tier: Tier, sandbox: String = "", settings: [String: String] = [:]) async throws -> Arena {
        try await Arena(
            HostilePlugins.path("probe"), lambda: "probe", tier: tier, settings: settings.merging(["timeout": "5s"]) { given, _ in given },
            sandbox: sandbox)
    }

    @Test("System calls that no lambda needs", arguments: Tier.allCases)
    func systemCalls(_ tier: Tier) async throws {
        let arena = try await probe(tier)
        try await arena.warmUp()
        let before = await arena.snapshot()
        let denied = tier != .off
        for word in ["fork", "clone", "exec"] { try await attempt(arena, row: 22, word, word, denied: denied) }
        for word in ["mount", "bpf", "unshare", "io_uring", "raw socket"] {
            try await attempt(arena, row: 22, word, word, denied: denied ? true : nil)
        }
        // Whatever the tier: hard limits are hard. Root has a capability for it, unless it was taken away.
        try await attempt(arena, row: 22, "raise a limit", "limit", denied: denied || !TestUser.isRoot ? true : nil)
        try await arena.warmUp()
        #expect(await arena.snapshot(like: before) == before)
        try await arena.end()
    }

    @Test("Secrets of the host, of other lambdas, of the machine; kill and ptrace of the host and of siblings", arguments: Tier.allCases)
    func secrets(_ tier: Tier) async throws {
        let arena = try await probe(tier)
        try await arena.warmUp()
        let before = await arena.snapshot()
        let folder = arena.host.folder
        try folder.write("secret", "hidden")
        let denied = tier == .off ? nil : true
        let neighbour = try #require(try await arena.host.lambda(Arena.neighbour).workers.first?.pid)
        for (name, path) in [
            ("a file beside the data", folder.file("secret")), ("the journal", folder.file("data/journal.sqlite")),
            ("the routing file", arena.host.config), ("another lambda's state", folder.file("data/state/neighbour/record")),
            ("another plugin", folder.file("plugins/neighbour.so")), ("the host's environment", "/proc/\(arena.host.pid)/environ"),
            ("/root", "/root/.profile"), ("/etc/shadow", "/etc/shadow"),
        ] {
            let isThere = FileManager.default.fileExists(atPath: path) || path.hasPrefix("/root")
            if isThere { try await attempt(arena, row: 23, "reads \(name)", "read \(path)", denied: denied) }
        }
        try await attempt(arena, row: 23, "reads what every program needs", "read /etc/ld.so.cache", denied: false)
        try await attempt(arena, row: 23, "writes /tmp", "write /tmp/capelet-probe-\(arena.host.pid)", denied: denied)
        try? FileManager.default.removeItem(atPath: "/tmp/capelet-probe-\(arena.host.pid)")
        try await attempt(arena, row: 23, "writes its own state folder", "write \(folder.file("data/state/villain/own"))", denied: false)
        try await attempt(
            arena, row: 23, "writes another's state folder", "write \(folder.file("data/state/neighbour/theirs"))", denied: denied)
        for (name, pid) in [("the host", arena.host.pid), ("a sibling", neighbour)] {
            try await attempt(arena, row: 23, "signals \(name)", "signal \(pid)", denied: denied)
            try await attempt(arena, row: 23, "reads memory of \(name)", "memory \(pid)", denied: denied)
            // In `off` that would be the end of it.
            guard tier != .off else { continue }
            try await attempt(arena, row: 23, "ptraces \(name)", "ptrace \(pid)", denied: true)
            try await attempt(arena, row: 23, "kills \(name)", "kill \(pid)", denied: true)
        }
        #expect(arena.host.end() == nil)
        try await arena.warmUp()
        #expect(await arena.snapshot(like: before) == before)
        try await arena.end()
    }

    @Test("Paths that `read:` and `write:` grant can be used", arguments: [Tier.standard, .strict])
    func grants(_ tier: Tier) async throws {
        let granted = try TestFolder()
        try granted.write("in/file", "open")
        try granted.write("out/file", "")
        for name in ["", "in", "out"] { chmod(granted.file(name), 0o777) }
        chmod(granted.file("in/file"), 0o644)
        let arena = try await probe(tier, sandbox: "read: [\"\(granted.file("in"))\"], write: [\"\(granted.file("out"))\"]")
        try await arena.warmUp()
        try await attempt(arena, row: 23, "reads what `read:` grants", "read \(granted.file("in/file"))", denied: false)
        try await attempt(arena, row: 23, "writes what `read:` grants", "write \(granted.file("in/new"))", denied: true)
        try await attempt(arena, row: 23, "writes what `write:` grants", "write \(granted.file("out/new"))", denied: false)
        try await arena.end()
    }

    @Test("TCP and UDP, without and with `network:`", arguments: Tier.allCases)
    func network(_ tier: Tier) async throws {
        for isGranted in tier == .off ? [false] : [false, true] {
            let arena = try await probe(tier, sandbox: isGranted ? "network: true" : "")
            try await arena.warmUp()
            let port = try #require(try await arena.host.status().port)
            let denied = tier == .off ? nil : !isGranted
            let suffix = isGranted ? ", granted" : ""
            try await attempt(arena, row: 24, "TCP out\(suffix)", "tcp \(port)", denied: denied)
            try await attempt(arena, row: 24, "UDP out\(suffix)", "udp \(port)", denied: denied)
            try await arena.end()
        }
    }

    @Test("A constructor that makes libc's calls do nothing changes no limit, verdict or death", arguments: Tier.allCases)
    func patchedLibrary(_ tier: Tier) async throws {
        let arena = try await Arena(
            HostilePlugins.path("loads-patch"), tier: tier, settings: ["files": "77", "memory": "99MiB", "file-size": "7MiB"])
        try await arena.warmUp()
        let worker = try await arena.worker()
        let limits = FileManager.default.contents(atPath: "/proc/\(worker)/limits").map { String(decoding: $0, as: UTF8.self) } ?? ""
        func hard(_ name: String) -> String? {
            limits.split(separator: "\n").first { $0.hasPrefix(name) }?.dropFirst(26).split(separator: " ").dropFirst().first.map(
                String.init)
        }
        #expect(hard("Max open files") == "77", "\(limits)")
        #expect(hard("Max data size") == "\(99 << 20)", "\(limits)")
        #expect(hard("Max file size") == "\(7 << 20)", "\(limits)")
        let status = FileManager.default.contents(atPath: "/proc/\(worker)/status").map { String(decoding: $0, as: UTF8.self) } ?? ""
        func field(_ name: String) -> String? {
            status.split(separator: "\n").first { $0.hasPrefix(name + ":") }?.split(separator: "\t").last.map(String.init)
        }
        #expect(field("NoNewPrivs") == "1", "\(status)")
        if tier != .off {
            #expect(field("Seccomp") == "2", "\(status)")
            #expect(field("CapEff") == "0000000000000000", "\(status)")
        }
        try await arena.fight(Fault(row: 57, "constructor patches libc, then abort", "abort", "signal", says: ["SIGABRT"]))
        try await arena.fight(Fault(row: 57, "constructor patches libc, then hangs", "sleep", "timeout"))
        try await arena.send([("s", "sleep")])
        #expect(await eventually { try await arena.status().inFlight > 0 })
        arena.load.stop()
        #expect(try await arena.host.kill() < .seconds(1))
    }

    @Test("A constructor that makes libc's way to the kernel do nothing harms its own lambda only", arguments: [Tier.standard, .strict])
    func patchedSystemCall(_ tier: Tier) async throws {
        let arena = try await Arena(HostilePlugins.path("loads-patch-all"), tier: tier)
        // Whether anything can be made of it is its own affair: the process that is to be copied may run on as its own copy.
        try await arena.send([("s", "success"), ("s", "abort")])
        _ = await eventually(within: .seconds(3)) { try await arena.status().lag == 0 }
        FaultTable.shared.note(
            row: 57, "constructor patches syscall()", .c,
            verdict: (try await arena.host.deaths(Arena.villain).last?.verdict) ?? "not served",
            tier: tier)
        try await arena.end()
    }

    @Test("The tier in force is said, for each plugin, and why", arguments: Tier.allCases)
    func tierIsSaid(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier) else { return }
        try await arena.warmUp()
        let shown = try await arena.host.capelet("status")
        #expect(shown.output.contains(tier.rawValue), "\(shown.output)")
        FaultTable.shared.note(
            row: 51, "tier is stated", .c, verdict: shown.output.contains(tier.rawValue) ? "in status" : "not in status", tier: tier,
            failed: !shown.output.contains(tier.rawValue))
        try await arena.end()
    }
}
