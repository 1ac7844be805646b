import Foundation
import Frontend
import Journal
import Routing
import Synchronization
import Telemetry
import Testing

@testable import capelet

@Suite struct CommandTests {
    @Test func statusIsATable() async throws {
        try await TestServer.with { server in
            let result = try await server.run("status")
            #expect(result.code == 0)
            #expect(result.text.contains("capelet 0.1.0  running  pid 42  up 9s"))
            #expect(result.text.contains("LAMBDA  DOMAIN  STATE"))
            #expect(result.lines.contains { $0.hasPrefix("charge  orders  running  1/1") })
            #expect(!result.text.contains("\u{1B}"), "no colours where nobody looks")
            let json = try await server.run("status", "--json")
            #expect(try JSONDecoder().decode(HostStatus.self, from: Data(json.text.utf8)).generation == 3)
        }
    }

    @Test func withoutAHostTheMessageSaysHowToStartOne() async throws {
        let result = try await runCommand(["status", "--data", "/nowhere"])
        #expect(result.code == 2)
        #expect(result.errors.contains("start it with `capelet serve`"))
        #expect(result.text.isEmpty)
    }

    @Test(arguments: [
        ["send", "orders"], ["send", "orders", "--subject", "a", "--ndjson", "-"], ["send", "orders", "--subject", "a", "--header", "x"],
        ["nonsense"],
        ["dead", "redrive"], ["status", "--subject", "a"], ["events"], ["new", "2fast"],
    ])
    func wrongUsageIs64(arguments: [String]) async throws {
        #expect(try await runCommand(arguments).code == 64)
    }

    @Test func rollbackSaysWhatServes() async throws {
        try await TestServer.with { server in
            let back = try await server.run("rollback", "charge")
            #expect(back.code == 0)
            #expect(back.text == "charge is rolled back from #4 to shop #3; `capelet rollback charge --undo` ends that\n")
            let undone = try await server.run("rollback", "charge", "--undo")
            #expect(undone.text == "charge runs shop #4 again, as the plugins folder has it\n")
            let json = try await server.run("rollback", "charge", "--json")
            #expect(try JSONDecoder().decode(RollbackReport.self, from: Data(json.text.utf8)).to == 3)
            let refused = try await server.run("rollback", "x")
            #expect(refused.code == 1)
            #expect(refused.errors.contains("no generation of x from before is kept"))
            #expect(server.control.calls == ["rollback charge", "rollback charge undo", "rollback charge"])
        }
    }

    @Test func theVersionIsPrinted() async throws {
        let result = try await runCommand(["--version"])
        #expect(result.code == 0)
        #expect(result.errors.contains("0.1.0"))
    }

    @Test func oneEventIsSent() async throws {
        try await TestServer.with { server in
            let first = try await server.run(
                "send", "orders", "--subject", "customer \"7\"", "--type", "order.paid", "--id", "1", "--header", "tenant=a=b",
                "{\"total\": 12}")
            #expect(first.code == 0)
            #expect(first.text == "orders offset 0\n")
            let again = try await server.run("send", "orders", "--subject", "customer \"7\"", "--id", "1")
            #expect(again.text == "orders offset 0 (duplicate: known before)\n")
            let plain = try await server.run("send", "orders", "--subject", "b", "not json", "--json")
            #expect(plain.text == "{\"offset\":1}\n")
            let events = try server.events()
            #expect(events.map(\.subject) == ["customer \"7\"", "b"])
            #expect(events.map(\.payload) == ["{\"total\": 12}", "not json"])
            #expect(try server.headers(0) == ["tenant": "a=b"])
            let unknown = try await server.run("send", "order", "--subject", "x")
            #expect(unknown.code == 1)
            #expect(unknown.errors.contains("did you mean `orders`?"))
            let wrong = try await server.run("send", "orders", "--subject", "x", "--time", "now")
            #expect(wrong.code == 1)
            #expect(wrong.errors.contains("time: has to be an RFC 3339 time"))
        }
    }

    @Test func manyEventsAreSentFromAFile() async throws {
        try await TestServer.with { server in
            let path = server.folder + "/events"
            let count = 50_000
            var text = ""
            for index in 0..<count { text += "{\"subject\":\"s\(index % 100)\",\"payload\":\(index)}\n" }
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            let result = try await server.run("send", "orders", "--ndjson", path)
            #expect(result.text == "50,000 events: 50,000 accepted\n")
            #expect(result.code == 0)
            #expect(server.journal.end(of: server.control.stream(ofDomain: "orders")!) == UInt64(count))
        }
    }

