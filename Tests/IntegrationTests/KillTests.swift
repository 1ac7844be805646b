import Foundation
import Glibc
import Synchronization
import Testing

/// kill -9 of every kind of process at random moments under load. CAPELET_KILL_ROUNDS sets how often.
@Suite(.serialized, .ownThreads)
struct KillTests {
    private enum Victim: String { case worker, template, keeper, host }

    @Test("Nothing is lost, doubled or out of order, whatever is killed")
    func nothingIsLost() async throws {
        let rounds = setting("CAPELET_KILL_ROUNDS", default: 25)
        let host = try TestHost(
            """
            domains:
              work: { lambdas: [first, second, copy] }
              copies: { lambdas: [sink] }
            lambdas:
              first: { lambda: record, workers: 2, config: { micros: 300 } }
              second: { lambda: record, after: first }
              copy: { lambda: emit-copy, workers: 2, config: { to: copies } }
              sink: { lambda: record, workers: 2 }
            """)
        try await host.start()
        let load = LoadSource(host: host, domain: "work", subjects: 24)
        let longest = try await Self.kill(of: host, under: load) { $0 < rounds }
        let sent = load.sent
        let expected = Set(sent.map(\.event))
        try await host.settled { host.record("second").finished.count >= sent.count && host.record("sink").finished.count >= sent.count }

        #expect(sent.count > rounds * 10)
        #expect(longest < .seconds(1), "descendants outlived the host")
        for lambda in ["first", "second"] {
            let record = host.record(lambda)
            let missing = expected.subtracting(record.finished).count
            #expect(record.finished == expected, "\(lambda): \(missing) of \(expected.count) are missing")
            #expect(record.inversions.isEmpty, "\(lambda)")
            #expect(record.overlaps.isEmpty, "\(lambda)")
        }
        let copies = try await host.events("copies")
        let counts = copies.reduce(into: [:]) { $0[$1.type, default: 0] += 1 }
        #expect(Set(counts.keys) == Set(sent.map { "copy-\($0.offset)" }))
        #expect(counts.values.allSatisfy { $0 == 1 }, "emitted events are in the journal once")
        let sink = host.record("sink")
        #expect(sink.finished == Set(copies.map { RunRecord.Event(subject: $0.subject, sequence: $0.sequence) }))
        #expect(sink.inversions.isEmpty)
        let events = try await host.events("work")
        #expect(events.count == sent.count && Set(events.map(\.id)) == Set(sent.map(\.id)), "each accepted event is in the journal once")
        #expect(try await host.dead().map(\.error) == [])
        try await host.stop()
        #expect(host.children.isEmpty)
    }

