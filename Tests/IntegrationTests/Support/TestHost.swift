import Foundation
import Glibc
import Synchronization
import Testing

/// `capelet serve` in a folder of its own, with its routing file, plugins and data.
final class TestHost: Sendable {
    let folder: TestFolder
    private let process = Mutex<ChildProcess?>(nil)
    private let environment: [String: String]

    /// A host that is not started.
    ///
    /// - Parameters:
    ///   - routing: the routing file but for `data:`, `plugins:` and `listen:`.
    ///   - listen: what `listen: { http: }` says.
    ///   - plugins: what lies in the plugins folder, by name.
    init(
        _ routing: String, listen: String = "127.0.0.1:0", plugins: [String: LambdaPlugin] = ["lambdas": .one],
        environment: [String: String] = [:]
    ) throws {
        folder = try TestFolder()
        self.environment = environment.merging(["CAPELET_WORKER": folder.file("capelet-worker")]) { given, _ in given }
        try Programs.copyWorker(to: folder.file("capelet-worker"))
        try FileManager.default.createDirectory(atPath: folder.file("plugins"), withIntermediateDirectories: true)
        for (name, plugin) in plugins { try plugin.install(as: name, in: folder.file("plugins")) }
        try route(routing, listen: listen)
    }

    deinit { process.withLock { $0 }?.send(SIGKILL) }

    /// Writes the routing file.
    func route(_ routing: String, listen: String = "127.0.0.1:0") throws {
        try folder.write("capelet.yaml", "listen: { http: \"\(listen)\" }\n" + routing)
    }

    var config: String { folder.file("capelet.yaml") }
    var log: String { folder.read("log") }
    var socket: HTTPClient.Place { .socket(folder.file("data/capelet.sock")) }
    var pid: pid_t { process.withLock { $0?.pid ?? 0 } }
    /// Living keepers, templates and workers.
    var children: [ProcessEntry] { ProcessTable.processes(running: folder.file("capelet-worker")) }

    // MARK: life

    /// Starts the process.
    func launch() throws {
        process.withLock { $0 = nil }
        let child = try ChildProcess(
            Programs.capelet, ["serve", "--config", config], folder: folder.path, environment: environment, output: folder.file("output"),
            errors: folder.file("log"))
        process.withLock { $0 = child }
    }

    /// Starts the process and waits until it serves.
    func start(path: String = "/readyz") async throws {
        try launch()
        let deadline = ContinuousClock.now + patience * 2
        while (try? await get(path).status) != 200 {
            if let end = process.withLock({ $0 })?.poll() {
                throw TestTrouble("the host has ended at its start: \(end)\n\(log.suffix(4000))")
            }
            if ContinuousClock.now > deadline {
                let answer = try? await get(path).text
                throw TestTrouble("the host is not ready: \(answer ?? "no answer")\n\(log.suffix(4000))")
            }
            await pause(.milliseconds(10))
        }
    }

    func send(_ signal: Int32) { process.withLock { $0 }?.send(signal) }

    /// How it ended; nil while it runs.
    func end() -> ChildProcess.End? { process.withLock { $0 }?.poll() }

    /// Waits until it has ended.
    @discardableResult
    func ended(within limit: Duration = patience) async throws -> ChildProcess.End {
        guard let child = process.withLock({ $0 }) else { throw TestTrouble("the host was not started") }
        return try await child.wait(within: limit)
    }

    /// Ends it by kill -9. Returns how long its last descendant outlived it.
    @discardableResult
    func kill() async throws -> Duration {
        send(SIGKILL)
        try await ended()
        let begin = ContinuousClock.now
        guard await eventually(every: .milliseconds(2), { self.children.isEmpty }) else {
            throw TestTrouble("descendants live on: \(children)")
        }
        return ContinuousClock.now - begin
    }

    /// Ends it by SIGTERM.
    @discardableResult
    func stop() async throws -> ChildProcess.End {
        send(SIGTERM)
        return try await ended(within: patience * 2)
    }

    // MARK: talk

    func get(_ path: String) async throws -> HTTPAnswer {
        let place = socket
        return try await onThread { try HTTPClient.request("GET", path, at: place) }
    }

    func post(_ path: String, _ body: String, type: String = "application/json", headers: [String: String] = [:]) async throws -> HTTPAnswer
    {
        let place = socket
        return try await onThread {
            try HTTPClient.request("POST", path, at: place, type: type, headers: headers, body: Array(body.utf8))
        }
    }

    /// What the host answers to one line.
    struct LineAnswer: Decodable, Sendable {
        struct Fault: Decodable, Sendable { var message: String }
        var offset: UInt64?
        var duplicate: Bool?
        var error: Fault?
    }

    /// Sends NDJSON; returns once everything is answered. Throws unless every line was accepted (or was known).
    @discardableResult
    func send(_ lines: [String], to domain: String) async throws -> [LineAnswer] {
        let answer = try await post("/v1/domains/\(domain)/events", lines.joined(separator: "\n") + "\n", type: "application/x-ndjson")
        guard answer.status == 200 else { throw TestTrouble("\(answer.status): \(answer.text)") }
        let answers = try answer.lines.map { try JSONDecoder().decode(LineAnswer.self, from: Data($0.utf8)) }
        if let error = answers.compactMap(\.error).first { throw TestTrouble(error.message) }
        guard answers.count == lines.count else { throw TestTrouble("\(answers.count) answers to \(lines.count) lines") }
        return answers
    }

