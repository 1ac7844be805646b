import Foundation
import Frontend
import Journal
import Routing
import Synchronization
import Telemetry
import Testing

@Suite struct NDJSONTests {
    @Test func everyLineHasItsAnswerInOrder() async throws {
        try await TestServer.with { server in
            let body = """
                {"subject":"a","type":"t","id":"1","time":"2026-03-01T12:00:00Z","headers":{"h":"v","n":5},"payload":{"x": 1}}
                {"subject":"b","payloadBase64":"/wA="}

                not json
                {"subject":"a","id":"1"}
                {"type":"t"}
                {"subject":"c","colour":"red"}
                {"subject":"d","headers":{"h":"1","h":"2"}}
                {"subject":"e","payload":1,"payloadBase64":"AAAA"}
                {"subject":"f","sequence":5}
                  {"subject":"last"}
                """
            let response = try await server.lines(body)
            #expect(response.status == 200)
            #expect(response.headers["content-type"] == "application/x-ndjson")
            #expect(response.lines.count == 10)
            #expect(response.lines[0] == #"{"offset":0}"#)
            #expect(response.lines[1] == #"{"offset":1}"#)
            #expect(response.lines[3] == #"{"offset":0,"duplicate":true}"#)
            #expect(response.lines[9] == #"{"offset":2}"#)
            let errors = try [2, 4, 5, 6, 7, 8].map { index -> (Int, String) in
                let line = try #require(try JSONSerialization.jsonObject(with: Data(response.lines[index].utf8)) as? [String: Any])
                let error = try #require(line["error"] as? [String: Any])
                return (error["line"] as? Int ?? 0, error["field"] as? String ?? "")
            }
            #expect(errors.map(\.0) == [4, 6, 7, 8, 9, 10])
            #expect(errors.map(\.1) == ["", "subject", "colour", "headers", "payloadBase64", "sequence"])
            let events = try server.events()
            #expect(events.map(\.subject) == ["a", "b", "last"])
            #expect(events[0].payload == #"{"x": 1}"#)
            #expect(try server.headers(0) == ["h": "v", "n": "5"])
            #expect(server.metrics.domain("orders").refused[.malformed]?.value == 6)
        }
    }

    /// A record counts its headers in 16 bits, and each is compared with all before it: many short ones cost more than their bytes.
    @Test func headersAreFew() async throws {
        try await TestServer.with { table in
            table.limits.headersBytesMax = 1 << 20
        } _: { server in
            func line(_ count: Int) -> String {
                let headers = (0..<count).map { "\"\(String($0, radix: 36))\":\"\"" }.joined(separator: ",")
                return "{\"subject\":\"a\",\"headers\":{\(headers)}}"
            }
            let response = try await server.lines([line(1_024), line(1_025), line(70_000)].joined(separator: "\n"))
            #expect(response.lines.count == 3)
            #expect(response.lines[0] == #"{"offset":0}"#)
            for refused in response.lines.dropFirst() { #expect(refused.contains("an event has at most 1024 headers"), "\(refused)") }
        }
    }

    @Test func anEmptyBodyHasNoAnswers() async throws {
        try await TestServer.with { server in
            let response = try await server.lines("")
            #expect(response.status == 200)
            #expect(response.body.isEmpty)
        }
    }

    @Test func answersComeWhileTheRequestGoesOn() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            try await onThread {
                let client = try TestClient(port: port)
                try client.send(
                    "POST /v1/domains/orders/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                try client.chunk("{\"subject\":\"a\"}\n{\"subj")
                #expect(try client.head().status == 200)
                #expect(try client.chunk() == Array("{\"offset\":0}\n".utf8))
                try client.chunk("ect\":\"b\"}\n")
                #expect(try client.chunk() == Array("{\"offset\":1}\n".utf8))
                // The last line needs no newline.
                try client.chunk("{\"subject\":\"c\"}")
                try client.send("0\r\n\r\n")
                #expect(try client.chunk() == Array("{\"offset\":2}\n".utf8))
                #expect(try client.chunk().isEmpty)
                // The connection can be used again.
                #expect(try client.request("GET", "/healthz").status == 200)
            }
        }
    }