    @Test func wrongLinesAreReported() async throws {
        try await TestServer.with { server in
            let path = server.folder + "/events"
            try Data("{\"subject\":\"a\",\"id\":\"1\"}\n\nnonsense\n{\"subject\":\"a\",\"id\":\"1\"}\n{\"subject\":\"last\"}".utf8)
                .write(to: URL(fileURLWithPath: path))
            let result = try await server.run("send", "orders", "--ndjson", path)
            #expect(result.code == 1)
            #expect(result.text == "4 events: 2 accepted, 1 duplicates, 1 refused\n")
            #expect(result.errors.contains("not valid JSON"))
            let json = try await server.run("send", "orders", "--ndjson", path, "--json")
            #expect(json.lines.count == 4)
        }
    }

    @Test func aFullHostIsWaitedFor() async throws {
        try await TestServer.with { server in
            let path = server.folder + "/events"
            try Data("{\"subject\":\"a\"}\n{\"subject\":\"b\"}\n".utf8).write(to: URL(fileURLWithPath: path))
            server.journal.setFailure(JournalError(.backlog, "8 GiB wait for charge"))
            let refused = try await server.run("send", "orders", "--ndjson", path, "--no-wait")
            #expect(refused.code == 1)
            #expect(refused.errors.contains("8 GiB wait for charge"))
            async let waiting = server.run("send", "orders", "--ndjson", path)
            let refusals = server.metrics.domain("orders").refused[.backlog]!
            let deadline = ContinuousClock.now + .seconds(10)
            while refusals.value < 2, ContinuousClock.now < deadline { await Task.yield() }
            server.journal.setFailure(nil)
            let result = try await waiting
            #expect(result.code == 0)
            #expect(result.text == "2 events: 2 accepted\n")
            #expect(result.errors.contains("going on in 5 s"))
            #expect(try server.events().map(\.subject) == ["a", "b"])
        }
    }

