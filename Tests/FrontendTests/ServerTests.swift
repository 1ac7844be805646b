import Foundation
import Frontend
import Glibc
import Journal
import Logging
import Routing
import Synchronization
import Telemetry
import Testing

@Suite struct ServerTests {
    @Test func unknownDomainsNameTheNearest() async throws {
        try await TestServer.with { server in
            let response = try await server.lines("{\"subject\":\"a\"}", domain: "order")
            #expect(response.status == 404)
            #expect(response.headers["content-type"] == "application/problem+json")
            #expect(try response.json()["detail"] as? String == "there is no domain `order`; did you mean `orders`?")
        }
    }

    @Test func unknownContentTypesAreRefused() async throws {
        try await TestServer.with { server in
            for type in ["application/json", "text/plain", ""] {
                let response = try await server.request(
                    "POST", "/v1/domains/orders/events", type.isEmpty ? [:] : ["content-type": type], body: "{}")
                #expect(response.status == 415)
                #expect(try response.json()["type"] as? String == "urn:capelet:problem:unsupported-media-type")
            }
        }
    }

    @Test func foreignHostsAreRefusedOnTCP() async throws {
        try await TestServer.with { server in
            let response = try await server.request("GET", "/v1/status", ["host": "evil.example"])
            #expect(response.status == 421)
            #expect(try await server.request("GET", "/v1/status").status == 200)
        }
    }

    @Test func administrationIsOnTheSocketOnly() async throws {
        try await TestServer.with { server in
            for path in ["reload", "redrive", "drop", "forget", "backup", "pause", "resume"] {
                let response = try await server.request("POST", "/v1/admin/\(path)", ["content-type": "application/json"], body: "{}")
                #expect(response.status == 404)
            }
            #expect(try await server.request("GET", "/v1/logs?lambda=charge").status == 404)
            #expect(server.control.calls.isEmpty)
            var status = stat()
            #expect(lstat(server.addresses.socketPath, &status) == 0)
            #expect(status.st_mode & S_IFMT == S_IFSOCK)
            #expect(status.st_mode & 0o777 == 0o600)
            #expect(!FileManager.default.fileExists(atPath: server.folder + "/.sock"))
        }
    }

