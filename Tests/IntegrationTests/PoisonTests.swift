import Foundation
import Glibc
import Testing

/// Events that kill workers, lambdas that cannot start, and plugins that lie about it (ISOLATION §4, rows 44, 46, 47, 48).
@Suite(.serialized, .ownThreads)
struct PoisonTests {
    private static let plugins: [String: LambdaPlugin] = ["limits": .limits, "lambdas": .one]

    @Test(
        "One poisonous event of 64 is found, whatever its worker says; the others are delivered",
        arguments: ["plain", "batch", "hide", "all", "early", "wild", "kill", "batch all", "batch hide", "batch kill"])
    func poison(_ mode: String) async throws {
        let words = mode.split(separator: " ")
        let lie = words.last == "batch" || words.last == "plain" ? "none" : String(words.last!)
        let host = try TestHost(
            """
            domains: { work: { lambdas: [poison, record] } }
            lambdas:
              poison:
                lambda: \(words.first == "batch" ? "poison-batch" : "poison")
                retry: { crashes: 2, backoff: 5ms..10ms }
                config: { lie: \(lie) }
            """, plugins: Self.plugins)
        try await host.start()
        // So that it is known how fast the lambda is, and much is sent ahead.
        try await host.send((0..<400).map { #"{"subject":"w\#($0)","payload":"x"}"# }, to: "work")
        try await host.settled()
        try await host.send((0..<64).map { #"{"subject":"s\#($0)","payload":"\#($0 == 37 ? "poison" : "x")"}"# }, to: "work")
        try await host.settled()

        let letters = try await host.dead()
        #expect(letters.map(\.subject) == ["s37"] && letters.map(\.lambda) == ["poison"], "\(letters)")
        if lie == "kill" {
            #expect(letters.first?.reason == "external-kills" && letters.first?.externalKills == 5)
        } else {
            #expect(letters.first?.reason == "crashes" && letters.first?.crashes == 2)
        }
        #expect(try await host.lambda("poison").succeeded == 463)
        #expect(host.record("poison").finished.count == 463)
        #expect(host.record("poison").inversions == [] && host.record("poison").overlaps == [])
        let neighbour = host.record("record")
        #expect(neighbour.finished.count == 464 && neighbour.runs.values.allSatisfy { $0 == 1 })
        let deaths = try await host.deaths("poison")
        // Dying early costs at most one death for each event that can lie before the poison.
        #expect(deaths.count <= (lie == "early" ? 66 : 8), "\(deaths.map(\.verdict))")
        #expect(try await host.lambda("poison").state == "running")
        try await host.stop()
    }

    @Test("Crashes are counted on the event across kill -9 of the host")
    func countsAreDurable() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [use] } }
            lambdas: { use: { retry: { crashes: 4, attempts: 50, backoff: 300ms..600ms } } }
            """, plugins: Self.plugins)
        try await host.start()
        try await host.send([#"{"subject":"a","payload":"abort"}"#, #"{"subject":"a","payload":"x"}"#], to: "work")
        // Kills it as soon as a crash is known, over and over.
        var kills = 0
        for crashes in 1..<4 {
            let isSeen = await eventually(every: .milliseconds(1)) {
                let abort = host.record("use").lines.count { $0.isBegin && $0.subject == "a" }
                return abort >= crashes
            }
            #expect(isSeen)
            #expect(await eventually(every: .milliseconds(1)) { try await host.blockedCrashes() >= crashes })
            try await host.kill()
            kills += 1
            try await host.start()
        }
        try await host.settled()
        let letters = try await host.dead()
        #expect(letters.map(\.reason) == ["crashes"] && letters.first?.crashes == 4)
        let record = host.record("use")
        #expect(record.finished.count == 1)
        #expect(record.runs.values.max() ?? 0 <= 4 + kills, "a kill of the host repeats a run, a crash it does not forget")
        try await host.stop()
    }

    @Test("Kills from outside do not turn a good event into a dead letter below the fifth")
    func killsFromOutside() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [use] } }
            lambdas: { use: { retry: { crashes: 1 } } }
            """, plugins: Self.plugins)
        try await host.start()
        try await host.send([#"{"subject":"a","payload":"wait"}"#, #"{"subject":"a","payload":"x"}"#], to: "work")
        for count in 1...4 {
            #expect(await eventually { host.record("use").lines.count == count })
            let pid = try #require(host.record("use").lines.last?.pid)
            #expect(Glibc.kill(pid_t(pid), SIGKILL) == 0)
            #expect(await eventually { try await host.deaths("use").count == count })
        }
        #expect(await eventually { host.record("use").lines.count == 5 })
        try host.folder.write("data/state/use/go", "")
        try await host.settled()
        #expect(try await host.dead().isEmpty)
        #expect(host.record("use").finished.count == 2)
        #expect(try await host.deaths("use").map(\.verdict) == Array(repeating: "external", count: 4))
        try await host.stop()
    }

    @Test("What crashes at every start is tried three times, then left alone; a reload tries again at once")
    func crashAtEveryStart() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [ill, record] } }
            lambdas:
              ill: { lambda: sup-work, config: { start: { mode: abort, unless: mended } } }
            """, plugins: ["startable": .startable, "lambdas": .one])
        try await host.start(path: "/healthz")
        #expect(await eventually { try await host.lambda("ill").state == "broken" })
        try await host.send((0..<20).map { #"{"subject":"s\#($0)","payload":"x"}"# }, to: "work")
        #expect(await eventually { try await host.lambda("record").succeeded == 20 }, "the neighbour is served")
        let deaths = try await host.deaths("ill")
        #expect(deaths.count == 3 && deaths.allSatisfy { $0.verdict == "boot" && $0.message.contains("start gives up") }, "\(deaths)")
        #expect(try await host.lambda("ill").reason?.contains("start gives up") == true)

        // A reload in the crash loop closes the breaker.
        #expect(try await host.capelet("reload").code == 0)
        #expect(await eventually { try await host.deaths("ill").count == 6 })
        try host.folder.write("data/state/ill/mended", "")
        #expect(try await host.capelet("reload").code == 0)
        #expect(await eventually { try await host.lambda("ill").succeeded == 20 })
        #expect(try await host.lambda("ill").state == "running")
        try await host.stop()
    }
}

extension TestHost {
    /// The most runs that have failed, as is on disk, of an event that waits.
    fileprivate func blockedCrashes() async throws -> Int {
        struct List: Decodable {
            struct Row: Decodable { var attempts: Int }
            var blocked: [Row]
        }
        return try await get("/v1/blocked").json(List.self).blocked.map(\.attempts).max() ?? 0
    }
}