    @Test func eventsAreShown() async throws {
        try await TestServer.with { server in
            for index in 0..<5 { _ = try await server.run("send", "orders", "--subject", "s\(index)\u{1B}[31m", "--type", "t", "\(index)") }
            let latest = try await server.run("events", "orders", "--from", "3")
            #expect(latest.lines.count == 3)
            #expect(
                latest.lines[1].hasPrefix("     3  ") && latest.lines[1].hasSuffix("s3\\x1b[31m  t     3"),
                "control characters are made visible")
            let json = try await server.run("events", "orders", "--from", "0", "--limit", "2", "--json")
            #expect(json.lines.count == 2)
            #expect(try await server.run("events", "order").code == 1)
            #expect(try await server.run("events", "orders", "--from", "0", "--type", "none").text.isEmpty)
        }
    }

    @Test func reloadSaysWhatChanged() async throws {
        try await TestServer.with { server in
            let accepted = try await server.run("reload")
            #expect(accepted.code == 0)
            #expect(accepted.text == "reloaded in 0 ms\n  lambda charge: workers 1 → 2\n")
            server.control.state.withLock { $0.reloadAccepted = false }
            let refused = try await server.run("reload")
            #expect(refused.code == 1)
            #expect(refused.errors.contains("capelet.yaml:3:1: unknown key"))
            #expect(try await server.run("reload", "--json").code == 1)
        }
    }

    @Test func lambdasArePausedResumedAndForgotten() async throws {
        try await TestServer.with { server in
            #expect(try await server.run("lambdas").text.contains("charge/0  shop"))
            #expect(try await server.run("pause", "charge").code == 0)
            let unknown = try await server.run("pause", "x")
            #expect(unknown.code == 1)
            #expect(unknown.errors == "capelet: there is no lambda x\n")
            #expect(try await server.run("resume", "charge").code == 0)
            #expect(try await server.run("lambdas", "forget", "old").text == "forgot old in orders; 2 deferred events dropped\n")
            #expect(server.control.calls == ["pause charge", "resume charge"])
        }
    }

    @Test func deadLettersAreShownRedrivenAndDropped() async throws {
        try await TestServer.with { server in
            #expect(try await server.run("dead").text == "No dead letters.\n")
            _ = try await server.run("send", "orders", "--subject", "customer-7", "--type", "t", "{\"n\":1}")
            let stream = server.control.stream(ofDomain: "orders")!
            let route = try server.journal.route(lambda: "charge", domain: "orders", stream: stream, start: .beginning)
            var commit = JournalCommit()
            var history = FailureHistory()
            history.attempts = 20
            history.error = "no such account"
            let records = try server.journal.read(stream, from: 0, maximumBytes: 1)[0].records
            commit.dead = [
                DeadLetter(id: 5, route: route.id, records: records, atMillis: Figures.nowMillis(), reason: "attempts", history: history)
            ]
            server.journal.commit(commit) { _ in }
            let list = try await server.run("dead")
            #expect(list.lines.count == 2)
            #expect(list.lines[1].contains("customer-7") && list.lines[1].contains("no such account"))
            let shown = try await server.run("dead", "show", "5")
            #expect(shown.text.contains("last error    no such account"))
            #expect(shown.text.contains("\"payload\":{\"n\":1}"))
            #expect(try await server.run("dead", "show", "6").code == 1)
            #expect(try await server.run("dead", "redrive", "5").text == "1 redriven\n")
            let dropped = try await server.run("dead", "drop", "5")
            #expect(dropped.code == 1, "the fake host refuses one")
            #expect(dropped.errors.contains("9: no such row"))
            #expect(try await server.run("status", "--blocked").text == "Nothing is blocked.\n")
        }
    }

    @Test func deathsAndLogsAreShown() async throws {
        try await TestServer.with { server in
            server.control.state.withLock { state in
                state.logLines = [LogLine(atMillis: 0, lambda: "charge", worker: 0, pid: 9, level: "info", text: "hello\u{7}")]
            }
            let deaths = try await server.run("deaths")
            #expect(deaths.lines[1].contains("memory"))
            #expect(deaths.lines[1].contains("orders 17 customer-7 and 3 more"))
            #expect(
                deaths.lines[1].contains("250 MiB of 256 MiB") && deaths.lines[1].contains("1.5 ms") && deaths.lines[1].contains("61.0 s"))
            #expect(try await server.run("logs", "charge").text == "1970-01-01 00:00:00 charge/0 info    hello\\x07\n")
            #expect(try await server.run("logs", "charge", "--json").text.contains("\"level\":\"info\""))
        }
    }

    @Test func aRoutingFileIsChecked() async throws {
        let folder = NSTemporaryDirectory() + "capelet-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/capelet.yaml"
        try Data("domains: { orders: { lambdas: [charge] } }\nlambdas: { charge: { plugin: shop } }\n".utf8).write(
            to: URL(fileURLWithPath: path))
        let bare = try await runCommand(["check", "--config", path])
        #expect(bare.code == 0 && bare.errors.contains("the plugins folder \(folder)/plugins is not there"))
        try FileManager.default.createDirectory(atPath: folder + "/plugins", withIntermediateDirectories: true)
        let good = try await runCommand(["check", "--config", path])
        #expect(good.code == 0)
        #expect(good.text == "\(path): 1 domain, 1 lambda: the file is right\n")
        #expect(good.errors.contains("the plugin shop of charge is not in \(folder)/plugins"))
        try Data("data: 'elsewhere' # here\ndomains: { orders: { lambda: [charge] } }\n".utf8).write(to: URL(fileURLWithPath: path))
        let bad = try await runCommand(["check", "--config", path])
        #expect(bad.code == 78)
        #expect(bad.errors.contains("\(path):2:"))
        #expect(try await runCommand(["check", "--config", path, "--json"]).text.contains("\"ok\":false"))
        #expect(try await runCommand(["check", "--defaults"]).text.contains("domains:"))
        // A broken file does not hide the host.
        let status = try await runCommand(["status", "--config", path])
        #expect(status.code == 2)
        #expect(status.errors.contains("\(folder)/elsewhere/capelet.sock"))
        #expect(try await runCommand(["status", "--config", folder + "/none.yaml"]).code == 78)
    }

    @Test func aProjectIsMade() async throws {
        let folder = NSTemporaryDirectory() + "capelet-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // The name is also the folder's: a path is refused.
        #expect(try await runCommand(["new", folder + "/hello"]).code == 64)
        let made = try await runCommand(["new", "hello", "--language", "c", "--directory", folder])
        #expect(made.code == 0)
        #expect(made.text.contains("&& make\n"))
        #expect(FileManager.default.fileExists(atPath: folder + "/hello/capelet.h"))
        let again = try await runCommand(["new", "hello", "--directory", folder])
        #expect(again.code == 1)
        #expect(again.errors.contains("exists already"))
    }
}