    @Test func aHundredThousandLinesOfAClientThatReadsLate() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            let count = 100_000
            let started = ContinuousClock.now
            let response = try await onThread {
                var body = ""
                body.reserveCapacity(count * 220)
                let filler = String(repeating: "x", count: 128)
                for index in 0..<count {
                    body += "{\"subject\":\"s\(index % 1000)\",\"type\":\"t\",\"payload\":{\"n\":\(index),\"f\":\"\(filler)\"}}\n"
                }
                return try TestClient(port: port).request(
                    "POST", "/v1/domains/orders/events", ["content-type": "application/x-ndjson"], body: Array(body.utf8))
            }
            let took = ContinuousClock.now - started
            #expect(response.lines.count == count)
            #expect(response.lines.last == "{\"offset\":\(count - 1)}")
            #expect(response.lines[500] == "{\"offset\":500}")
            #expect(server.journal.end(of: server.control.stream(ofDomain: "orders")!) == UInt64(count))
            print("NDJSON: \(count) lines in \(took)")
        }
    }

    @Test func oversizedPartsAreRefusedAndTheRestGoesOn() async throws {
        try await TestServer.with { table in
            table.domains["orders"]!.payloadBytesMax = 1000
        } _: { server in
            let big = String(repeating: "y", count: 2000)
            let huge = String(repeating: "z", count: 400_000)
            let response = try await server.lines(
                """
                {"subject":"a","payload":"\(big)"}
                {"subject":"\(big)"}
                {"subject":"c","payload":"\(huge)"}
                {"subject":"d"}
                """)
            let statuses = try response.lines.map { line -> Int in
                let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                return (object["error"] as? [String: Any])?["status"] as? Int ?? 200
            }
            #expect(statuses == [413, 400, 413, 200])
            #expect(response.lines[2].contains("\"line\":3"))
            #expect(try server.events().map(\.subject) == ["d"])
        }
    }

    @Test func largePayloadsGoToFilesOfTheirOwn() async throws {
        try await TestServer.with { server in
            let big = String(repeating: "y", count: 300 << 10)
            let response = try await server.lines("{\"subject\":\"a\"}\n{\"subject\":\"b\",\"payload\":\"\(big)\"}\n{\"subject\":\"c\"}\n")
            #expect(response.lines == ["{\"offset\":0}", "{\"offset\":1}", "{\"offset\":2}"])
            let page = try await server.request("GET", "/v1/events?domain=orders&from=1&limit=1")
            #expect(page.headers["capelet-next-offset"] == "2")
            #expect(page.text.contains("\"payload\":\"\(big)\""))
            #expect(page.text.contains("\"payloadSize\":\(big.utf8.count + 2)"))
        }
    }

    @Test func aFullBacklogEndsTheRequestWith429() async throws {
        try await TestServer.with { server in
            server.journal.setFailure(JournalError(.backlog, "8 GiB of events wait; lambda charge holds the log"))
            let response = try await server.lines("{\"subject\":\"a\"}\n{\"subject\":\"b\"}\n")
            #expect(response.status == 429)
            #expect(response.headers["retry-after"] == "5")
            #expect(try response.json()["detail"] as? String == "8 GiB of events wait; lambda charge holds the log")
            #expect(try response.json()["line"] as? Int == 1)
        }
    }

    @Test func aBacklogThatFillsUpLaterEndsTheStreamAtTheFirstRefusedLine() async throws {
        try await TestServer.with { server in
            let port = server.addresses.httpPort!
            let journal = server.journal
            try await onThread {
                let client = try TestClient(port: port)
                try client.send(
                    "POST /v1/domains/orders/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                try client.chunk("{\"subject\":\"a\"}\n")
                #expect(try client.head().status == 200)
                #expect(try client.chunk() == Array("{\"offset\":0}\n".utf8))
                journal.setFailure(JournalError(.backlog, "full"))
                try client.chunk("{\"subject\":\"b\"}\n{\"subject\":\"c\"}\n")
                let answer = String(decoding: try client.chunk(), as: UTF8.self)
                #expect(answer.contains("\"status\":429"))
                #expect(answer.contains("\"line\":2"))
                #expect(answer.split(separator: "\n").count == 1)
                #expect(try client.chunk().isEmpty, "the response ends though the request does not")
            }
        }
    }

    @Test func nothingIsTakenInWhileTheHostEnds() async throws {
        try await TestServer.with { server in
            server.control.state.withLock { $0.closed = "the host is shutting down" }
            let response = try await server.lines("{\"subject\":\"a\"}\n")
            #expect(response.status == 503)
            #expect(try response.json()["detail"] as? String == "the host is shutting down")
            #expect(try await server.request("GET", "/readyz").status == 503)
            #expect(try await server.request("GET", "/healthz").status == 200)
        }
    }

    @Test func nothingIsAnsweredBeforeTheCommit() async throws {
        try await TestServer.with(manual: true) { server in
            let port = server.addresses.httpPort!
            let journal = server.journal
            async let response = onThread {
                try TestClient(port: port).request(
                    "POST", "/v1/domains/orders/events", ["content-type": "application/x-ndjson"], body: Array("{\"subject\":\"a\"}\n".utf8)
                )
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while journal.pendingCount == 0, ContinuousClock.now < deadline { await Task.yield() }
            #expect(journal.pendingCount == 1)
            #expect(journal.end(of: server.control.stream(ofDomain: "orders")!) == 0)
            journal.step()
            let lines = try await response.lines
            #expect(lines == ["{\"offset\":0}"])
        }
    }
}
