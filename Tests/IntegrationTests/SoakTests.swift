import Foundation
import Glibc
import Testing

/// Row 53: kill -9 of workers, templates, keepers and the host at random moments, for CAPELET_SOAK_SECONDS (60).
@Suite(.serialized, .ownThreads)
struct SoakTests {
    @Test("What was accepted is what succeeded and what is a dead letter, in order, however long processes are killed")
    func randomKills() async throws {
        let seconds = setting("CAPELET_SOAK_SECONDS", default: 60)
        let host = try TestHost(
            """
            domains:
              work: { lambdas: [obey, after, loose, copy] }
              copies: { lambdas: [sink] }
            lambdas:
              obey: { workers: 2, retry: { attempts: 1000, backoff: 5ms..40ms, crashes: 2 } }
              after: { lambda: record, after: obey }
              loose: { lambda: record, workers: 2, config: { micros: 300 } }
              copy: { lambda: emit-copy, config: { to: copies } }
              sink: { lambda: record }
            """)
        try await host.start()
        let load = LoadSource(host: host, domain: "work", subjects: 40) { number in
            if number % 211 == 1 { return "\"abort\"" }
            return number % 17 == 2 ? "\"success at \(2 + number % 2)\"" : "\"e-\(number)\""
        }
        let end = ContinuousClock.now + .seconds(seconds)
        let longest = try await KillTests.kill(of: host, under: load) { _ in ContinuousClock.now < end }
        let sent = load.sent
        let doomed = Set(sent.filter { $0.number % 211 == 1 }.map(\.event))
        let all = Set(sent.map(\.event))
        try await host.settled(within: patience * 4) {
            host.record("sink").finished.count >= sent.count && host.record("loose").finished.count >= sent.count
        }

        #expect(longest < .seconds(1), "descendants outlived the host by \(longest)")
        let dead = try await host.dead("obey")
        #expect(Set(dead.map { RunRecord.Event(subject: $0.subject, sequence: $0.offset) }) == doomed)
        let finished = host.record("obey").finished
        #expect(
            finished.union(doomed) == all,
            "accepted = succeeded + dead-lettered: \(all.subtracting(finished.union(doomed)).count) are missing")
        #expect(finished.isDisjoint(with: doomed))
        #expect(host.record("after").finished == all.subtracting(doomed))
        #expect(host.record("loose").finished == all)
        let copies = try await host.events("copies")
        #expect(Set(copies.map(\.type)) == Set(sent.map { "copy-\($0.offset)" }) && copies.count == sent.count, "each emitted event once")
        for lambda in ["obey", "after", "loose", "sink"] {
            #expect(host.record(lambda).inversions == [], "\(lambda)")
            #expect(host.record(lambda).overlaps == [], "\(lambda)")
        }
        #expect(try await host.dead().allSatisfy { $0.lambda == "obey" && $0.reason == "crashes" })
        FaultTable.shared.note(
            row: 53, "random kills for \(seconds) s", .c, verdict: "\(sent.count) = \(finished.count) done + \(dead.count) dead letters",
            tier: .standard, failed: finished.count + dead.count != sent.count)
        try await host.stop()
        #expect(host.children.isEmpty)
    }
}
