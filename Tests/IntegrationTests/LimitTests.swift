import Foundation
import Glibc
import Testing

/// What lambdas may use up, and what is said and kept when they do (ISOLATION §2, §3, rows 12, 13, 15).
@Suite(.serialized, .ownThreads)
struct LimitTests {
    private static let plugins: [String: LambdaPlugin] = ["limits": .limits, "lambdas": .one]

    @Test("A run that uses up its CPU time is ended without any deadline; a worker that has used much in all is not")
    func cpuTime() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [use, batch, record] } }
            lambdas:
              use: { timeout: none, cpu: 400ms, retry: { crashes: 2, backoff: 10ms..20ms } }
              batch: { lambda: poison-batch, timeout: none, cpu: 400ms }
            """, plugins: Self.plugins)
        try await host.start()
        // Well within the limit each, far beyond it together.
        try await host.send((0..<8).map { #"{"subject":"s\#($0 % 2)","payload":"burn 150"}"# }, to: "work")
        try await host.settled()
        let before = try #require(try await host.lambda("use").workers.first?.pid)
        #expect(try await host.deaths("use").isEmpty)
        #expect(Set(host.record("use").lines.map(\.pid)) == [Int(before)], "one worker has run them all")

        try await host.send(
            [#"{"subject":"ill","payload":"spin"}"#, #"{"subject":"ill","payload":"ok"}"#, #"{"subject":"well","payload":"burn 100"}"#],
            to: "work")
        try await host.settled()
        let deaths = try await host.deaths("use")
        #expect(deaths.map(\.verdict) == ["cpu-limit", "cpu-limit"])
        #expect(deaths.allSatisfy { $0.subject == "ill" && $0.offset == 8 && $0.openEvents == 1 && $0.cpuMicros >= 400_000 }, "\(deaths)")
        #expect(deaths.allSatisfy { $0.message.contains("for one run, of 400") }, "\(deaths)")
        let letters = try await host.dead()
        #expect(letters.map(\.subject) == ["ill"] && letters.first?.reason == "crashes" && letters.first?.crashes == 2)
        #expect(try await host.lambda("use").succeeded == 10)
        #expect(try await host.lambda("record").succeeded == 11)
        try await host.stop()
    }

    @Test("A leaking worker is replaced at the watermark: nothing is lost, run twice, out of order or counted as a failure")
    func leak() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [use] } }
            lambdas:
              use: { memory: 256MiB, recycle: { memory: 30% }, config: { leak-kib: 256, micros: 3000 } }
            """, plugins: Self.plugins)
        try await host.start()
        let count = 1600
        try await host.send((0..<count).map { #"{"subject":"s\#($0 % 20)","payload":"x"}"# }, to: "work")
        try await host.settled()
        let lambda = try await host.lambda("use")
        #expect(lambda.succeeded == UInt64(count) && lambda.retried == 0)
        #expect(lambda.recycled["memory"] ?? 0 >= 1 && lambda.crashes.isEmpty, "\(lambda)")
        #expect(try await host.deaths("use").isEmpty)
        #expect(try await host.dead().isEmpty)
        let record = host.record("use")
        #expect(record.finished.count == count && record.inversions.isEmpty && record.overlaps.isEmpty)
        #expect(record.runs.values.allSatisfy { $0 == 1 })
        #expect(Set(record.lines.map(\.pid)).count >= 2)
        #expect(try await host.get("/metrics").text.contains(#"capelet_lambda_recycled_total{lambda="use",domain="work",reason="memory"}"#))
        #expect(try await host.capelet("status").output.contains("memory \(lambda.recycled["memory"] ?? 0)"))
        try await host.stop()
    }

    @Test("Workers are replaced after so many events, and at an age")
    func eventsAndAge() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [counted, aged] } }
            lambdas:
              counted: { lambda: record, plugin: lambdas, recycle: { events: 50 }, config: { micros: 3000 } }
              aged: { lambda: record, plugin: lambdas, workers: 2, recycle: { age: 1s }, config: { micros: 3000 } }
            """, plugins: Self.plugins)
        try await host.start()
        let load = LoadSource(host: host, domain: "work", subjects: 12)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            let isDone = await eventually {
                let (counted, aged) = (try await host.lambda("counted").recycled, try await host.lambda("aged").recycled)
                return counted["events"] ?? 0 >= 2 && aged["age"] ?? 0 >= 3
            }
            #expect(isDone)
            load.stop()
            try await group.waitForAll()
        }
        try await host.settled()
        let expected = Set(load.sent.map(\.event))
        for name in ["counted", "aged"] {
            let record = host.record(name)
            #expect(record.finished == expected && record.inversions.isEmpty && record.overlaps.isEmpty)
            #expect(record.runs.values.allSatisfy { $0 == 1 }, "no run is interrupted")
            #expect(try await host.deaths(name).isEmpty)
        }
        #expect(await eventually { host.children.count <= 2 + 2 + 1 + 2 }, "\(host.children)")
        try await host.stop()
    }

    @Test("A death record tells event, verdict, memory, CPU, times and last words, and is there after kill -9 of the host")
    func deathRecords() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [use] } }
            lambdas: { use: { memory: 64MiB, retry: { crashes: 1 } } }
            """, plugins: Self.plugins)
        try await host.start()
        try await host.send([#"{"subject":"a","payload":"segfault"}"#, #"{"subject":"b","payload":"memory"}"#], to: "work")
        try await host.settled()
        let deaths = try await host.deaths("use")
        #expect(deaths.count == 2)
        let fault = try #require(deaths.first { $0.subject == "a" })
        #expect(fault.verdict == "signal" && fault.domain == "work" && fault.offset == 0 && fault.openEvents == 1)
        #expect(fault.message.contains("SIGSEGV") && fault.stderrTail.contains("what was it again?"))
        #expect(fault.plugin == "limits" && fault.generation == 1 && fault.memoryLimitBytes == 64 << 20 && fault.memoryPeakBytes > 0)
        #expect(fault.livedMillis >= 0 && fault.eventMillis ?? -1 >= 0)
        let memory = try #require(deaths.first { $0.subject == "b" })
        #expect(memory.verdict == "memory", "\(memory)")
        #expect(memory.memoryPeakBytes > 56 << 20 && memory.stderrTail.contains("out of memory"))
        #expect(await eventually { host.folder.read("data/deaths.ndjson").split(separator: "\n").count == 2 })
        try await host.kill()
        try await host.start()
        #expect(try await host.deaths("use") == deaths)
        let shown = try await host.capelet("deaths", "--stderr")
        #expect(shown.code == 0 && shown.output.contains("64 MiB") && shown.output.contains("out of memory"), "\(shown.output)")
        try await host.stop()
    }
}
