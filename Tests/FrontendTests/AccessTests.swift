import Foundation
import Logging
import Routing
import Synchronization
import Testing

@testable import Frontend

/// Tokens over TCP.
@Suite struct AccessTests {
    private static let admin = "admin-token-0123456789"
    private static let producer = "producer-token-0123456789"
    private static let orders = "orders-token-0123456789"
    private static let event = "{\"subject\":\"a\"}\n"

    private static func bearer(_ token: String) -> [String: String] { ["authorization": "Bearer \(token)"] }

    /// A server with the domains `orders`, which has tokens of its own, and `files`.
    private static func with(
        admin: String? = admin, producers: String? = producer, domains: [String: String] = ["orders": orders],
        listening: (inout FrontendSettings) -> Void = { _ in }, _ body: (TestServer) async throws -> Void
    ) async throws {
        try await TestServer.with { table in
            table.domains["files"] = DomainRoute(name: "files", lambdas: ["charge"])
        } listening: { settings in
            let folder = URL(fileURLWithPath: settings.socketPath).deletingLastPathComponent().path
            settings.tokens = try TokenFiles(folder).book(admin: admin, producers: producers, domains: domains)
            listening(&settings)
        } _: { server in
            try await body(server)
        }
    }

    private static func send(_ server: TestServer, to domain: String, _ token: String?) async throws -> TestResponse {
        var headers = token.map(bearer) ?? [:]
        headers["content-type"] = "application/x-ndjson"
        return try await server.request("POST", "/v1/domains/\(domain)/events", headers, body: event)
    }

    @Test func withoutATokenNothingIsServedButWhetherTheHostLives() async throws {
        try await Self.with { server in
            for path in [
                "/v1/status", "/v1/lambdas", "/v1/events?domain=orders", "/v1/dead", "/v1/blocked", "/v1/deaths", "/metrics", "/v1/logs",
                "/nothing",
            ] {
                let response = try await server.request("GET", path)
                #expect(response.status == 401, "\(path)")
                #expect(response.headers["www-authenticate"] == "Bearer realm=\"capelet\"")
                #expect(response.headers["content-type"] == "application/problem+json")
                #expect(try response.json()["type"] as? String == "urn:capelet:problem:unauthorized")
            }
            for domain in ["orders", "files", "none"] {
                #expect(try await Self.send(server, to: domain, nil).status == 401, "not even which domains there are")
            }
            #expect(try await server.request("HEAD", "/v1/status").status == 401)
            #expect(try await server.request("GET", "/healthz").status == 200)
            #expect(try await server.request("HEAD", "/healthz").status == 200)
            #expect(try await server.request("GET", "/readyz").status == 200)
            #expect(try await server.request("GET", "/healthz/").status == 401)
            #expect(try server.events().isEmpty)
        }
    }

    @Test func whyAHostIsNotReadyIsNotForStrangers() async throws {
        try await Self.with { server in
            server.control.state.withLock { $0.closed = "the plugin /srv/secret is missing" }
            let open = try await server.request("GET", "/readyz")
            #expect(open.status == 503 && !open.text.contains("secret"))
            #expect(try await server.administrate("GET", "/readyz").text.contains("secret"))
        }
    }

