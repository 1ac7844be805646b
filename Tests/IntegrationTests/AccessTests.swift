import CLinux
import Foundation
import Glibc
import Testing

/// Who gets at a running host: over TCP with tokens, over the Unix socket, through the files of the data directory.
@Suite(.serialized, .ownThreads)
struct AccessTests {
    private static let admin = "admin-token-0123456789"
    private static let orders = "orders-token-0123456789"
    private static let routing = """
        tokens: { admin: { file: admin.tokens } }
        domains: { orders: { lambdas: [record], tokens: { file: orders.tokens } }, work: { lambdas: [record] } }
        """

    private static func secret(_ host: TestHost, _ name: String, _ text: String, mode: mode_t = 0o600) throws {
        try host.folder.write(name, text)
        guard chmod(host.folder.file(name), mode) == 0 else { throw TestTrouble("chmod: \(errno)") }
    }

    private static func host(listen: String = "0.0.0.0:0") throws -> TestHost {
        let host = try TestHost(routing, listen: listen)
        try secret(host, "admin.tokens", "# the operator\n\(admin)\n")
        try secret(host, "orders.tokens", "\(orders)\n")
        return host
    }

    private static func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o777 : nil
    }

    private static func get(_ path: String, at place: HTTPClient.Place, _ token: String?) async throws -> HTTPAnswer {
        let headers = token.map { ["authorization": "Bearer \($0)"] } ?? [:]
        return try await onThread { try HTTPClient.request("GET", path, at: place, headers: headers) }
    }

    private static func post(_ path: String, at place: HTTPClient.Place, _ token: String?, _ body: String) async throws -> HTTPAnswer {
        let headers = token.map { ["authorization": "Bearer \($0)"] } ?? [:]
        return try await onThread {
            try HTTPClient.request("POST", path, at: place, type: "application/x-ndjson", headers: headers, body: Array(body.utf8))
        }
    }

    /// An IPv4 address of this machine that is not of its loopback; nil: there is none.
    private static func otherAddress() -> String? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else { continue }
            var text = [CChar](repeating: 0, count: 64)
            let isText = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                inet_ntop(AF_INET, &$0.pointee.sin_addr, &text, 64) != nil
            }
            let found = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if isText, !found.hasPrefix("127.") { return found }
        }
        return nil
    }

    // MARK: tokens

    @Test("Beyond loopback without tokens the host does not start, and check says where and what to write")
    func refusedWithoutTokens() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }", listen: "0.0.0.0:0")
        try host.launch()
        #expect(try await host.ended() == .exit(78))
        let check = try await host.capelet("check")
        #expect(check.code == 78)
        for text in [host.log, check.errors] {
            #expect(text.contains("capelet.yaml:1:17: 'http' in 'listen' is '0.0.0.0:0', which other machines can reach"), "\(text)")
            #expect(text.contains("tokens: { admin: { file: PATH }, producers: { file: PATH } }"))
        }
        // With one it does, unless others can read it.
        try host.route(Self.routing, listen: "0.0.0.0:0")
        try Self.secret(host, "admin.tokens", Self.admin, mode: 0o644)
        try Self.secret(host, "orders.tokens", "short\n")
        try host.launch()
        #expect(try await host.ended() == .exit(78))
        #expect(host.log.contains("capelet.yaml:2:26: 'file' in 'admin' of 'tokens'"), "\(host.log)")
        #expect(host.log.contains("mode 0644"))
        #expect(host.log.contains("line 1: the token has 5 bytes, at least 16 are needed"))
        #expect(!host.log.contains("short"))
        #expect(!FileManager.default.fileExists(atPath: host.folder.file("data")))
    }

    @Test("From every address of this machine: nothing without a token, and with one what it is for")
    func overTCP() async throws {
        let host = try Self.host()
        try await host.start()
        let port = try #require(try await host.status().port)
        #expect(try await host.status().listening.contains("http://0.0.0.0:\(port)"))
        for address in ["127.0.0.1", "127.0.0.2"] + (Self.otherAddress().map { [$0] } ?? []) {
            let place = HTTPClient.Place.address(address, port)
            let open = try await Self.get("/v1/status", at: place, nil)
            #expect(open.status == 401 && open.headers["www-authenticate"] == "Bearer realm=\"capelet\"", "\(address)")
            #expect(try await Self.get("/healthz", at: place, nil).status == 200)
            #expect(try await Self.get("/readyz", at: place, nil).status == 200)
            #expect(try await Self.get("/v1/status", at: place, Self.admin).status == 200)
            #expect(try await Self.get("/metrics", at: place, Self.admin).status == 200)
            #expect(try await Self.get("/v1/status", at: place, Self.orders).status == 403)
            func send(_ domain: String, _ token: String?) async throws -> Int {
                try await Self.post("/v1/domains/\(domain)/events", at: place, token, "{\"subject\":\"s\"}\n").status
            }
            #expect(try await send("orders", nil) == 401)
            #expect(try await send("orders", "wrong-token-0123456789") == 401)
            #expect(try await send("orders", Self.orders) == 200)
            #expect(try await send("work", Self.orders) == 403)
            #expect(try await send("work", Self.admin) == 200)
            #expect(try await Self.post("/v1/admin/reload", at: place, Self.admin, "{}").status == 404)
        }
        // The command line goes on as before.
        let sent = try await host.capelet("send", "orders", "--subject", "s", "x")
        #expect(sent.code == 0, "\(sent.errors)")
        let status = try await host.capelet("status", "--json")
        #expect(status.code == 0)
        try await host.settled()
        try await host.stop()
        // Nobody is told a token.
        for text in [host.log, status.output, host.folder.read("output")] {
            for token in [Self.admin, Self.orders, "wrong-token"] { #expect(!text.contains(token)) }
        }
        #expect(host.log.contains("wrong token"))
    }

    @Test("On loopback tokens are optional; once there are any they hold there too")
    func onLoopback() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        let place = HTTPClient.Place.port(try #require(try await host.status().port))
        #expect(try await Self.get("/v1/status", at: place, nil).status == 200)
        try Self.secret(host, "admin.tokens", Self.admin)
        try Self.secret(host, "orders.tokens", Self.orders)
        try host.route(Self.routing)
        let answer = try await host.capelet("reload")
        #expect(answer.code == 0, "\(answer.errors)")
        #expect(answer.output.contains("tokens have changed"))
        #expect(try await Self.get("/v1/status", at: place, nil).status == 401)
        #expect(try await Self.get("/v1/status", at: place, Self.admin).status == 200)
        try host.route("domains: { work: { lambdas: [record] } }")
        #expect(try await host.capelet("reload").code == 0)
        #expect(try await Self.get("/v1/status", at: place, nil).status == 200)
        try await host.stop()
    }

    @Test("A token is replaced by reloads: both hold, then the new one alone")
    func rotation() async throws {
        let host = try Self.host(listen: "127.0.0.2:0")
        try await host.start()
        let place = HTTPClient.Place.address("127.0.0.2", try #require(try await host.status().port))
        let next = "next-admin-token-0123456789"
        func statuses() async throws -> [Int] {
            [try await Self.get("/v1/status", at: place, Self.admin).status, try await Self.get("/v1/status", at: place, next).status]
        }
        #expect(try await statuses() == [200, 401])
        try Self.secret(host, "admin.tokens", "\(Self.admin)  # until Friday\n\(next)\n")
        #expect(try await statuses() == [200, 401], "not before the reload")
        let both = try await host.capelet("reload")
        #expect(both.code == 0 && both.output.contains("tokens have changed"), "\(both.errors)")
        #expect(try await statuses() == [200, 200])
        try Self.secret(host, "admin.tokens", "\(next)\n")
        #expect(try await host.capelet("reload").code == 0)
        #expect(try await statuses() == [401, 200])
        #expect(try await host.capelet("reload").output.contains("tokens have changed") == false)
        // A file that is wrong is refused, and what held goes on.
        try Self.secret(host, "admin.tokens", "\(next)\ntoo short\n")
        let wrong = try await host.capelet("reload")
        #expect(wrong.code == 1 && wrong.errors.contains("admin.tokens' line 2"), "\(wrong.errors)")
        #expect(try await statuses() == [401, 200])
        try await host.stop()
    }

    @Test("A listener that others can reach is not left without tokens by a reload")
    func notOpened() async throws {
        let host = try Self.host()
        try await host.start()
        let place = HTTPClient.Place.port(try #require(try await host.status().port))
        // For loopback this would be right, but the listener stays where it is.
        try host.route("domains: { orders: { lambdas: [record] }, work: { lambdas: [record] } }", listen: "127.0.0.1:0")
        let answer = try await host.capelet("reload")
        #expect(answer.code == 1)
        #expect(answer.errors.contains("stays open until the host is restarted"), "\(answer.errors)")
        #expect(try await Self.get("/v1/status", at: place, nil).status == 401)
        try await host.stop()
        try await host.start()
        #expect(try await host.status().listening.contains { $0.hasPrefix("http://127.0.0.1:") })
        try await host.stop()
    }

    // MARK: the Unix socket

    @Test("A worker cannot steer its host through the Unix socket, whoever it runs as")
    func workersAreRefused() async throws {
        let host = try TestHost("domains: { work: { lambdas: [knock] } }")
        try await host.start()
        #expect(Self.mode(host.folder.file("data/capelet.sock")) == 0o600)
        try await host.send([#"{"subject":"s","payload":"\#(host.folder.file("data/capelet.sock"))"}"#], to: "work")
        try await host.settled()
        let answer = host.folder.read("data/state/knock/answers")
        // Or it did not even come that far.
        #expect(answer.hasPrefix("HTTP/1.1 403") || answer.hasPrefix("error "), "\(answer)")
        if answer.hasPrefix("HTTP") { #expect(host.log.contains("worker of this host"), "\(host.log)") }
        #expect(try await host.status().generation == 1)
        try await host.stop()
    }

    // MARK: the data directory

    @Test("What the host makes in the data directory is for its user only")
    func modes() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        let large = String(repeating: "x", count: 300_000)
        let answer = try await host.capelet("send", "work", "--subject", "s", "-", input: large)
        #expect(answer.code == 0, "\(answer.errors)")
        let data = host.folder.file("data")
        #expect(Self.mode(data) == 0o700)
        for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "tail", "lock", "capelet.sock"] {
            #expect(Self.mode(data + "/" + name) == 0o600, "\(name)")
        }
        let payloads = try FileManager.default.contentsOfDirectory(atPath: data + "/payloads")
        #expect(payloads.count == 1)
        for name in payloads { #expect(Self.mode(data + "/payloads/" + name) == 0o600) }
        for name in ["numbers", "history"] { #expect(Self.mode(data + "/generations/" + name) == 0o600, "\(name)") }
        #expect(Self.mode(data + "/payloads") == 0o700)
        #expect(Self.mode(data + "/state/record") == 0o700)
        let backup = host.folder.file("backup.sqlite")
        let made = try await host.capelet("backup", backup)
        #expect(made.code == 0, "\(made.errors)")
        #expect(Self.mode(backup) == 0o600)
        try await host.stop()
    }

    @Test("A data directory that others can enter is closed to them; one that is not the host's is refused")
    func directories() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        let data = host.folder.file("data")
        // Empty, as a package or a volume makes it.
        #expect(mkdir(data, 0o755) == 0)
        try await host.start()
        #expect(Self.mode(data) == 0o700)
        #expect(host.log.contains("had mode 755; it is 700 now"), "\(host.log)")
        try await host.stop()
        // With a journal.
        #expect(chmod(data, 0o770) == 0)
        try await host.start()
        #expect(Self.mode(data) == 0o700)
        try await host.stop()
        // With other things: it may be a folder that others need.
        try FileManager.default.removeItem(atPath: data)
        #expect(mkdir(data, 0o755) == 0)
        try host.folder.write("data/something", "else")
        try host.launch()
        #expect(try await host.ended() == .exit(1))
        #expect(host.log.contains("has mode 755, so that others can enter it, and holds other things than a journal"), "\(host.log)")
        #expect(Self.mode(data) == 0o755)
        #expect(chmod(data, 0o700) == 0)
        try await host.start()
        try await host.stop()
        // A file in its place, and a place where none can be made.
        try FileManager.default.removeItem(atPath: data)
        try host.folder.write("data", "a file")
        try host.launch()
        #expect(try await host.ended() == .exit(1))
        #expect(host.log.contains("cannot open the data directory"), "\(host.log)")
        if geteuid() == 0 {
            try FileManager.default.removeItem(atPath: data)
            #expect(mkdir(data, 0o700) == 0 && chown(data, 12_345, 12_345) == 0)
            try host.launch()
            #expect(try await host.ended() == .exit(1))
            #expect(host.log.contains("belongs to user 12345, and the host runs as user 0"), "\(host.log)")
        }
    }
}