    @Test("Failures, crashes and large payloads keep their order and their ends under kills and reloads")
    func failuresUnderKills() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [obey, after, loose] } }
            lambdas:
              obey: { workers: 2, retry: { attempts: 40, backoff: 5ms..40ms, crashes: 2 } }
              after: { lambda: record, after: obey }
              loose: { lambda: record, workers: 2, order: none }
            """)
        try await host.start()
        let large = String(repeating: "x", count: 300_000)
        let load = LoadSource(host: host, domain: "work", subjects: 40) { number in
            if number % 83 == 1 { return "\"abort\"" }
            if number % 9 == 2 { return "\"success at \(2 + number % 3)\"" }
            return number % 61 == 5 ? "\"\(large)\"" : "\"e-\(number)\""
        }
        let rounds = setting("CAPELET_KILL_ROUNDS", default: 25)
        try await Self.kill(of: host, under: load, reloading: true) { $0 < rounds }
        let sent = load.sent
        let doomed = Set(sent.filter { $0.number % 83 == 1 }.map(\.event))
        let expected = Set(sent.map(\.event)).subtracting(doomed)
        try await host.settled { host.record("after").finished.count >= expected.count }

        for lambda in ["obey", "after"] {
            let record = host.record(lambda)
            let missing = expected.subtracting(record.finished).count
            #expect(record.finished == expected, "\(lambda): \(missing) of \(expected.count) are missing")
            #expect(record.inversions == [], "\(lambda)")
            #expect(record.overlaps == [], "\(lambda)")
        }
        #expect(host.record("loose").finished == Set(sent.map(\.event)))
        let dead = try await host.dead()
        #expect(Set(dead.map(\.offset)) == Set(doomed.map(\.sequence)))
        #expect(dead.count == doomed.count)
        #expect(dead.allSatisfy { $0.lambda == "obey" && $0.reason == "crashes" && $0.crashes == 2 }, "\(dead)")
        try await host.stop()
        #expect(host.children.isEmpty)
    }

    /// Kills at random moments while the load goes on, as long as `goesOn` says so of a round's number. Returns how long descendants have
    /// outlived the host.
    @discardableResult
    static func kill(
        of host: TestHost, under load: LoadSource, reloading: Bool = false, while goesOn: @Sendable @escaping (Int) -> Bool
    ) async throws -> Duration {
        var killed: [Victim: Int] = [:]
        var longest = Duration.zero
        var rounds = 0
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            while goesOn(rounds) {
                let round = rounds
                rounds += 1
                await pause(.milliseconds(Int.random(in: 20...250)))
                if reloading && round % 3 == 1 {
                    try (round % 2 == 0 ? LambdaPlugin.one : .two).install(in: host.folder.file("plugins"))
                    host.send(SIGHUP)
                    await pause(.milliseconds(Int.random(in: 0...100)))
                }
                // The host's turn comes every fourth time, or nothing else is killed for long enough to work.
                let victim: Victim = round % 4 == 3 ? .host : [.worker, .template, .keeper].randomElement()!
                killed[victim, default: 0] += 1
                if victim == .host {
                    longest = max(longest, try await host.kill())
                    try await host.start()
                } else {
                    await killOne(victim, of: host)
                }
            }
            load.stop()
            try await group.waitForAll()
        }
        let list = killed.map { "\($0.value) \($0.key.rawValue)" }.sorted().joined(separator: ", ")
        print("kill rounds: \(rounds) (\(list)), \(load.sent.count) events, descendants gone after \(longest)")
        return longest
    }

    private static func killOne(_ victim: Victim, of host: TestHost) async {
        guard let lambdas = try? await host.status().lambdas else { return }
        // A worker that is still to be made has no number yet; 0 would stand for this process's own group.
        let workers = Set(lambdas.flatMap(\.workers).map(\.pid).filter { $0 > 0 })
        let children = host.children
        let keepers = children.filter { $0.parent == host.pid }.map(\.pid)
        let candidates =
            switch victim {
            case .worker: Array(workers)
            case .keeper: keepers
            default: children.filter { keepers.contains($0.parent) && !workers.contains($0.pid) }.map(\.pid)
            }
        if let pid = candidates.randomElement() { Glibc.kill(pid, SIGKILL) }
    }

    @Test("What was acknowledged before a kill is there after it, and known by its id")
    func durability() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        var sent: [String: UInt64] = [:]
        for round in 0..<setting("CAPELET_DURABILITY_ROUNDS", default: 4) {
            let lines = (0..<40).map { #"{"subject":"s\#($0 % 7)","id":"id-\#(round)-\#($0)","payload":"p"}"# }
            let answers = try await host.send(lines, to: "work")
            for (index, answer) in answers.enumerated() { sent["id-\(round)-\(index)"] = answer.offset }
            try await host.kill()
            try await host.start()
            let again = try await host.send(lines, to: "work")
            #expect(again.allSatisfy { $0.duplicate == true })
            #expect(again.compactMap(\.offset) == answers.compactMap(\.offset))
        }
        let events = try await host.events("work")
        #expect(events.count == sent.count)
        for event in events { #expect(sent[event.id] == event.offset) }
        try await host.settled()
        let record = host.record("record")
        #expect(Set(record.finished.map(\.sequence)) == Set(sent.values))
        #expect(record.inversions.isEmpty)
        try await host.stop()
    }
}