    @Test func administrationReachesTheHost() async throws {
        try await TestServer.with { server in
            #expect(try await server.administrate("GET", "/v1/status").json()["generation"] as? Int == 3)
            let reload = try await server.administrate("POST", "/v1/admin/reload", "{}")
            #expect(reload.status == 200)
            #expect(try reload.json()["changes"] as? [String] == ["lambda charge: workers 1 → 2"])
            server.control.state.withLock { $0.reloadAccepted = false }
            let refused = try await server.administrate("POST", "/v1/admin/reload", "{}")
            #expect(refused.status == 409)
            #expect(try refused.json()["errors"] as? [String] == ["capelet.yaml:3:1: unknown key"])
            #expect(try await server.administrate("POST", "/v1/admin/redrive", "{\"ids\":[3,4]}").json()["changed"] as? Int == 2)
            #expect(try await server.administrate("POST", "/v1/admin/redrive", "{\"all\":true}").status == 200)
            #expect(try await server.administrate("POST", "/v1/admin/redrive", "{}").status == 400)
            #expect(
                try await server.administrate("POST", "/v1/admin/drop", "{\"ids\":[9]}").json()["refused"] as? [String] == [
                    "9: no such row"
                ])
            #expect(try await server.administrate("POST", "/v1/admin/forget", "{\"lambda\":\"old\"}").json()["deferred"] as? Int == 2)
            #expect(try await server.administrate("POST", "/v1/admin/forget", "{\"lambda\":\"charge\"}").status == 409)
            #expect(try await server.administrate("POST", "/v1/admin/forget", "{}").json()["field"] as? String == "lambda")
            #expect(try await server.administrate("POST", "/v1/admin/pause", "{\"lambda\":\"charge\"}").status == 200)
            #expect(try await server.administrate("POST", "/v1/admin/pause", "{\"lambda\":\"x\"}").status == 404)
            #expect(try await server.administrate("POST", "/v1/admin/resume", "{\"lambda\":\"charge\"}").status == 200)
            #expect(
                server.control.calls == [
                    "reload", "reload", "redrive [3, 4] - false", "redrive [] - true", "drop [9]", "pause charge", "resume charge",
                ])
            let rollback = try await server.administrate("POST", "/v1/lambdas/charge/rollback", "{}")
            #expect(try JSONDecoder().decode(RollbackReport.self, from: Data(rollback.body)).to == 3)
            #expect(
                try await server.administrate("POST", "/v1/lambdas/charge/rollback", "{\"undo\":true}").json()["undone"] as? Bool == true)
            let refusedRollback = try await server.administrate("POST", "/v1/lambdas/x/rollback", "{}")
            #expect(refusedRollback.status == 409)
            #expect(try refusedRollback.json()["detail"] as? String == "no generation of x from before is kept")
            #expect(server.control.calls.suffix(2) == ["rollback charge", "rollback charge undo"])
            // Without the content type a form in a web page could send it.
            let socket = server.addresses.socketPath
            let plain = try await onThread {
                try TestClient(path: socket).request("POST", "/v1/admin/reload", ["content-type": "text/plain"], body: Array("{}".utf8))
            }
            #expect(plain.status == 415)
        }
    }

    @Test func readsAnswer() async throws {
        try await TestServer.with { server in
            _ = try await server.lines("{\"subject\":\"a\",\"payload\":1}\n{\"subject\":\"b\",\"type\":\"x\"}\n{\"subject\":\"a\"}\n")
            #expect(try await server.request("GET", "/metrics").text.hasPrefix("# HELP"))
            #expect(try await server.request("GET", "/v1/deaths?lambda=charge&limit=5").text.contains("\"message\":\"limit 5\""))
            #expect(try await server.request("GET", "/v1/lambdas").text.contains("\"plugin\":\"shop\""))
            #expect(try await server.request("GET", "/v1/dead").text == "{\"dead\":[]}")
            #expect(try await server.request("GET", "/v1/blocked").text == "{\"blocked\":[]}")
            let page = try await server.request("GET", "/v1/events?domain=orders&limit=2")
            #expect(page.lines.count == 2)
            #expect(page.headers["capelet-next-offset"] == "2")
            #expect(page.lines[0].contains("\"subject\":\"a\"") && page.lines[0].contains("\"payload\":1"))
            #expect(try await server.request("GET", "/v1/events?domain=orders&subject=a").lines.count == 2)
            #expect(try await server.request("GET", "/v1/events?domain=orders&type=x").lines.count == 1)
            #expect(try await server.request("GET", "/v1/events?domain=orders&from=99").headers["capelet-next-offset"] == "99")
            for bad in [
                "/v1/events", "/v1/events?domain=none", "/v1/events?domain=orders&limit=0", "/v1/events?domain=orders&form=1",
                "/v1/dead?id=x",
            ] {
                let status = try await server.request("GET", bad).status
                #expect(status == 400 || status == 404, "\(bad)")
            }
            #expect(try await server.request("GET", "/nothing").headers["content-type"] == "application/problem+json")
            #expect(try await server.request("HEAD", "/healthz").status == 200)
        }
    }

    @Test func deadLettersAreShownWithTheirEvents() async throws {
        try await TestServer.with { server in
            _ = try await server.lines("{\"subject\":\"a\",\"type\":\"t\",\"payload\":{\"n\":1}}\n")
            let stream = server.control.stream(ofDomain: "orders")!
            let route = try server.journal.route(lambda: "charge", domain: "orders", stream: stream, start: .beginning)
            let batch = try server.journal.read(stream, from: 0, maximumBytes: 1)[0]
            var commit = JournalCommit()
            var history = FailureHistory()
            history.attempts = 20
            history.error = "no such account"
            commit.dead = [DeadLetter(id: 5, route: route.id, records: batch.records, atMillis: 99, reason: "attempts", history: history)]
            server.journal.commit(commit) { _ in }
            let plain = try await server.request("GET", "/v1/dead?lambda=charge").json()
            let letter = try #require((plain["dead"] as? [[String: Any]])?.first)
            #expect(letter["id"] as? Int == 5)
            #expect(letter["subject"] as? String == "a")
            #expect(letter["error"] as? String == "no such account")
            #expect(letter["event"] == nil)
            let whole = try await server.request("GET", "/v1/dead?id=5&events=1")
            #expect(whole.text.contains("\"payload\":{\"n\":1}"))
        }
    }

    @Test func logsAreStreamed() async throws {
        try await TestServer.with { server in
            server.control.state.withLock { state in
                state.logLines = (0..<3).map {
                    LogLine(atMillis: $0, lambda: "charge", worker: 0, pid: 9, level: "info", text: "line \($0)\n\"x\"")
                }
            }
            let some = try await server.administrate("GET", "/v1/logs?lambda=charge&tail=2")
            #expect(some.lines.count == 2)
            #expect(try JSONDecoder().decode(LogLine.self, from: Data(some.lines[0].utf8)).text == "line 1\n\"x\"")
            let socket = server.addresses.socketPath
            let first = try await onThread {
                let client = try TestClient(path: socket)
                try client.send("GET /v1/logs?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n")
                _ = try client.head()
                return String(decoding: try client.chunk(), as: UTF8.self)
            }
            #expect(first.contains("line 0"))
        }
    }

    @Test func backupsAreMadeAndNotOverwritten() async throws {
        try await TestServer.with { server in
            let path = server.folder + "/exists"
            _ = FileManager.default.createFile(atPath: path, contents: Data())
            let taken = try await server.administrate("POST", "/v1/admin/backup", "{\"path\":\"\(path)\"}")
            #expect(taken.status == 409)
            let relative = try await server.administrate("POST", "/v1/admin/backup", "{\"path\":\"relative\"}")
            #expect(relative.status == 400)
        }
    }

    // MARK: clients that misbehave

    @Test func oversizedBodiesAreCutOff() async throws {
        try await TestServer.with { table in
            table.domains["orders"]!.payloadBytesMax = 1000
        } _: { server in
            let headers = ["ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-subject": "x"]
            let declared = try await server.request(
                "POST", "/v1/domains/orders/events", headers.merging(["content-length": "99999999"]) { $1 })
            #expect(declared.status == 413)
            #expect(declared.headers["connection"] == "close")
            let port = server.addresses.httpPort!
            let status = try await onThread {
                let client = try TestClient(port: port)
                let head = headers.map { "\($0): \($1)\r\n" }.joined()
                try client.send("POST /v1/domains/orders/events HTTP/1.1\r\nhost: localhost\r\n\(head)transfer-encoding: chunked\r\n\r\n")
                // Endless: the server has to answer in the middle, and then to close.
                for _ in 0..<50 { try client.chunk(String(repeating: "x", count: 1000)) }
                return try client.head().status
            }
            #expect(status == 413)
        }
    }

    @Test func malformedRequestsDoNoHarm() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            for garbage in [
                "GET\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}", "GET / HTTP/1.1\r\nhost localhost\r\n\r\n",
                "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            ] {
                _ = try await onThread {
                    let client = try TestClient(port: port)
                    try client.send(garbage)
                    while try client.line() != nil {}
                    return true
                }
            }
            let large =
                "GET / HTTP/1.1\r\nhost: localhost\r\n" + (0..<5_000).map { "x-\($0): \(String(repeating: "y", count: 100))\r\n" }.joined()
            _ = try? await onThread {
                let client = try TestClient(port: port)
                try client.send(large)
                while try client.line() != nil {}
            }
            #expect(try await server.request("GET", "/healthz").status == 200)
        }
    }

    @Test func slowSendersAndLostConnectionsDoNotHoldOthersUp() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            let slow = try await onThread {
                try (0..<50).map { _ in
                    let client = try TestClient(port: port)
                    try client.send(
                        "POST /v1/domains/orders/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 100\r\n\r\n{\"sub"
                    )
                    return Unsafely(client)
                }
            }
            #expect(try await server.lines("{\"subject\":\"a\"}").lines == ["{\"offset\":0}"])
            _ = slow
        }
    }

    @Test func clientsThatAskAreToldToContinue() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            try await onThread {
                let client = try TestClient(port: port)
                try client.send(
                    "POST /v1/domains/orders/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\nexpect: 100-continue\r\ncontent-length: 15\r\n\r\n"
                )
                #expect(try client.head().status == 100)
                try client.send("{\"subject\":\"a\"}")
                #expect(try client.response().lines == ["{\"offset\":0}"])
            }
        }
    }

    @Test func connectionsAreReused() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            try await onThread {
                let client = try TestClient(port: port)
                for index in 0..<100 {
                    let response = try client.request(
                        "POST", "/v1/domains/orders/events", ["content-type": "application/x-ndjson"],
                        body: Array("{\"subject\":\"a\"}\n".utf8))
                    #expect(response.lines == ["{\"offset\":\(index)}"])
                    if index % 10 == 0 { #expect(try client.request("GET", "/nothing").status == 404) }
                }
            }
        }
    }

    // MARK: start and stop

    @Test func aSocketLeftBehindIsReplaced() async throws {
        let folder = NSTemporaryDirectory() + "capelet-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder + "/.sock", withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: folder + "/capelet.sock", contents: Data())
        _ = FileManager.default.createFile(atPath: folder + "/.sock/s", contents: Data())
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let table = RouteTable(plugins: "/p", data: folder, domains: [:], lambdas: [:])
        let server = FrontendServer(
            control: FakeControl(table), journal: MemoryJournal(), metrics: .init(),
            settings: FrontendSettings(http: nil, socketPath: folder + "/capelet.sock"),
            logger: .init(label: "test"))
        let addresses = try await server.start()
        #expect(addresses.http == nil)
        let status = try await onThread { try TestClient(path: folder + "/capelet.sock").request("GET", "/healthz").status }
        #expect(status == 200)
        await server.stop(within: .seconds(1))
        #expect(!FileManager.default.fileExists(atPath: folder + "/capelet.sock"))
    }

    @Test func aTakenPortIsReported() async throws {
        try await TestServer.with { server in
            let folder = server.folder + "/second"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let second = FrontendServer(
                control: server.control, journal: server.journal, metrics: .init(),
                settings: FrontendSettings(http: server.addresses.http, socketPath: folder + "/capelet.sock"), logger: .init(label: "test"))
            let error = await #expect(throws: FrontendError.self) { try await second.start() }
            #expect(error?.message.contains(server.addresses.http!) == true)
            #expect(!FileManager.default.fileExists(atPath: folder + "/capelet.sock"), "nothing is left of the other listener")
        }
    }

    @Test func aPathThatIsTooLongIsReported() async throws {
        let settings = FrontendSettings(http: nil, socketPath: "/tmp/" + String(repeating: "x", count: 120) + "/capelet.sock")
        let server = FrontendServer(
            control: FakeControl(RouteTable(plugins: "", data: "", domains: [:], lambdas: [:])), journal: MemoryJournal(), metrics: .init(),
            settings: settings, logger: .init(label: "test"))
        let error = await #expect(throws: FrontendError.self) { try await server.start() }
        #expect(error?.message.contains("107") == true)
    }

    @Test func stoppingWaitsForAnswersButNotForEver() async throws {
        try await TestServer.with(manual: true) { server in
            let port = server.addresses.httpPort!
            let journal = server.journal
            async let response = onThread {
                try TestClient(port: port).request(
                    "POST", "/v1/domains/orders/events", ["content-type": "application/x-ndjson"], body: Array("{\"subject\":\"a\"}\n".utf8)
                )
            }
            let stuck = try await onThread {
                let client = try TestClient(port: port)
                try client.send(
                    "POST /v1/domains/orders/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 100\r\n\r\n{"
                )
                return Unsafely(client)
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while journal.pendingCount == 0, ContinuousClock.now < deadline { await Task.yield() }
            async let stopped: Void = server.server.stop(within: .milliseconds(700))
            journal.step()
            #expect(try await response.lines == ["{\"offset\":0}"])
            let began = ContinuousClock.now
            await stopped
            #expect(
                ContinuousClock.now - began < .seconds(30))
            _ = stuck
        }
    }
}

/// Carries a client from one thread to the next, which is the only one to use it then.
struct Unsafely<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