    @Test func wrongTokensAreToldSo() async throws {
        try await Self.with { server in
            let wrong = try await server.request("GET", "/v1/status", Self.bearer("not-a-token-0123456789"))
            #expect(wrong.status == 401)
            #expect(wrong.headers["www-authenticate"] == "Bearer realm=\"capelet\", error=\"invalid_token\"")
            #expect(!wrong.text.contains("not-a-token"))
            for header in ["Basic YTpi", "Bearer", "Bearer two tokens"] {
                #expect(try await server.request("GET", "/v1/status", ["authorization": header]).status == 401, "\(header)")
            }
            #expect(
                try await server.request("GET", "/v1/status?access_token=\(Self.admin)").status == 401,
                "not in the address, which is logged")
            let port = server.addresses.httpPort!
            let twice = try await onThread {
                let client = try TestClient(port: port)
                try client.send(
                    "GET /v1/status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \(Self.admin)\r\nauthorization: Bearer x\r\n\r\n")
                return try client.response()
            }
            #expect(twice.status == 401)
        }
    }

    @Test func producersSendToTheirDomainsAndReadNothing() async throws {
        try await Self.with { server in
            #expect(try await Self.send(server, to: "orders", Self.orders).status == 200)
            #expect(try await Self.send(server, to: "files", Self.producer).status == 200)
            #expect(try server.events("orders").count == 1)
            #expect(try server.events("files").count == 1)

            let other = try await Self.send(server, to: "files", Self.orders)
            #expect(other.status == 403)
            #expect(other.headers["www-authenticate"] == "Bearer realm=\"capelet\", error=\"insufficient_scope\"")
            #expect(try other.json()["detail"] as? String == "the token is not for the domain `files`")
            #expect(
                try await Self.send(server, to: "orders", Self.producer).status == 403, "a domain with tokens of its own takes no others")
            // The name is decoded before it is compared.
            #expect(try await Self.send(server, to: "%6Frders", Self.producer).status == 403)
            #expect(try await Self.send(server, to: "%6Frders", Self.orders).status == 200)
            #expect(try await Self.send(server, to: "none", Self.orders).status == 403, "not even which domains there are")
            #expect(try await Self.send(server, to: "none", Self.producer).status == 404)
            for token in [Self.orders, Self.producer] {
                for path in ["/v1/status", "/metrics", "/v1/events?domain=orders", "/v1/domains/orders/events"] {
                    #expect(try await server.request("GET", path, Self.bearer(token)).status == 403, "\(path)")
                }
            }
            #expect(try server.events("orders").count == 2)
            #expect(try server.events("files").count == 1)
        }
    }

    @Test func theAdministrationReadsAndSendsButDoesNotSteerOverTCP() async throws {
        try await Self.with { (server: TestServer) async throws in
            let headers = Self.bearer(Self.admin)
            for path in ["/v1/status", "/v1/lambdas", "/v1/dead", "/v1/events?domain=orders", "/metrics"] {
                #expect(try await server.request("GET", path, headers).status == 200, "\(path)")
            }
            #expect(try await Self.send(server, to: "orders", Self.admin).status == 200)
            #expect(try await Self.send(server, to: "files", Self.admin).status == 200)
            let steering = headers.merging(["content-type": "application/json"]) { $1 }
            for path in ["/v1/admin/reload", "/v1/admin/backup", "/v1/lambdas/charge/rollback"] {
                #expect(try await server.request("POST", path, steering, body: "{}").status == 404, "\(path)")
            }
            #expect(server.control.calls.isEmpty)
        }
    }

    @Test func withoutTokensOfTheAdministrationReadsAreOnTheSocketOnly() async throws {
        try await Self.with(admin: nil) { server in
            let response = try await server.request("GET", "/v1/status", Self.bearer(Self.producer))
            #expect(response.status == 403)
            #expect(response.text.contains("Unix socket only"))
            #expect(try await server.administrate("GET", "/v1/status").status == 200)
        }
    }

    @Test func theSocketAsksForNoToken() async throws {
        try await Self.with { server in
            #expect(try await server.administrate("GET", "/v1/status").status == 200)
            let socket = server.addresses.socketPath
            let sent = try await onThread {
                try TestClient(path: socket).request(
                    "POST", "/v1/domains/orders/events", ["content-type": "application/x-ndjson"], body: Array(Self.event.utf8))
            }
            #expect(sent.status == 200)
            #expect(try await server.administrate("POST", "/v1/admin/pause", "{\"lambda\":\"charge\"}").status == 200)
        }
    }

    @Test func tokensAreReplacedAlsoOnOpenConnections() async throws {
        try await Self.with { server in
            let next = "next-admin-token-0123456789"
            let port = server.addresses.httpPort!
            let book = try TokenFiles(server.folder).book(admin: next)
            let frontend = server.server
            let statuses = try await onThread {
                let client = try TestClient(port: port)
                func status(_ token: String) throws -> Int { try client.request("GET", "/v1/status", Self.bearer(token)).status }
                var statuses = [try status(Self.admin), try status(next)]
                frontend.replaceTokens(book)
                statuses += [try status(Self.admin), try status(next)]
                frontend.replaceTokens(TokenBook())
                return statuses + [try client.request("GET", "/v1/status").status]
            }
            #expect(statuses == [200, 401, 401, 200, 200])
        }
    }

    @Test func guessingIsSlow() async throws {
        try await Self.with { server in
            let port = server.addresses.httpPort!
            let begin = ContinuousClock.now
            let statuses = try await onThread {
                let client = try TestClient(port: port)
                return try (0..<60).map { try client.request("GET", "/v1/status", Self.bearer("guess-0123456789-\($0)")).status }
            }
            let seconds = Int((ContinuousClock.now - begin) / .seconds(1)) + 1
            #expect(statuses.prefix(GuessLimit.burst).allSatisfy { $0 == 401 })
            #expect(statuses.count { $0 == 401 } <= GuessLimit.burst + seconds)
            let refused = try await server.request("GET", "/v1/status", Self.bearer("guess-0123456789-x"))
            if refused.status == 429 { #expect(refused.headers["retry-after"] == "1") }
            #expect(statuses.contains(429))
            // Who brings no token at all guesses nothing, and the socket is not concerned.
            #expect(try await server.request("GET", "/v1/status").status == 401)
            #expect(try await server.request("GET", "/healthz").status == 200)
            #expect(try await server.administrate("GET", "/v1/status").status == 200)
        }
    }

    @Test func configuredNamesAreAnsweredTo() async throws {
        try await Self.with(listening: { $0.allowedHosts = ["Events.Example.org"] }) { (server: TestServer) async throws in
            var headers = Self.bearer(Self.admin)
            for (host, status) in [
                ("events.example.org", 200), ("EVENTS.example.org:7070", 200), ("evil.example", 421), ("10.9.8.7:7070", 200),
                ("[2001:db8::1]:7070", 200), ("example.org", 421), ("x.events.example.org", 421),
            ] {
                headers["host"] = host
                #expect(try await server.request("GET", "/v1/status", headers).status == status, "\(host)")
            }
        }
    }

    @Test func allAddressesOfThisMachineAreListenedOn() async throws {
        for address in ["0.0.0.0:0", "*:0"] {
            try await Self.with(listening: { $0.http = address }) { server in
                let port = server.addresses.httpPort!
                let status = try await onThread {
                    try TestClient(port: port, address: 0x7F00_0002).request("GET", "/v1/status", Self.bearer(Self.admin)).status
                }
                #expect(status == 200)
            }
        }
    }
}