    /// Runs the command line against this host.
    func capelet(_ arguments: String..., input: String = "", within limit: Duration = patience) async throws -> CommandAnswer {
        try await run(
            Programs.capelet, arguments, folder: folder.path,
            environment: ["CAPELET_CONFIG": config, "CAPELET_WORKER": folder.file("capelet-worker")],
            input: input, within: limit)
    }

    func status() async throws -> HostView { try await get("/v1/status").json(HostView.self) }

    /// The status of a lambda in the only domain that has it.
    func lambda(_ name: String) async throws -> LambdaView {
        guard let found = try await status().lambdas.first(where: { $0.name == name }) else {
            throw TestTrouble("no lambda \(name) in the status")
        }
        return found
    }

    func dead(_ lambda: String? = nil) async throws -> [DeadView] {
        try await get("/v1/dead?limit=10000" + (lambda.map { "&lambda=\($0)" } ?? "")).json(DeadList.self).dead
    }

    func deaths(_ lambda: String) async throws -> [DeathView] {
        try await get("/v1/deaths?lambda=\(lambda)").json(DeathList.self).deaths
    }

    /// All events of a domain, as the journal has them.
    func events(_ domain: String) async throws -> [EventView] {
        var all: [EventView] = []
        var next = "0"
        while true {
            let page = try await get("/v1/events?domain=\(domain)&limit=10000&from=\(next)")
            guard page.status == 200 else { throw TestTrouble(page.text) }
            let events = try page.lines.map { try JSONDecoder().decode(EventView.self, from: Data($0.utf8)) }
            all += events
            guard !events.isEmpty, let after = page.headers["capelet-next-offset"] else { return all }
            next = after
        }
    }

    /// Waits until no lambda has anything left to do. What a lambda has just finished reaches those after it with the next commit, so with
    /// topologies and emits `also` has to say what is to be there in the end.
    func settled(within limit: Duration = patience * 2, also isThere: () async throws -> Bool = { true }) async throws {
        let isDone = await eventually(within: limit, every: .milliseconds(50)) {
            let isIdle = try await self.status().lambdas.allSatisfy {
                $0.lag == 0 && $0.inFlight == 0 && $0.waiting == 0 && $0.deferred == 0
            }
            guard isIdle else { return false }
            return try await isThere()
        }
        if !isDone { throw TestTrouble("not everything was handled:\n\(try await get("/v1/status").text)\n\(log.suffix(3000))") }
    }

    /// What the lambda `record` (under this name) has written down.
    func record(_ lambda: String) -> RunRecord { RunRecord(folder.read("data/state/\(lambda)/record")) }
}

struct HostView: Decodable, Sendable {
    struct Reload: Decodable, Sendable {
        var ok: Bool
        var message: String
    }
    struct Domain: Decodable, Sendable {
        var name: String
        var end: UInt64
    }
    struct Source: Decodable, Sendable {
        var state: String
        var entries: Int
        var events: UInt64
    }
    var pid: pid_t
    var state: String
    var generation: Int
    var listening: [String]
    var lastReload: Reload?
    var domains: [Domain]
    var lambdas: [LambdaView]
    var sources: [Source]
    var warnings: [String]

    /// The TCP port.
    var port: Int? { listening.first { $0.hasPrefix("http:") }.flatMap { Int($0.split(separator: ":").last ?? "") } }
}

struct LambdaView: Decodable, Sendable {
    struct Worker: Decodable, Sendable {
        var pid: pid_t
        var state: String
        var generation: Int
    }
    var name: String
    var domain: String
    var generation: Int
    var rolledBackFrom: Int?
    var state: String
    var reason: String?
    var workers: [Worker]
    var watermark: UInt64
    var lag: UInt64
    var inFlight: Int
    var waiting: Int
    var deferred: Int
    var parked: Int
    var dead: Int
    var started: UInt64
    var succeeded: UInt64
    var retried: UInt64
    var skipped: UInt64
    var crashes: [String: UInt64]
    var recycled: [String: UInt64]
    var startMicros: Latency

    struct Latency: Decodable, Sendable {
        var p99: UInt64
    }
}

struct DeadList: Decodable { var dead: [DeadView] }

struct DeadView: Decodable, Sendable {
    var id: Int64
    var lambda: String
    var offset: UInt64
    var subject: String
    var reason: String
    var attempts: Int
    var crashes: Int
    var externalKills: Int
    var error: String
}

struct DeathList: Decodable { var deaths: [DeathView] }

struct DeathView: Decodable, Sendable, Equatable {
    var atMillis: Int64
    var lambda: String
    var plugin: String
    var generation: Int
    var pid: pid_t
    var verdict: String
    var message: String
    var domain: String?
    var offset: UInt64?
    var subject: String?
    var eventMillis: Int64?
    var openEvents: Int
    var memoryPeakBytes: UInt64
    var memoryLimitBytes: UInt64
    var cpuMicros: UInt64
    var livedMillis: Int64
    var stderrTail: String

    /// Tells deaths apart: pids come again, in a namespace of pids soon.
    var key: String { "\(pid)/\(atMillis)" }
}

struct EventView: Decodable, Sendable {
    var offset: UInt64
    var sequence: UInt64
    var subject: String
    var type: String
    var id: String
}
