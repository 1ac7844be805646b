import Foundation
import Frontend
import Journal
import Routing
import Telemetry
import Testing

@Suite struct CloudEventTests {
    private let binary = [
        "ce-specversion": "1.0", "ce-id": "o-1", "ce-source": "/shop", "ce-type": "order.paid", "ce-subject": "customer-7",
        "content-type": "application/json",
    ]
    private let path = "/v1/domains/orders/events"

    @Test func binaryModeIsAccepted() async throws {
        try await TestServer.with { server in
            var headers = binary
            headers["ce-subject"] = "caf%C3%A9%20100%"
            headers["ce-time"] = "2026-03-01T12:00:00.25+01:00"
            headers["ce-tenant"] = "\"a \\\"b\\\"\""
            headers["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let first = try await server.request("POST", path, headers, body: "{\"total\": 12}")
            #expect(first.status == 201)
            #expect(first.text == #"{"offset":0,"duplicate":false}"#)
            let again = try await server.request("POST", path, headers, body: "{\"total\": 12}")
            #expect(again.status == 200)
            #expect(again.text == #"{"offset":0,"duplicate":true}"#)
            let events = try server.events()
            #expect(events.count == 1)
            #expect(events[0].subject == "café 100%")
            #expect(events[0].type == "order.paid")
            #expect(events[0].id == "/shop o-1")
            #expect(events[0].payload == "{\"total\": 12}")
            let kept = try server.headers(0)
            #expect(kept["content-type"] == "application/json")
            #expect(kept["ce-source"] == "/shop")
            #expect(kept["tenant"] == "a \"b\"")
            #expect(kept["traceparent"]?.hasPrefix("00-0af7") == true)
            #expect(server.metrics.domain("orders").accepted.value == 1)
            #expect(server.metrics.domain("orders").duplicates.value == 1)
        }
    }

    @Test(arguments: [
        ("ce-specversion", "0.3"), ("ce-id", ""), ("ce-source", ""), ("ce-type", ""), ("ce-subject", ""), ("ce-time", "yesterday"),
        ("ce-time", "2026-02-30T00:00:00Z"), ("ce-source", "%20"), ("ce-subject", "%FF"), ("ce-subject", "a%00b"), ("ce-under_score", "1"),
    ])
    func binaryModeNamesTheWrongHeader(name: String, value: String) async throws {
        try await TestServer.with { server in
            var headers = binary
            headers[name] = value.isEmpty ? nil : value
            let response = try await server.request("POST", path, headers)
            #expect(response.status == 400)
            #expect(response.headers["content-type"] == "application/problem+json")
            let problem = try response.json()
            #expect(problem["field"] as? String == name, "\(problem)")
            #expect(problem["status"] as? Int == 400)
            #expect(try server.events().isEmpty)
        }
    }

    @Test func structuredModeKeepsDataByteForByte() async throws {
        try await TestServer.with { server in
            func send(_ body: String) async throws -> TestResponse {
                try await server.request("POST", path, ["content-type": "application/cloudevents+json; charset=utf-8"], body: body)
            }
            let head = #""specversion":"1.0","id":"1","source":"s","type":"t","subject":"x""#
            #expect(try await send(#"{"data": { "a" : [1, 2.50e1,"é\u00e9"] } , \#(head), "n":5, "b":true, "gone":null}"#).status == 201)
            #expect(
                try await send(#"{\#(head.replacing("\"1\"", with: "\"2\"")),"datacontenttype":"text/plain","data":"a\n\ud83d\ude00"}"#)
                    .status == 201)
            #expect(try await send(#"{\#(head.replacing("\"1\"", with: "\"3\"")),"data_base64":"AAH/"}"#).status == 201)
            #expect(try await send(#"{\#(head.replacing("\"1\"", with: "\"4\""))}"#).status == 201)
            let events = try server.events()
            #expect(events[0].payload == #"{ "a" : [1, 2.50e1,"é\u00e9"] }"#)
            #expect(events[1].payload == "a\n😀")
            #expect(events[3].payload == "")
            #expect(try server.headers(0)["n"] == "5")
            #expect(try server.headers(0)["b"] == "true")
            #expect(try server.headers(0)["gone"] == nil)
            let page = try await server.request("GET", "/v1/events?domain=orders&from=2&limit=1")
            #expect(page.lines[0].contains(#""payloadBase64":"AAH/""#))
        }
    }

    @Test(arguments: [
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#, "subject"),
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":5,"subject":"x"}"#, "subject"),
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"x","extra":{"a":1}}"#, "extra"),
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"x","data_base64":"A"}"#, "data_base64"),
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"x","data":1,"data_base64":"AAAA"}"#, "data_base64"),
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"x","Upper":"1"}"#, "Upper"),
        (#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"x"} x"#, ""),
        (#"["specversion"]"#, ""),
        ("", ""),
    ])
    func structuredModeNamesTheWrongPart(body: String, field: String) async throws {
        try await TestServer.with { server in
            let response = try await server.request("POST", path, ["content-type": "application/cloudevents+json"], body: body)
            #expect(response.status == 400)
            #expect(try response.json()["field"] as? String ?? "" == field, "\(response.text)")
        }
    }

    @Test func aBatchIsAllOrNothing() async throws {
        try await TestServer.with { server in
            func event(_ id: Int, _ extra: String = "") -> String {
                #"{"specversion":"1.0","id":"\#(id)","source":"s","type":"t","subject":"x\#(id)"\#(extra)}"#
            }
            let type = ["content-type": "application/cloudevents-batch+json"]
            let large = #","datacontenttype":"text/plain","data":"\#(String(repeating: "z", count: 300_000))""#
            let good = try await server.request("POST", path, type, body: "[\(event(0)),\(event(1, large)) , \(event(2))]")
            #expect(good.status == 200)
            #expect(
                good.text
                    == #"{"results":[{"offset":0,"duplicate":false},{"offset":1,"duplicate":false},{"offset":2,"duplicate":false}]}"#)
            let mixed = try await server.request("POST", path, type, body: "[\(event(1)),\(event(3))]")
            #expect(mixed.text == #"{"results":[{"offset":1,"duplicate":true},{"offset":3,"duplicate":false}]}"#)
            let bad = try await server.request("POST", path, type, body: "[\(event(7)),{\"id\":1}]")
            #expect(bad.status == 400)
            #expect(try bad.json()["line"] as? Int == 2)
            #expect(try server.events().count == 4)
            #expect(try await server.request("POST", path, type, body: "[]").text == #"{"results":[]}"#)
            #expect(try await server.request("POST", path, type, body: "[\(event(8))").status == 400)
            #expect(try server.events().map(\.subject) == ["x0", "x1", "x2", "x3"])
        }
    }

    @Test func producerSequencesAreKept() async throws {
        try await TestServer.with { table in
            table.domains["orders"]!.sequence = .producer
        } settings: { journal, stream in
            var settings = StreamSettings()
            settings.producerSequence = true
            journal.configure(stream, settings)
        } _: { server in
            var headers = binary
            let missing = try await server.request("POST", path, headers)
            #expect(missing.status == 400)
            #expect(try missing.json()["field"] as? String == "ce-sequence")
            headers["ce-sequence"] = "10"
            #expect(try await server.request("POST", path, headers).status == 201)
            headers["ce-id"] = "o-2"
            headers["ce-sequence"] = "9"
            let late = try await server.request("POST", path, headers)
            #expect(late.status == 409)
            #expect(try late.json()["type"] as? String == "urn:capelet:problem:out-of-order")
            headers["ce-sequence"] = "-1"
            #expect(try await server.request("POST", path, headers).status == 400)
        }
    }
}
