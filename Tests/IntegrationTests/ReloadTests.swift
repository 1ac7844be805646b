import Foundation
import Glibc
import Testing

/// Reloads under load and reloads that are refused (SEMANTICS §6). CAPELET_RELOADS sets how many.
@Suite(.serialized, .ownThreads)
struct ReloadTests {
    private static let routing = """
        domains: { work: { lambdas: [record, obey] } }
        lambdas:
          record: { workers: 2, config: { micros: 400 } }
        """

    @Test("Reloads under load lose nothing and mix no generations within a subject")
    func underLoad() async throws {
        let reloads = setting("CAPELET_RELOADS", default: 10)
        let host = try TestHost(Self.routing)
        try await host.start()
        let load = LoadSource(host: host, domain: "work", subjects: 24)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            for round in 0..<reloads {
                let before = load.sent.count
                _ = await eventually { load.sent.count > before + 50 }
                try (round % 2 == 0 ? LambdaPlugin.two : .one).install(in: host.folder.file("plugins"))
                let answer = try await host.capelet("reload")
                #expect(answer.code == 0, "\(answer.errors)")
                #expect(answer.output.contains("lambda record"), "it says what changed: \(answer.output)")
                #expect(try await host.status().lastReload?.ok == true)
            }
            load.stop()
            try await group.waitForAll()
        }
        try await host.settled()

