import Foundation
import Glibc
import Testing

/// Rows 32 to 36 and 46: plugins that cannot be loaded, or die of it.
@Suite(.serialized, .ownThreads)
struct HostileLoadTests {
    /// A host that serves a good plugin. A bad one that takes its place is refused in words, and the good one serves on.
    private func refuse(_ rows: [(row: Int, fault: String, plugin: String, says: [String])]) async throws {
        guard let arena = try await Arena.make(.c, tier: .standard, settings: ["boot": "2s"]) else { return }
        try await arena.warmUp()
        for (row, fault, plugin, says) in rows {
            let before = await arena.snapshot()
            try HostilePlugins.install(HostilePlugins.path(plugin), as: "hostile", in: arena.host)
            let begin = ContinuousClock.now
            let answer = try await arena.host.capelet("reload")
            let took = ContinuousClock.now - begin
            #expect(answer.code == 1, "\(fault): \(answer)")
            #expect(took < .seconds(20), "\(fault): within the boot timeout, \(took)")
            let status = try await arena.host.status()
            #expect(status.lastReload?.ok == false, "\(fault)")
            for word in says {
                #expect(
                    status.lastReload?.message.contains(word) == true, "\(fault): '\(word)' is not in \(status.lastReload?.message ?? "")")
            }
            // The old one serves on, also with a worker that is made now.
            if let worker = try await arena.status().workers.first { kill(worker.pid, SIGKILL) }
            let goal = try await arena.status().succeeded + 2
            try await arena.send([("s", "success"), ("s", "success")])
            #expect(await eventually { try await arena.status().succeeded >= goal }, "\(fault): the old generation serves")
            let after = await arena.snapshot(like: before)
            #expect(after == before, "\(fault)")
            let message = status.lastReload?.message ?? ""
            FaultTable.shared.note(
                row: row, fault, .c, verdict: "refused: " + Self.gist(message), tier: .standard,
                failed: status.lastReload?.ok != false || after != before)
        }
        arena.load.stop()
        try await arena.host.stop()
        #expect(arena.host.children.isEmpty)
    }

    /// The end of a message, which is where the reason stands.
    private static func gist(_ message: String) -> String {
        let line = message.split(separator: "\n").first.map(String.init) ?? ""
        return line.count > 60 ? "…" + line.suffix(60) : line
    }

    @Test("No shared object, a wrong machine, a missing symbol, a missing library, too much static TLS: the loader's words")
    func loadErrors() async throws {
        try await refuse([
            (32, "no shared object", "loads-text", ["hostile.so"]), (32, "wrong machine", "loads-machine", ["hostile.so"]),
            (33, "missing symbol", "loads-symbol", ["a_function_that_nobody_has"]),
            (33, "missing library", "loads-library", ["libgone.so"]), (35, "static TLS exhausted", "loads-storage", ["TLS"]),
        ])
    }

    @Test("A constructor that crashes or hangs, a table that crashes")
    func constructors() async throws {
        try await refuse([
            (34, "constructor crashes", "loads-crash", ["no load today"]), (34, "constructor hangs", "loads-hang", ["hostile"]),
            (34, "entry point crashes", "loads-table", ["hostile"]),
        ])
    }

    @Test("Threads at load mean exec mode, logged", arguments: Tier.allCases)
    func threadsAtLoad(_ tier: Tier) async throws {
        let arena = try await Arena(HostilePlugins.path("loads-thread"), tier: tier, settings: ["timeout": "2s"])
        try await arena.fight(Fault(row: 36, "threads at load", "thread", shows: { _ in "exec mode" }))
        #expect(arena.host.log.contains("starts threads while loading"))
        #expect(try await arena.host.capelet("lambdas").output.contains("exec"))
        try await arena.end()
    }

    @Test("A crash at every start opens the breaker; no CPU is burnt, the neighbour goes on")
    func crashAtStart() async throws {
        let arena = try await Arena(HostilePlugins.path("faults"), lambda: "start-dies", settings: ["boot": "2s"])
        try await arena.send([("s", "success"), ("s", "success")])
        #expect(
            await eventually {
                let lambda = try await arena.status()
                return lambda.state == "broken" || lambda.state == "failed" || lambda.reason != nil
            })
        #expect(await eventually(within: .seconds(10)) { try await arena.host.deaths(Arena.villain).count >= 3 })
        // It has been given up or waits half a minute: nothing more dies.
        var deaths = 0
        _ = await eventually(within: .seconds(10), every: .milliseconds(300)) {
            let now = try await arena.host.deaths(Arena.villain).count
            defer { deaths = now }
            return now == deaths
        }
        #expect(deaths <= 8, "\(deaths) deaths")
        let lambda = try await arena.status()
        #expect(lambda.lag + UInt64(lambda.waiting + lambda.deferred) > 0, "its events wait: \(lambda)")
        #expect(try await arena.host.dead(Arena.villain).isEmpty, "no event is to blame")
        let death = try await arena.host.deaths(Arena.villain).first
        #expect(death?.verdict == "boot" && death?.stderrTail.contains("no start today") == true, "\(String(describing: death))")
        let before = Self.cpuTicks(arena.host.pid)
        await pause(.seconds(1))
        let used = Self.cpuTicks(arena.host.pid) - before
        #expect(used < 50, "the host used \(used) ticks of CPU in a second")
        FaultTable.shared.note(
            row: 46, "crash at every start", .c, verdict: "\(death?.verdict ?? "?"), held after \(deaths)", tier: .standard)

        // A plugin that starts: a reload brings it, and what waited is handled.
        try arena.host.route(Arena.routing(lambda: "villain", tier: .standard, settings: [:]))
        #expect(try await arena.host.capelet("reload").code == 0)
        try await arena.settled()
        #expect(try await arena.status().succeeded == 2)
        try await arena.end()
    }

    /// CPU time of a process, in ticks of 10 ms.
    private static func cpuTicks(_ pid: pid_t) -> Int {
        let text = FileManager.default.contents(atPath: "/proc/\(pid)/stat").map { String(decoding: $0, as: UTF8.self) } ?? ""
        let fields = (text.components(separatedBy: ") ").last ?? "").split(separator: " ")
        return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
    }
}
