import Foundation
import Glibc
import Testing

/// Starting, ending and signals.
@Suite(.ownThreads)
struct LifecycleTests {
    private static let simple = "domains: { work: { lambdas: [record] } }\n"

    @Test("A second host on the same data is refused, the first serves on")
    func secondHost() async throws {
        let host = try TestHost(Self.simple)
        try await host.start()
        let second = try await run(
            Programs.capelet, ["serve", "--config", host.config], folder: host.folder.path,
            environment: ["CAPELET_WORKER": host.folder.file("capelet-worker")])
        #expect(second.code == 1)
        #expect(second.errors.contains("is in use by process \(host.pid)"), "\(second.errors)")
        try await host.send([#"{"subject":"s"}"#], to: "work")
        try await host.settled()
        #expect(try await host.stop() == .exit(0))
    }

    @Test("SIGTERM lets what runs finish, refuses what is new, and leaves no process")
    func drain() async throws {
        let host = try TestHost(Self.simple + "lambdas: { record: { config: { micros: 700000 } } }")
        try await host.start()
        try await host.send([#"{"subject":"s"}"#, #"{"subject":"s"}"#], to: "work")
        #expect(await eventually { !host.record("record").lines.isEmpty })
        #expect(try await host.stop() == .exit(0))
        #expect(host.children.isEmpty)
        let before = host.record("record")
        #expect(before.lines.map(\.isBegin) == [true, false], "the first event ended, the second was not begun")
        #expect(!FileManager.default.fileExists(atPath: host.folder.file("data/capelet.sock")))
        try await host.start()
        try await host.settled()
        #expect(host.record("record").runs.values.sorted() == [1, 1])
        #expect(host.log.contains("ended"))
        try await host.stop()
    }

    @Test("A second SIGTERM does not wait for what runs, and that is no failure of the event")
    func hurry() async throws {
        let host = try TestHost(
            "domains: { work: { lambdas: [obey] } }\nlambdas: { obey: { timeout: 5m, grace: 1s, retry: { attempts: 1, crashes: 1 } } }")
        try await host.start()
        try await host.send([#"{"subject":"s","payload":"sleep"}"#], to: "work")
        #expect(await eventually { !host.record("obey").lines.isEmpty })
        host.send(SIGTERM)
        #expect(await eventually { host.log.contains("ending") })
        #expect(host.end() == nil)
        host.send(SIGTERM)
        #expect(try await host.ended(within: .seconds(20)) == .exit(0))
        #expect(host.children.isEmpty)
        try await host.start()
        #expect(await eventually { host.record("obey").lines.count == 2 })
        #expect(try await host.dead().isEmpty)
        #expect(host.record("obey").lines.map(\.attempt) == [1, 1])
        host.send(SIGTERM)
        #expect(await eventually { host.log.components(separatedBy: "ending").count >= 3 })
        host.send(SIGINT)
        #expect(try await host.ended(within: .seconds(20)) == .exit(0))
    }

    @Test("SIGUSR1 writes a summary to the log")
    func summary() async throws {
        let host = try TestHost(Self.simple)
        try await host.start()
        try await host.send([#"{"subject":"s"}"#], to: "work")
        try await host.settled()
        host.send(SIGUSR1)
        #expect(
            await eventually { host.log.contains("lambda record in work: running") && host.log.contains("domain work: offsets 0 to 1") })
        try await host.stop()
    }

    @Test("The TCP door takes CloudEvents and reads, and no orders")
    func doors() async throws {
        let host = try TestHost(Self.simple)
        try await host.start()
        let port = try #require(try await host.status().port)
        func request(_ method: String, _ path: String, type: String? = nil, headers: [String: String] = [:], _ body: String = "")
            async throws -> HTTPAnswer
        {
            try await onThread {
                try HTTPClient.request(method, path, at: .port(port), type: type, headers: headers, body: Array(body.utf8))
            }
        }
        let headers = ["ce-specversion": "1.0", "ce-id": "1", "ce-source": "/test", "ce-type": "t", "ce-subject": "s"]
        let event = try await request("POST", "/v1/domains/work/events", type: "text/plain", headers: headers, "hello")
        #expect((200...299).contains(event.status), "\(event.text)")
        try await host.settled { try await host.lambda("record").succeeded == 1 }
        for path in ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/lambdas", "/v1/dead"] {
            #expect(try await request("GET", path).status == 200, "\(path)")
        }
        #expect(try await request("POST", "/v1/admin/pause", type: "application/json", #"{"lambda":"record"}"#).status == 404)
        #expect(try await host.lambda("record").state == "running")
        try await host.stop()
    }

    @Test("A port in use ends the start with its address")
    func portInUse() async throws {
        let first = try TestHost(Self.simple)
        try await first.start()
        let port = try #require(try await first.status().port)
        let second = try TestHost(Self.simple, listen: "127.0.0.1:\(port)")
        try second.launch()
        #expect(try await second.ended() == .exit(1))
        #expect(second.log.contains("cannot listen on 127.0.0.1:\(port)"), "\(second.log)")
        #expect(second.children.isEmpty)
        #expect(try await onThread { try HTTPClient.request("GET", "/healthz", at: .port(port)) }.status == 200)
        try await first.stop()
    }

    @Test("A wrong routing file ends the start with 78 and says where; so does check")
    func wrongFile() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }\nlambdas:\n  record: { worker: 2 }\n")
        try host.launch()
        #expect(try await host.ended() == .exit(78))
        #expect(host.log.contains("capelet.yaml:4:13"), "\(host.log)")
        #expect(host.log.contains("workers"), "the nearest key")
        let check = try await host.capelet("check")
        #expect(check.code == 78 && check.errors.contains("capelet.yaml:4:13"))
        try FileManager.default.removeItem(atPath: host.config)
        try host.launch()
        #expect(try await host.ended() == .exit(78))
        #expect(!FileManager.default.fileExists(atPath: host.folder.file("data/journal.sqlite")))
    }

    @Test("A plugins folder that is not there ends the start in words")
    func noPluginsFolder() async throws {
        let host = try TestHost(Self.simple)
        try FileManager.default.removeItem(atPath: host.folder.file("plugins"))
        try host.launch()
        let started = await eventually(within: .seconds(20)) {
            if host.end() != nil { return true }
            return try await host.get("/healthz").status == 200
        }
        #expect(started, "it neither serves nor ends")
        #expect(host.log.contains("plugins"), "\(host.log)")
        if host.end() == nil { try await host.stop() }
    }

    @Test("Without its plugin a lambda waits, its neighbours are served, and a reload brings it in")
    func missingPlugin() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record, sup-work] } }\nlambdas: { record: { plugin: lambdas } }")
        try await host.start(path: "/healthz")
        #expect(await eventually { try await host.status().state == "running" })
        let ready = try await host.get("/readyz")
        #expect(ready.status == 503 && ready.text.contains("sup-work"), "\(ready.text)")
        let lambda = try await host.lambda("sup-work")
        #expect(lambda.state == "missing" && lambda.reason?.contains("no plugin") == true, "\(lambda)")
        try await host.send((0..<5).map { #"{"subject":"s\#($0)"}"# }, to: "work")
        #expect(await eventually { try await host.lambda("record").succeeded == 5 })
        #expect(try await host.lambda("sup-work").lag == 5)

        try LambdaPlugin.startable.install(as: "sup", in: host.folder.file("plugins"))
        let reload = try await host.capelet("reload")
        #expect(reload.code == 0, "\(reload.errors)")
        try await host.settled()
        #expect(try await host.lambda("sup-work").succeeded == 5)
        #expect(try await host.get("/readyz").status == 200)
        try await host.stop()
    }

    @Test("systemd is told when the host is ready, reloads and stops")
    func notices() async throws {
        let folder = try TestFolder()
        let service = try NoticeSocket(path: folder.file("notify"))
        let host = try TestHost(Self.simple, environment: ["NOTIFY_SOCKET": folder.file("notify")])
        try await host.start()
        #expect(await eventually { service.receive().contains { $0.contains("READY=1") } })
        host.send(SIGHUP)
        #expect(await eventually { service.receive().contains { $0.contains("RELOADING=1") && $0.contains("MONOTONIC_USEC=") } })
        #expect(await eventually { service.all.filter { $0.contains("READY=1") }.count + service.receive().count >= 2 })
        try await host.stop()
        _ = service.receive()
        #expect(service.all.contains { $0.contains("STOPPING=1") })
    }

    @Test("A worker of a plugin in C costs under 1 MB of private memory")
    func workerMemory() async throws {
        let host = try TestHost(Self.simple)
        try await host.start()
        try await host.send((0..<100).map { #"{"subject":"s\#($0)","payload":"x"}"# }, to: "work")
        try await host.settled()
        let pid = try #require(try await host.lambda("record").workers.first?.pid)
        let kilobytes = try #require(ProcessTable.kilobytes(of: pid, ["Private_Clean", "Private_Dirty"]))
        #expect(kilobytes > 0 && kilobytes < 1024, "\(kilobytes) kB")
        print("private memory of a worker: \(kilobytes) kB")
        try await host.stop()
    }
}

/// The datagram socket of a service manager.
private final class NoticeSocket: @unchecked Sendable {
    private let descriptor: Int32
    private(set) var all: [String] = []

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard result == 0 else { throw TestTrouble("bind: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// What has come since the last call.
    func receive() -> [String] {
        var new: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            new.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
        all += new
        return new
    }
}
