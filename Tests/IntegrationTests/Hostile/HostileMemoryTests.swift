import Foundation
import Glibc
import Testing

/// Rows 13 to 15 and 18 to 20: plugins that eat what there is.
@Suite(.serialized, .ownThreads)
struct HostileMemoryTests {
    @Test("Private memory: ENOMEM or the verdict, and the host's memory is flat", arguments: Tier.allCases)
    func privateMemory(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["memory": "64MiB", "timeout": "10s"]) else { return }
        try await arena.warmUp()
        let before = ProcessTable.kilobytes(of: arena.host.pid, ["Rss"]) ?? 0
        try await arena.fight(
            Fault(row: 13, "private memory bomb", "private", "memory", end: .either, shows: { $0.answers("private") ?? "no answer" }))
        let after = ProcessTable.kilobytes(of: arena.host.pid, ["Rss"]) ?? .max
        #expect(after - before < 32 << 10, "the host has grown from \(before) to \(after) kB")
        if let answer = arena.answers("private") {
            #expect(answer.hasPrefix("ENOMEM at ") && (answer.mebibytes ?? .max) <= 64, "\(answer)")
        }
        try await arena.end()
    }

    @Test("Private memory in C++: bad_alloc or the verdict")
    func privateMemoryCpp() async throws {
        guard let arena = try await Arena.make(.cpp, tier: .standard, settings: ["memory": "64MiB", "timeout": "10s"]) else { return }
        try await arena.fight(
            Fault(row: 13, "private memory bomb", "private", "memory", end: .either, shows: { $0.answers("private") ?? "no answer" }))
        try await arena.end()
    }

    @Test("Shared memory, which the limit on data does not count, is bounded", arguments: Tier.allCases)
    func sharedMemory(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["memory": "64MiB", "timeout": "20s"]) else { return }
        try await arena.fight(
            Fault(
                row: 14, "shared memory bomb", "shared", "memory", end: .either, slowestMillis: 3000,
                shows: { $0.answers("shared") ?? "no answer" }))
        // Without a cgroup and without the host's own watch what bounds it is the address space: 4 GiB and four times the memory.
        if let answer = arena.answers("shared") {
            #expect(answer.hasPrefix("ENOMEM at ") && (answer.mebibytes ?? .max) <= 4352, "\(answer)")
        }
        try await arena.end()
    }

    @Test("A slow leak: the worker is replaced in time, and nothing is lost")
    func leak() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard, settings: ["memory": "64MiB", "timeout": "10s"]) else { return }
        let count = 300
        var fault = Fault(row: 15, "slow leak", "leak", shows: { _ in "replaced, nothing lost" })
        fault.groupsKept = 1
        try await arena.fight(fault) {
            try await arena.send((0..<count).map { ("leak-\($0 % 5)", "leak") })
        }
        #expect(try await arena.host.dead(Arena.villain).isEmpty)
        #expect(try await arena.host.deaths(Arena.villain).isEmpty, "it was replaced before it could die of its limit")
        try await arena.end()
    }

    @Test("Descriptors: EMFILE in the plugin only", arguments: [Tier.off, .standard])
    func descriptors(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["files": "64"]) else { return }
        try await arena.fight(Fault(row: 18, "descriptor leak", "descriptors", shows: { $0.answers("descriptors") ?? "no answer" }))
        let answer = arena.answers("descriptors") ?? ""
        #expect(answer.hasPrefix("EMFILE after ") && (answer.number ?? .max) < 64, "\(answer)")
        try await arena.end()
    }

    @Test("A giant file", arguments: Tier.allCases)
    func giantFile(_ tier: Tier) async throws {
        guard let arena = try await Arena.make(.c, tier: tier, settings: ["file-size": "1MiB", "timeout": "5s"]) else { return }
        try await arena.fight(Fault(row: 19, "giant file", "giant", "file-size", says: ["SIGXFSZ"]))
        let size = try FileManager.default.attributesOfItem(atPath: arena.host.folder.file("data/state/villain/giant"))[.size] as? Int
        #expect((size ?? .max) <= 1 << 20)
        try await arena.end()
    }

    @Test("64 MiB on each output and in the log: bounded, and nobody waits for ever")
    func outputFlood() async throws {
        guard let arena = try await Arena.make(.c, tier: .standard, settings: ["timeout": "20s", "log-rate": "64KiB"]) else { return }
        try await arena.fight(Fault(row: 20, "output flood", "flood", slowestMillis: 2000))
        let logs =
            Self.bytes(below: arena.host.folder.path, named: ["log", "output"]) + Self.bytes(below: arena.host.folder.file("data/logs"))
        #expect(logs < 4 << 20, "\(logs) bytes of logs")
        try await arena.end()
    }

    /// Size of the files in a folder; all, or those of these names.
    private static func bytes(below folder: String, named names: Set<String>? = nil) -> Int {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return all.filter { names?.contains($0) ?? true }.reduce(0) {
            $0 + ((try? FileManager.default.attributesOfItem(atPath: folder + "/" + $1)[.size] as? Int) ?? 0)
        }
    }
}

extension String {
    /// The number before ` MiB`.
    var mebibytes: Int? { split(separator: " ").dropLast().last.flatMap { Int($0) } }
    /// The last word, if it is a number.
    var number: Int? { split(separator: " ").last.flatMap { Int($0) } }
}
