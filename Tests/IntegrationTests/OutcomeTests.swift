import Foundation
import Glibc
import Testing

/// How runs end, what becomes of the events, and what operators can do (SEMANTICS §3 to §5).
@Suite(.ownThreads)
struct OutcomeTests {
    @Test("after: gives outputs along a topology")
    func topology() async throws {
        let host = try TestHost(
            """
            domains:
              work: { lambdas: [a, b, c, d] }
            lambdas:
              a: { lambda: label }
              b: { lambda: label, after: a }
              c: { lambda: label, after: [a, b], workers: 2 }
              d: { lambda: record, after: c }
            """)
        try await host.start()
        try await host.send((0..<50).map { #"{"subject":"s\#($0 % 5)","payload":\#($0)}"# }, to: "work")
        try await host.settled { host.record("d").finished.count == 50 }
        func outputs(_ lambda: String) -> [String] {
            host.folder.read("data/state/\(lambda)/outputs").split(separator: "\n").map(String.init).sorted()
        }
        #expect(outputs("a") == (0..<50).map { "a(\($0))" }.sorted())
        #expect(outputs("b") == (0..<50).map { "b(a=a(\($0)))" }.sorted())
        #expect(outputs("c") == (0..<50).map { "c(a=a(\($0)),b=b(a=a(\($0))))" }.sorted())
        let last = host.record("d")
        #expect(last.finished.count == 50 && last.inversions.isEmpty)
        try await host.stop()
    }

    @Test("Every way to end is counted and shown as what it is")
    func endings() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [obey, record] } }
            lambdas:
              obey: { workers: 2, timeout: 500ms, grace: 200ms, retry: { attempts: 3, backoff: 10ms..50ms, crashes: 2 } }
            """)
        try await host.start()
        let words = ["success", "success at 3", "retry", "fatal", "abort", "exit", "sleep", "spin", "emit to nowhere"]
        try await host.send(words.map { #"{"subject":"\#($0.replacing(" ", with: "-"))","payload":"\#($0)"}"# }, to: "work")
        try await host.send(words.map { #"{"subject":"\#($0.replacing(" ", with: "-"))","payload":"success"}"# }, to: "work")
        try await host.settled()

        let dead = Dictionary(uniqueKeysWithValues: try await host.dead().map { ($0.subject, $0) })
        #expect(dead.keys.sorted() == ["abort", "emit-to-nowhere", "exit", "fatal", "retry", "sleep", "spin"])
        func expect(
            _ subject: String, _ reason: String, attempts: Int, crashes: Int, _ text: String, at place: SourceLocation = #_sourceLocation
        ) {
            let letter = dead[subject]
            #expect(letter?.reason == reason, sourceLocation: place)
            #expect(letter?.attempts == attempts, sourceLocation: place)
            #expect(letter?.crashes == crashes, sourceLocation: place)
            #expect(letter?.error.contains(text) == true, "\(letter?.error ?? "")", sourceLocation: place)
            #expect(letter?.lambda == "obey", sourceLocation: place)
        }
        expect("retry", "attempts", attempts: 3, crashes: 0, "not today")
        expect("fatal", "fatal", attempts: 1, crashes: 0, "not in this life")
        expect("emit-to-nowhere", "fatal", attempts: 1, crashes: 0, "'nowhere', which is not in the routing file")
        expect("abort", "crashes", attempts: 2, crashes: 2, "SIGABRT")
        expect("exit", "crashes", attempts: 2, crashes: 2, "exit")
        expect("sleep", "crashes", attempts: 2, crashes: 2, "timed out")
        expect("spin", "crashes", attempts: 2, crashes: 2, "timed out")

        let lambda = try await host.lambda("obey")
        #expect(lambda.succeeded == 11, "the other events of the subjects, and those that succeeded")
        #expect(lambda.dead == 7)
        #expect(try await host.lambda("record").succeeded == 18, "the neighbour's events are unaffected")
        let deaths = try await host.deaths("obey")
        #expect(deaths.map(\.verdict).sorted() == ["exit", "exit", "signal", "signal", "timeout", "timeout", "timeout", "timeout"])
        let abort = deaths.first { $0.verdict == "signal" }
        #expect(abort?.subject == "abort")
        #expect(abort?.offset == 4)
        #expect(abort?.message.contains("SIGABRT") == true)
        #expect(abort?.stderrTail.contains("the invariant does not hold") == true)
        let metrics = try await host.get("/metrics").text
        #expect(metrics.contains(#"verdict="timeout""#) && metrics.contains(#"verdict="exit""#))
        let record = host.record("obey")
        #expect(record.runs[.init(subject: "success-at-3", sequence: 1)] == 3)
        #expect(record.inversions.isEmpty && record.overlaps.isEmpty)

        let shown = try await host.capelet("dead")
        #expect(shown.code == 0 && shown.output.contains("not in this life"))
        let one = try await host.capelet("dead", "show", "\(dead["fatal"]?.id ?? 0)")
        #expect(one.code == 0 && one.output.contains("\"payload\":\"fatal\""))
        #expect(try await host.capelet("deaths", "--stderr").output.contains("the invariant does not hold"))
        try await host.stop()
    }

    @Test("Parked subjects wait for an operator, in order; others go on")
    func parked() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [obey] } }
            lambdas: { obey: { exhausted: park, retry: { attempts: 2, backoff: 10ms..20ms } } }
            """)
        try await host.start()
        try await host.send([#"{"subject":"ill","payload":"unless mended"}"#], to: "work")
        try await host.send((0..<3).flatMap { _ in ["ill", "well"].map { #"{"subject":"\#($0)","payload":"success"}"# } }, to: "work")
        #expect(await eventually { try await host.lambda("obey").parked == 4 }, "the event and those behind it")
        #expect(await eventually { try await host.lambda("obey").succeeded == 3 })
        let blocked = try await host.capelet("status", "--blocked")
        #expect(blocked.code == 0 && blocked.output.contains("ill") && blocked.output.contains("not mended yet"), "\(blocked.output)")

        // Parked across a restart, whichever kind.
        try await host.kill()
        try await host.start()
        #expect(try await host.lambda("obey").parked == 4)
        try await host.send([#"{"subject":"ill","payload":"success"}"#], to: "work")
        #expect(await eventually { try await host.lambda("obey").parked == 5 })
        try host.folder.write("data/state/obey/mended", "")
        let redriven = try await host.capelet("dead", "redrive", "--lambda", "obey")
        #expect(redriven.code == 0, "\(redriven.errors)")
        #expect(await eventually { try await host.lambda("obey").parked == 0 })
        try await host.settled()
        #expect(try await host.dead().isEmpty)
        let record = host.record("obey")
        #expect(record.finished.count == 8)
        #expect(record.inversions.isEmpty && record.overlaps.isEmpty)

        // One that is dropped lets its followers go on.
        try FileManager.default.removeItem(atPath: host.folder.file("data/state/obey/mended"))
        try await host.send([#"{"subject":"ill","payload":"unless mended"}"#, #"{"subject":"ill","payload":"success"}"#], to: "work")
        #expect(await eventually { try await host.lambda("obey").parked == 2 })
        let dropped = try await host.capelet("dead", "drop", "--lambda", "obey")
        #expect(dropped.code == 0, "\(dropped.errors)")
        #expect(await eventually { try await host.lambda("obey").parked == 0 })
        try await host.settled()
        #expect(host.record("obey").finished.count == 9)
        try await host.stop()
    }

    @Test("Dead letters are run again or dropped, and dependents follow")
    func deadLetters() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [obey, next] } }
            lambdas:
              obey: { retry: { attempts: 1 } }
              next: { lambda: record, after: obey }
            """)
        try await host.start()
        try await host.send(
            [
                #"{"subject":"a","payload":"unless mended"}"#, #"{"subject":"b","payload":"unless mended"}"#,
                #"{"subject":"a","payload":"success"}"#,
            ],
            to: "work")
        try await host.settled { try await host.lambda("next").skipped == 2 }
        #expect(try await host.dead().count == 2)
        #expect(host.record("next").finished.count == 1)

        #expect(try await host.capelet("dead", "redrive", "4711").code == 1, "there is none")
        #expect(try await host.capelet("dead", "redrive").code == 64)
        let letters = try await host.dead()
        let b = try #require(letters.first { $0.subject == "b" })
        let dropped = try await host.capelet("dead", "drop", "\(b.id)")
        #expect(dropped.code == 0, "\(dropped.errors)")
        #expect(try await host.dead().map(\.subject) == ["a"])

        try host.folder.write("data/state/obey/mended", "")
        let redriven = try await host.capelet("dead", "redrive", "--all")
        #expect(redriven.code == 0 && redriven.output.contains("1 redriven"), "\(redriven.output)\(redriven.errors)")
        try await host.settled { host.record("next").finished.count == 2 }
        #expect(try await host.dead().isEmpty)
        #expect(host.record("obey").lines.last?.flags == 1, "marked as redriven")
        #expect(host.record("next").lines.last?.flags == 1)

        // Nothing of it comes back.
        try await host.kill()
        try await host.start()
        try await host.settled()
        #expect(try await host.dead().isEmpty)
        #expect(host.record("obey").finished.count == 2)
        try await host.stop()
    }

    @Test("A paused lambda gets nothing; its neighbour goes on")
    func pause() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record, obey] } }")
        try await host.start()
        #expect(try await host.capelet("pause", "record").code == 0)
        #expect(try await host.capelet("pause", "recrd").code == 1)
        try await host.send((0..<20).map { #"{"subject":"s\#($0)","payload":"success"}"# }, to: "work")
        #expect(await eventually { try await host.lambda("obey").succeeded == 20 })
        let paused = try await host.lambda("record")
        #expect(paused.state == "paused" && paused.lag == 20 && paused.succeeded == 0)
        #expect(try await host.capelet("resume", "record").code == 0)
        try await host.settled()
        #expect(host.record("record").finished.count == 20)
        #expect(try await host.lambda("record").state == "running")
        try await host.stop()
    }

    @Test("A backup made while the host works opens as a journal with everything that was acknowledged before")
    func backup() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }\nlambdas: { record: { config: { micros: 2000 } } }")
        try await host.start()
        let answers = try await host.send((0..<200).map { #"{"subject":"s\#($0 % 9)","id":"i\#($0)","payload":\#($0)}"# }, to: "work")
        let file = host.folder.file("backup.sqlite")
        let made = try await host.capelet("backup", file)
        #expect(made.code == 0, "\(made.errors)")
        #expect(try await host.capelet("backup", file).code == 1, "it does not overwrite")
        try await host.settled()
        try await host.stop()

        let other = try TestHost("domains: { work: { lambdas: [record] } }")
        try FileManager.default.createDirectory(atPath: other.folder.file("data"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: file, toPath: other.folder.file("data/journal.sqlite"))
        try await other.start()
        let events = try await other.events("work")
        #expect(events.map(\.offset) == answers.compactMap(\.offset))
        let again = try await other.send([#"{"subject":"s0","id":"i0","payload":0}"#], to: "work")
        #expect(again.first?.duplicate == true)
        try await other.settled()
        #expect(try await other.lambda("record").watermark == 200)
        try await other.stop()
    }
}
