import Foundation
import Testing

/// What webhook sends, and what it makes of the answer. Against a server of the test's own.
@Suite struct WebhookTests {
    /// A receiver and webhook delivering to it.
    private struct Hook {
        let receiver: HTTPReceiver
        let lambda: LoadedLambda
        var host: FakeHost { lambda.host }

        init(_ configuration: [String: Any] = [:], _ respond: @escaping @Sendable (HTTPReceiver.Request) -> HTTPReceiver.Answer) throws {
            receiver = try HTTPReceiver(respond)
            lambda = try WebhookTests.start(configuration.merging(["url": receiver.url]) { mine, _ in mine })
        }

        /// Delivers one event and waits for its end.
        func deliver(_ event: TestEvent = TestEvent(1)) throws -> FakeHost.Completion {
            let outcome = lambda.handle(event)
            #expect(outcome.status == pending)
            return try #require(host.completion(of: outcome.token))
        }

        func end() {
            lambda.stop()
            receiver.close()
            #expect(host.doubleCompletions == 0)
        }
    }

    private static func start(_ configuration: [String: Any]) throws -> LoadedLambda {
        try LoadedLambda(plugin: "webhook.so", host: FakeHost(stateDirectory: "/nonexistent", configuration: configuration))
    }

    private static func startFailure(_ configuration: [String: Any]) throws -> String? {
        do {
            _ = try start(configuration)
            return nil
        } catch let failure as LoadedLambda.StartFailure {
            return failure.message
        }
    }

