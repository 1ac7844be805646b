import Foundation
import Glibc
import Testing

/// Plugins that keep the host busy in every way that the channel allows (ISOLATION row 56).
@Suite(.serialized, .ownThreads)
struct FloodTests {
    @Test(
        "A flood costs nobody but its own lambda anything",
        arguments: [
            ("claims", "protocol"), ("bells", "protocol"), ("emits", "protocol"), ("results", "protocol"), ("padding", "protocol"),
            ("nothing", "timeout"), ("logs", "timeout"), ("beats", "timeout"), ("lines", "timeout"),
        ])
    func flood(_ kind: String, _ verdict: String) async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [record] }, ill: { lambdas: [flood] }, works: { lambdas: [record] } }
            lambdas:
              flood: { timeout: 2s, timeout-max: 2s, grace: 200ms, retry: { crashes: 2, backoff: 1ms..2ms } }
            """, plugins: ["limits": .limits, "lambdas": .one])
        try await host.start()
        let pid = host.pid
        try await host.send([#"{"subject":"f","payload":"\#(kind)"}"#, #"{"subject":"f","payload":"well"}"#], to: "ill")
        let load = LoadSource(host: host, domain: "work", subjects: 20, batch: 4)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            #expect(await eventually { try await host.dead("flood").count == 1 && load.sent.count > 100 })
            load.stop()
            try await group.waitForAll()
        }
        try await host.settled()
        let deaths = try await host.deaths("flood")
        // One that moves its claims may hide what it had begun; then it has one death more.
        #expect(deaths.count == 2 || kind == "claims" && deaths.count <= 4, "\(deaths)")
        #expect(deaths.allSatisfy { $0.verdict == verdict }, "\(deaths)")
        #expect(deaths.allSatisfy { $0.subject == "f" && $0.offset == 0 })
        #expect(try await host.dead().map(\.reason) == ["crashes"])
        #expect(try await host.lambda("flood").succeeded == 1, "the event behind it")
        #expect(host.pid == pid && host.end() == nil)
        // The neighbour has gone on all the time.
        let record = host.record("record")
        #expect(record.finished.count == load.sent.count && load.sent.count > 100)
        #expect(record.inversions.isEmpty && record.overlaps.isEmpty && record.runs.values.allSatisfy { $0 == 1 })
        let neighbour = try #require(try await host.status().lambdas.first { $0.domain == "work" })
        #expect(neighbour.startMicros.p99 < 2_000_000, "\(neighbour.startMicros)")
        print(
            "flood of \(kind): \(load.sent.count) events of the neighbour, start p99 \(neighbour.startMicros.p99) µs; \(deaths.map(\.message))"
        )
        try await host.stop()
        #expect(host.children.isEmpty)
    }

    @Test("A worker that logs without end while it starts is ended by its boot time")
    func floodAtStart() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [record, flood] } }
            lambdas:
              flood: { boot: 700ms, config: { start: flood } }
            """, plugins: ["limits": .limits, "lambdas": .one])
        try await host.start(path: "/healthz")
        let load = LoadSource(host: host, domain: "work", subjects: 20, batch: 4)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            #expect(await eventually { try await host.lambda("flood").state == "broken" && load.sent.count > 100 })
            load.stop()
            try await group.waitForAll()
        }
        #expect(await eventually { host.record("record").finished.count == load.sent.count })
        let deaths = try await host.deaths("flood")
        #expect(deaths.count == 3 && deaths.allSatisfy { $0.verdict == "boot" }, "\(deaths)")
        try await host.stop()
    }
}