        let expected = Set(load.sent.map { RunRecord.Event(subject: $0.subject, sequence: $0.offset) })
        let record = host.record("record")
        #expect(record.finished == expected, "\(expected.subtracting(record.finished).count) of \(expected.count) are missing")
        #expect(record.inversions.isEmpty)
        #expect(record.overlaps.isEmpty)
        #expect(record.runs.values.allSatisfy { $0 == 1 }, "a reload interrupts nothing that can finish in time")
        #expect(Set(record.lines.map(\.version)).count == min(reloads, 1) + 1)
        #expect(record.versionChanges <= reloads)
        #expect(try await host.dead().isEmpty)
        #expect(try await host.status().generation == reloads + 1)
        // What has been replaced is gone.
        #expect(await eventually { Set(try await host.lambda("record").workers.map(\.generation)).count == 1 })
        #expect(await eventually { host.children.count <= 3 + 2 * 2 }, "\(host.children)")
        try await host.stop()
    }

    @Test("What cannot serve is refused: the old state serves on, and the reason is shown")
    func refusals() async throws {
        let host = try TestHost(Self.routing)
        try await host.start()
        let plugins = host.folder.file("plugins")
        var sent = 0

        func expectRefusal(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let answer = try await host.capelet("reload")
            #expect(answer.code == 1, sourceLocation: sourceLocation)
            let status = try await host.status()
            #expect(status.lastReload?.ok == false, sourceLocation: sourceLocation)
            #expect(status.generation == 1, sourceLocation: sourceLocation)
            let shown = try await host.capelet("status")
            #expect(shown.code == 0, sourceLocation: sourceLocation)
            for word in words {
                #expect(answer.errors.contains(word), sourceLocation: sourceLocation)
                #expect(status.lastReload?.message.contains(word) == true, sourceLocation: sourceLocation)
                #expect(shown.output.contains(word), "\(shown.output)", sourceLocation: sourceLocation)
            }
            try await host.send((0..<10).map { #"{"subject":"s\#($0 % 3)","payload":"success"}"# }, to: "work")
            sent += 10
            let goal = UInt64(sent)
            #expect(
                await eventually { try await host.status().lambdas.allSatisfy { $0.succeeded == goal } }, "the old state serves",
                sourceLocation: sourceLocation)
        }

        try LambdaPlugin.text.install(in: plugins)
        try await expectRefusal("lambdas.so")
        try LambdaPlugin.aborting.install(in: plugins)
        try await expectRefusal("lambdas.so", "the constructor gives up")
        try LambdaPlugin.withoutObey.install(in: plugins)
        try await expectRefusal("has a lambda 'obey'")
        try FileManager.default.removeItem(atPath: plugins + "/lambdas.so")
        try await expectRefusal("has a lambda 'obey'")
        try LambdaPlugin.one.install(in: plugins)
        try host.route(Self.routing + "\n  obey: { wrkers: 2 }\n")
        try await expectRefusal("capelet.yaml:5:", "wrkers")
        try host.route("domains: { work: { lambdas: [record, \n")
        try await expectRefusal("capelet.yaml:")
        try LambdaPlugin.startable.install(as: "sup", in: plugins)
        try host.route(
            """
            domains: { work: { lambdas: [record, sup-work] } }
            lambdas:
              record: { workers: 2 }
              sup-work: { config: { start: { mode: fail } } }
            """)
        try await expectRefusal("sup-work", "no database today")
        // obey was taken out for a moment: it has neither run again what it had done nor missed anything.
        let obey = host.record("obey")
        #expect(obey.runs.values.allSatisfy { $0 == 1 })
        #expect(obey.finished.count == sent)

        try host.route(Self.routing)
        try LambdaPlugin.two.install(in: plugins)
        let answer = try await host.capelet("reload")
        #expect(answer.code == 0, "\(answer.errors)")
        #expect(try await host.status().lastReload?.ok == true)
        try await host.send([#"{"subject":"s","payload":"success"}"#], to: "work")
        try await host.settled()
        #expect(host.record("obey").lines.last?.version == "2")
        try await host.stop()
    }

    @Test("Lambdas that come and go under load neither miss nor repeat anything")
    func comeAndGoUnderLoad() async throws {
        let with = "domains: { work: { lambdas: [record, obey] } }\nlambdas: { record: { workers: 2, config: { micros: 2000 } } }\n"
        let without = "domains: { work: { lambdas: [obey] } }\n"
        let host = try TestHost(with)
        try await host.start()
        let load = LoadSource(host: host, domain: "work", subjects: 8)
        try await withThrowingTaskGroup { group in
            group.addTask { try await load.run() }
            for _ in 0..<5 {
                let before = load.sent.count
                _ = await eventually { load.sent.count > before + 50 }
                for routing in [without, with] {
                    try host.route(routing)
                    let answer = try await host.capelet("reload")
                    #expect(answer.code == 0, "\(answer.errors)")
                }
            }
            load.stop()
            try await group.waitForAll()
        }
        try await host.settled()
        let expected = Set(load.sent.map { RunRecord.Event(subject: $0.subject, sequence: $0.offset) })
        let record = host.record("record")
        #expect(record.finished == expected, "\(expected.subtracting(record.finished).count) of \(expected.count) are missing")
        #expect(record.inversions == [])
        #expect(record.overlaps == [])
        #expect(record.runs.values.allSatisfy { $0 == 1 })
        // Nor does progress go back.
        try await host.stop()
        try await host.start()
        try await host.settled()
        #expect(host.record("record").lines.count == record.lines.count, "after a restart there is nothing left to do")
        try await host.stop()
    }

    @Test("Ten signals at once are one or two reloads, and the newest state wins")
    func signalsCoalesce() async throws {
        let host = try TestHost(Self.routing)
        try await host.start()
        for round in 0..<10 {
            try (round % 2 == 0 ? LambdaPlugin.one : .two).install(in: host.folder.file("plugins"))
            host.send(SIGHUP)
            await pause(.milliseconds(5))
        }
        #expect(await eventually { try await host.lambda("record").generation > 1 })
        try await host.send([#"{"subject":"s","payload":"success"}"#], to: "work")
        #expect(
            await eventually {
                try await host.send([#"{"subject":"s","payload":"success"}"#], to: "work")
                return host.record("record").lines.last?.version == "2"
            })
        #expect(try await host.status().generation <= 11)
        try await host.stop()
    }

    @Test("Lambdas and domains come, change and go; a lambda that returns goes on where it was")
    func routesChange() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        try await host.send((0..<5).map { #"{"subject":"s\#($0)","payload":"success"}"# }, to: "work")
        try await host.settled()

        try host.route("domains: { work: { lambdas: [record, obey] }, more: { lambdas: [obey] } }")
        #expect(try await host.capelet("reload").code == 0)
        try await host.send((0..<5).map { #"{"subject":"s\#($0)","payload":"success"}"# }, to: "work")
        try await host.send([#"{"subject":"m","payload":"success"}"#], to: "more")
        try await host.settled()
        #expect(host.record("record").finished.count == 10)
        #expect(host.record("obey").finished.count == 6, "a new lambda begins with what comes")

        try host.route("domains: { work: { lambdas: [obey] } }")
        #expect(try await host.capelet("reload").code == 0)
        #expect(try await host.post("/v1/domains/more/events", #"{"subject":"m"}"#, type: "application/x-ndjson").status == 404)
        try await host.send((0..<5).map { #"{"subject":"s\#($0)","payload":"success"}"# }, to: "work")
        try await host.settled()
        #expect(host.record("record").finished.count == 10)

        try host.route("domains: { work: { lambdas: [record, obey] } }")
        #expect(try await host.capelet("reload").code == 0)
        try await host.settled()
        let record = host.record("record")
        #expect(record.finished.count == 15, "its cursor was kept")
        #expect(record.runs.values.allSatisfy { $0 == 1 })

        #expect(try await host.capelet("lambdas", "forget", "record").code == 1, "it is in use")
        try host.route("domains: { work: { lambdas: [obey] } }")
        #expect(try await host.capelet("reload").code == 0)
        let forgotten = try await host.capelet("lambdas", "forget", "record")
        #expect(forgotten.code == 0, "\(forgotten.errors)")
        #expect(try await host.capelet("lambdas", "forget", "recorder").code == 1)
        try host.route("domains: { work: { lambdas: [record, obey] } }")
        #expect(try await host.capelet("reload").code == 0)
        try await host.send([#"{"subject":"s0","payload":"success"}"#], to: "work")
        try await host.settled { host.record("record").lines.count >= 32 }
        #expect(host.record("record").lines.count == 32, "it has begun anew with what came last")
        try await host.stop()
    }
}