    @Test func deliversACloudEvent() throws {
        let hook = try Hook { _ in .answer(200, body: "thanks") }
        defer { hook.end() }
        var event = TestEvent(7, domain: "orders", subject: "customer 7/€\"100%\"\n", payload: "{\"total\":12}")
        event.sequence = 3
        event.type = "order.paid"
        event.id = "a b"
        event.attempt = 2
        event.headers = [
            ("content-type", "application/json; charset=utf-8"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "vendor=a b,other=c"), ("region", "zürich"), ("x-tenant", "a b"), ("id", "not-the-id"),
        ]
        #expect(try hook.deliver(event) == .init(status: success, message: "", retryAfterMillis: 0))
        let request = try #require(hook.receiver.requests.first)
        #expect(request.method == "POST" && request.path == "/hook")
        #expect(request.body == event.payload)
        let expected = [
            "ce-specversion": "1.0", "ce-id": "a%20b", "ce-type": "order.paid", "ce-source": "/domains/orders",
            "ce-subject": "customer%207/%E2%82%AC%22100%25%22%0A", "ce-time": "2026-01-02T03:04:05.000006Z",
            "capelet-offset": "7", "capelet-sequence": "3", "capelet-attempt": "2", "content-type": "application/json; charset=utf-8",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=a b,other=c",
            "ce-region": "z%C3%BCrich", "capelet-header-x-tenant": "a%20b", "capelet-header-id": "not-the-id",
        ]
        for (name, value) in expected { #expect(request[name] == value, "\(name)") }
        #expect(request["expect"] == nil)
        #expect(hook.host.outputs.isEmpty)
    }

    @Test func anEventWithoutPayloadOrHeaders() throws {
        let hook = try Hook { _ in .answer(204) }
        defer { hook.end() }
        var event = TestEvent(1)
        event.subject = []
        event.id = ""
        event.type = ""
        #expect(try hook.deliver(event).status == success)
        let request = try #require(hook.receiver.requests.first)
        #expect(request["content-length"] == "0" && request.body.isEmpty)
        #expect(request["content-type"] == "application/octet-stream")
        #expect(request["ce-subject"] == nil)
        #expect(request["ce-id"] == "offset-1" && request["ce-type"] == "event", "a CloudEvent has both")
    }

    @Test func aLargePayloadOfAllBytes() throws {
        let hook = try Hook(["method": "PUT"]) { _ in .answer(201) }
        defer { hook.end() }
        var event = TestEvent(1)
        event.payload = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        #expect(try hook.deliver(event).status == success)
        let request = try #require(hook.receiver.requests.first)
        #expect(request.method == "PUT" && request.body == event.payload)
    }

    /// A header of an event must not be able to end its line and begin another.
    @Test func headersCannotBeSmuggled() throws {
        let hook = try Hook { _ in .answer(200) }
        defer { hook.end() }
        var event = TestEvent(1, subject: "a\r\nx-evil: 1")
        event.id = "i\r\nx-evil: 2"
        event.headers = [
            ("content-type", "text/plain\r\nx-evil: 3"), ("traceparent", "x\r\nx-evil: 4"), ("region", "y\r\nx-evil: 5"),
            ("a\r\nx-evil: 6\r\nb", "c"), ("empty", ""),
        ]
        #expect(try hook.deliver(event).status == success)
        let request = try #require(hook.receiver.requests.first)
        #expect(request["x-evil"] == nil)
        #expect(request["content-type"] == "application/octet-stream" && request["traceparent"] == nil)
        #expect(request["ce-region"] == "y%0D%0Ax-evil:%205" && request["ce-empty"] == "")
        #expect(request["capelet-header-a%0d%0ax-evil%3a%206%0d%0ab"] == "c")
    }

    @Test func statusesDecide() throws {
        let hook = try Hook { request in .answer(Int(request["ce-id"]!)!, body: "why: \(request["ce-id"]!)\n") }
        defer { hook.end() }
        let expected: [(Int, Int32)] =
            [200, 201, 202, 204, 299].map { ($0, success) } + [408, 425, 429, 500, 502, 503, 504, 599].map { ($0, retry) }
            + [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 409, 410, 413, 422, 451].map { ($0, fatal) }
        for (code, status) in expected {
            var event = TestEvent(1)
            event.id = "\(code)"
            let completion = try hook.deliver(event)
            #expect(completion.status == status, "\(code)")
            if status != success, code != 304 {
                #expect(completion.message == "http://127.0.0.1:\(hook.receiver.port) answered \(code): why: \(code)")
            }
        }
        // One after another, over one connection.
        #expect(hook.receiver.connections < 5)
    }

    @Test func quotesTheAnswerBounded() throws {
        let hook = try Hook { _ in .answer(404, body: "\u{1B}[31mé\0\n" + String(repeating: "€", count: 100)) }
        defer { hook.end() }
        let message = try hook.deliver().message
        #expect(message.contains("answered 404:  [31mé  €€€"))
        #expect(message.utf8.count < 300 && message.hasSuffix("€") && !message.unicodeScalars.contains("\u{FFFD}"))
    }

    @Test func honoursRetryAfter() throws {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let later = formatter.string(from: Date().addingTimeInterval(100))
        let earlier = formatter.string(from: Date().addingTimeInterval(-100))
        let cases: [(Int, String, ClosedRange<UInt64>)] = [
            (429, "7", 7000...7000), (503, later, 90_000...101_000), (429, earlier, 0...0), (429, "soon", 0...0), (429, "-5", 0...0),
            (500, "999999999999", 86_400_000...86_400_000), (404, "7", 0...0),
        ]
        for (code, value, range) in cases {
            let hook = try Hook { _ in .answer(code, headers: [("Retry-After", value)]) }
            defer { hook.end() }
            let completion = try hook.deliver()
            #expect(completion.status == (code == 404 ? fatal : retry))
            #expect(range.contains(completion.retryAfterMillis), "\(code) \(value): \(completion.retryAfterMillis)")
        }
    }

    @Test func aSlowReceiverIsARetry() throws {
        let hook = try Hook(["timeout": "150ms"]) { _ in .silence }
        defer { hook.end() }
        let start = ContinuousClock.now
        let completion = try hook.deliver()
        #expect(completion.status == retry && completion.message.contains("timed out"))
        #expect(ContinuousClock.now - start >= .milliseconds(140))
        #expect(hook.receiver.wait(givenUp: 1))
    }

    @Test func aReceiverThatIsNotThereIsARetry() throws {
        let gone = try HTTPReceiver { _ in .hangUp }
        gone.close()
        let refused = try Hook(["url": gone.url]) { _ in .silence }
        defer { refused.end() }
        let completion = try refused.deliver()
        #expect(completion.status == retry && completion.message.contains("http://127.0.0.1:\(gone.port): "))
        let hangingUp = try Hook { _ in .hangUp }
        defer { hangingUp.end() }
        #expect(try hangingUp.deliver().status == retry)
    }

    @Test func manyRequestsAreInFlightAtOnce() throws {
        // The answer to each comes only when all sixteen have arrived.
        let all = Gate()
        let hook = try Hook { _ in
            all.wait()
            return .answer(200)
        }
        defer { hook.end() }
        let outcomes = (0..<16).map { hook.lambda.handle(TestEvent(UInt64($0))) }
        #expect(outcomes.allSatisfy { $0.status == pending })
        #expect(hook.receiver.wait(requests: 16))
        #expect(hook.host.completions.isEmpty)
        all.open()
        #expect(outcomes.allSatisfy { hook.host.completion(of: $0.token)?.status == success })
        #expect(Set(hook.receiver.requests.map { $0["capelet-offset"] }).count == 16)
    }

    @Test func concurrencyIsALimit() throws {
        let hook = try Hook(["concurrency": 2]) { _ in .answer(200) }
        defer { hook.end() }
        let outcomes = (0..<200).map { hook.lambda.handle(TestEvent(UInt64($0))) }
        #expect(outcomes.allSatisfy { hook.host.completion(of: $0.token)?.status == success })
        #expect(hook.receiver.requests.count == 200 && hook.receiver.connections <= 3)
    }

    @Test func waitingForARequestToEndCanBeCancelled() throws {
        let hook = try Hook(["concurrency": 1, "timeout": "60s"]) { _ in .silence }
        defer { hook.end() }
        let first = hook.lambda.handle(TestEvent(1))
        // The token of the event that is going to wait: tests of other suites take tokens too, so all that may come are cancelled.
        for token in (first.token + 1)..<(first.token + 100_000) { hook.host.cancel(token) }
        let outcome = hook.lambda.handle(TestEvent(2))
        #expect(outcome.status == retry && outcome.message.contains("cancelled"))
        #expect(hook.host.completions[outcome.token] == nil)
    }

    @Test func aCancelledTransferIsDropped() throws {
        let hook = try Hook(["timeout": "60s"]) { $0["capelet-offset"] == "1" ? .silence : .answer(200) }
        defer { hook.end() }
        let outcome = hook.lambda.handle(TestEvent(1))
        #expect(hook.receiver.wait(requests: 1))
        hook.lambda.cancel(outcome.token)
        #expect(hook.host.completion(of: outcome.token)?.message == "cancelled")
        #expect(hook.receiver.wait(givenUp: 1))
        #expect(try hook.deliver(TestEvent(2)).status == success)
        // Also without being told: it asks now and then.
        let another = hook.lambda.handle(TestEvent(1))
        #expect(hook.receiver.wait(requests: 3))
        hook.host.cancel(another.token)
        #expect(hook.host.completion(of: another.token)?.message == "cancelled")
    }

    @Test func stoppingEndsWhatIsInFlight() throws {
        let hook = try Hook(["timeout": "60s"]) { _ in .silence }
        let outcomes = (0..<8).map { hook.lambda.handle(TestEvent($0)) }
        #expect(hook.receiver.wait(requests: 8))
        hook.end()
        #expect(outcomes.allSatisfy { hook.host.completions[$0.token]?.status == retry })
        // And with requests that libcurl has not even begun.
        let other = try Hook { _ in .silence }
        let late = (0..<8).map { other.lambda.handle(TestEvent($0)) }
        other.end()
        #expect(late.allSatisfy { other.host.completions[$0.token]?.status == retry })
    }

    @Test func theAnswerBecomesTheOutput() throws {
        let hook = try Hook(["output": true]) { request in
            .answer(200, body: String(repeating: "x", count: Int(request["ce-id"]!)!))
        }
        defer { hook.end() }
        for size in [0, 5, 65_536, 65_537, 2_000_000] {
            var event = TestEvent(1)
            event.id = "\(size)"
            let outcome = hook.lambda.handle(event)
            let completion = try #require(hook.host.completion(of: outcome.token))
            #expect(completion.status == (size <= 65_536 ? success : fatal), "\(size)")
            #expect(hook.host.outputs[outcome.token]?.count == (size <= 65_536 ? size : nil))
        }
        let careless = try Hook { _ in .answer(200, body: String(repeating: "x", count: 2_000_000)) }
        defer { careless.end() }
        #expect(try careless.deliver().status == success)
        #expect(careless.host.outputs.isEmpty)
    }

    @Test func redirectsAreFollowedOnlyWhenAskedAndOnlyWithinTheHost() throws {
        let respond: @Sendable (HTTPReceiver.Request) -> HTTPReceiver.Answer = { request in
            switch request.path {
            case "/hook": .answer(request["ce-id"] == "303" ? 303 : 307, headers: [("Location", "/next?x=1")])
            case "/next?x=1": .answer(302, headers: [("Location", "last")])
            case "/loop": .answer(308, headers: [("Location", "/loop")])
            default: .answer(200)
            }
        }
        let hook = try Hook(["follow-redirects": true], respond)
        defer { hook.end() }
        #expect(try hook.deliver(TestEvent(1, payload: "body")).status == success)
        let last = try #require(hook.receiver.requests.last)
        #expect(hook.receiver.requests.map(\.path) == ["/hook", "/next?x=1", "/last"])
        #expect(last.method == "POST" && last.body == Array("body".utf8) && last["ce-id"] == "id-1")
        var other = TestEvent(1)
        other.id = "303"
        #expect(try hook.deliver(other).status == fatal)

        let loop = try Hook(["follow-redirects": true, "url": "http://127.0.0.1:\(hook.receiver.port)/loop"], respond)
        defer { loop.end() }
        let completion = try loop.deliver()
        #expect(completion.status == fatal && completion.message.contains("more than 5 times"))

        for target in [hook.receiver.url, "ftp://127.0.0.1/x", "https://127.0.0.1/hook"] {
            let leaving = try Hook(["follow-redirects": true, "headers": ["authorization": "secret-1"]]) { _ in
                .answer(307, headers: [("Location", target)])
            }
            defer { leaving.end() }
            let before = hook.receiver.requests.count
            #expect(try leaving.deliver().message.contains("not followed"))
            #expect(hook.receiver.requests.count == before)
        }
    }

    @Test func configuredHeadersReplaceAndStaySecret() throws {
        let headers = [
            "Authorization": "Bearer secret-1", "content-type": "application/x", "CE-Source": "/mine", "x-empty": "", "x-n": "5",
        ]
        let hook = try Hook(["headers": headers]) { _ in .answer(401, body: "who are you?") }
        defer { hook.end() }
        let completion = try hook.deliver()
        let request = try #require(hook.receiver.requests.first)
        #expect(request["authorization"] == "Bearer secret-1" && request["content-type"] == "application/x")
        #expect(request["ce-source"] == "/mine" && request["x-empty"] == "" && request["x-n"] == "5")
        #expect(!completion.message.contains("secret-1") && !hook.host.logs.contains { $0.contains("secret-1") })

        let secretURL = try Hook(["url": "http://user:secret-2@127.0.0.1:\(hook.receiver.port)/secret-3?token=secret-4"]) { _ in .silence }
        defer { secretURL.end() }
        let answer = try secretURL.deliver()
        #expect(answer.status == fatal && !answer.message.contains("secret"))
        #expect(hook.receiver.requests.last?["authorization"]?.hasPrefix("Basic ") == true)
    }

    @Test func configuration() throws {
        let good = "http://127.0.0.1:1/"
        let wrong: [([String: Any], String)] = [
            ([:], "config url"), (["url": ""], "config url"), (["url": "ftp://x/"], "config url"),
            (["url": "file:///etc/passwd"], "config url"),
            (["url": "example.com/x"], "config url"), (["url": "http://a b/"], "config url"), (["url": "http://x/\r\ny"], "config url"),
            (["url": good, "method": "GET"], "config method"), (["url": good, "method": ""], "config method"),
            (["url": good, "timeout": "10"], "config timeout"), (["url": good, "timeout": "0s"], "config timeout"),
            (["url": good, "concurrency": 0], "config concurrency"), (["url": good, "concurrency": "many"], "config concurrency"),
            (["url": good, "output": "yes"], "config output"), (["url": good, "follow-redirects": 1.5], "config follow-redirects"),
            (["url": good, "headers": ["a b": "c"]], "config headers.a b"),
            (["url": good, "headers": ["x": "secret\r\ny: z"]], "config headers.x"),
            (["url": good, "headers": ["Content-Length": "7"]], "config headers.Content-Length"),
            (["url": good, "headers": ["x"]], "config headers"), (["url": good, "headers": ["x": ["y": "z"]]], "config headers.x"),
            (["url": good, "header": [:] as [String: String]], "`header`"),
        ]
        for (configuration, message) in wrong {
            let failure = try #require(try Self.startFailure(configuration), "\(configuration)")
            #expect(failure.contains(message), "\(configuration): \(failure)")
            #expect(!failure.contains("secret"))
        }
        #expect(try Self.startFailure(["url": good, "headers": ["x\u{e9}": "c"]]) != nil)
        #expect(try Self.startFailure(["url": good, "timeout": "1.5m", "method": "PATCH", "output": false]) == nil)
    }
}

/// Opens once, for all that wait.
private final class Gate: @unchecked Sendable {
    private let condition = NSCondition()
    private var isOpen = false

    func open() {
        condition.lock()
        isOpen = true
        condition.broadcast()
        condition.unlock()
    }

    func wait() {
        condition.lock()
        while !isOpen { condition.wait() }
        condition.unlock()
    }
}
