import Foundation
import Glibc
import Testing

/// A host with a hostile lambda and a neighbour that works at a steady rate. Each `fight` sends one fault to the hostile lambda and checks what every
/// row of the fault matrix promises: the same host, the neighbour's events handled, descriptors, zombies, cgroups and processes back where
/// they were, exactly one death record with the right verdict, nothing that was accepted lost, no order inverted.
final class Arena: Sendable {
    /// The lambdas' names in the routing file.
    static let villain = "villain"
    static let neighbour = "neighbour"

    let host: TestHost
    let tier: Tier
    let language: Language
    let load: SteadyLoad
    private let loading: Task<Void, Never>
    private let pid: pid_t

    /// Starts a host.
    ///
    /// - Parameters:
    ///   - plugin: the hostile plugin's path.
    ///   - lambda: its lambda's name within the plugin.
    ///   - settings: the lambda's settings beside the short times that all have.
    ///   - sandbox: more of its sandbox settings.
    init(
        _ plugin: String, lambda: String = "villain", language: Language = .c, tier: Tier = .standard, settings: [String: String] = [:],
        sandbox: String = "", routing: String = ""
    ) async throws {
        self.tier = tier
        self.language = language
        host = try TestHost(Self.routing(lambda: lambda, tier: tier, settings: settings, sandbox: sandbox) + routing, plugins: [:])
        try HostilePlugins.install(plugin, as: "hostile", in: host)
        try HostilePlugins.install(HostilePlugins.path("neighbour"), as: "neighbour", in: host)
        try await host.start(path: "/healthz")
        guard await eventually({ [host] in try await !host.lambda(Self.neighbour).workers.isEmpty }) else {
            throw TestTrouble("the neighbour is not served: \(host.log.suffix(3000))")
        }
        pid = host.pid
        load = SteadyLoad(host: host)
        loading = Task(executorPreference: TestThreads.shared) { [load] in await load.run() }
    }

    deinit { load.stop() }

    /// Starts a host with `villain` in this language; nil: its toolchain is missing, which the table says.
    static func make(_ language: Language, tier: Tier, settings: [String: String] = [:]) async throws -> Arena? {
        guard let plugin = HostilePlugins.villain(language) else { return nil }
        // A runtime's own data comes first.
        let memory = language == .c || language == .cpp ? [:] : ["memory": "512MiB", "boot": "20s"]
        return try await Arena(plugin, language: language, tier: tier, settings: memory.merging(settings) { $1 })
    }

    /// The routing file.
    static func routing(lambda: String, tier: Tier, settings: [String: String], sandbox: String = "") -> String {
        var all = ["timeout": "300ms", "grace": "100ms", "retry": "{ attempts: 2, backoff: 5ms..10ms, crashes: 1 }"]
        all.merge(settings) { $1 }
        all["plugin"] = "hostile"
        all["lambda"] = lambda
        all["sandbox"] = "{ tier: \"\(tier.rawValue)\"\(sandbox.isEmpty ? "" : ", \(sandbox)") }"
        let text = all.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        return """
            domains:
              hostile: { lambdas: [villain, neighbour] }
              calm: { lambdas: [neighbour] }
            lambdas:
              villain: { \(text) }
              neighbour: { plugin: neighbour }

            """
    }

    // MARK: events

    /// Sends events to the hostile lambda. Payloads are words.
    @discardableResult
    func send(_ events: [(subject: String, word: String)]) async throws -> [UInt64] {
        let lines = events.map { #"{"subject":"\#($0.subject)","payload":"\#($0.word)"}"# }
        return try await host.send(lines, to: "hostile").compactMap(\.offset)
    }

    /// The hostile lambda in the status.
    func status() async throws -> LambdaView { try await host.lambda(Self.villain) }

    /// Waits until the hostile lambda has nothing left to do.
    func settled(within limit: Duration = patience) async throws {
        let isDone = await eventually(within: limit) {
            let lambda = try await self.status()
            return lambda.lag == 0 && lambda.inFlight == 0 && lambda.waiting == 0 && lambda.deferred == 0
        }
        if !isDone { throw TestTrouble("not everything was handled: \(try await host.get("/v1/status").text)\n\(host.log.suffix(3000))") }
    }

    /// Brings the hostile lambda to its first success, and everything that the host makes on first use into being.
    func warmUp() async throws {
        try await send([("warm", "success")])
        try await settled()
        for path in ["/v1/status", "/v1/dead?limit=1", "/v1/deaths", "/v1/events?domain=hostile&limit=1"] { _ = try await host.get(path) }
    }

    /// What a probe has found out, by its word. The last answer counts.
    func answers(_ word: String) -> String? {
        let lines = host.folder.read("data/state/\(Self.villain)/answers").split(separator: "\n")
        return lines.last { $0.hasPrefix(word + "=") }.map { String($0.dropFirst(word.count + 1)) }
    }

    /// A picture of what must not change, with the load at rest and the workers there.
    func snapshot(like before: ArenaSnapshot? = nil, groupsKept: Int = 0) async -> ArenaSnapshot {
        await load.halt()
        var last = ArenaSnapshot(of: host)
        if let before {
            _ = await eventually(within: .seconds(8), every: .milliseconds(15)) {
                last = ArenaSnapshot(of: self.host)
                return last.isLike(before, groupsKept: groupsKept)
            }
        } else {
            // Until it has stood still for a while: connections that are being closed, processes that are being made.
            var still = 0
            _ = await eventually(within: .seconds(8), every: .milliseconds(10)) {
                let next = ArenaSnapshot(of: self.host)
                still = next == last && next.zombies == 0 ? still + 1 : 0
                last = next
                return still >= 4
            }
        }
        load.resume()
        return last
    }

    /// Times of the neighbour's events so far, in milliseconds.
    var latencies: [Double] {
        host.folder.read("data/state/\(Self.neighbour)/latencies").split(separator: "\n").compactMap { Double($0) }.map { $0 / 1000 }
    }

    // MARK: the end

    /// Checks what only shows at the end: all events of the neighbour ran once, in order, whatever was done beside it.
    func end(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        load.stop()
        await loading.value
        #expect(load.refusal == nil, sourceLocation: sourceLocation)
        let accepted = load.accepted
        let hostile = try await host.events("hostile")
        let expected = Set(accepted).union(hostile.map { RunRecord.Event(subject: $0.subject, sequence: $0.sequence) })
        _ = await eventually { self.host.record(Self.neighbour).finished == expected }
        let record = host.record(Self.neighbour)
        let missing = expected.subtracting(record.finished)
        #expect(
            missing.isEmpty, "the neighbour lacks \(missing.count) of \(expected.count) events: \(missing.isEmpty ? "" : host.log)",
            sourceLocation: sourceLocation)
        #expect(record.finished.count == expected.count, sourceLocation: sourceLocation)
        #expect(record.runs.values.allSatisfy { $0 == 1 }, "an event of the neighbour ran more than once", sourceLocation: sourceLocation)
        #expect(record.inversions == [], sourceLocation: sourceLocation)
        #expect(record.overlaps == [], sourceLocation: sourceLocation)
        #expect(try await host.deaths(Self.neighbour).isEmpty, sourceLocation: sourceLocation)
        #expect(try await host.dead(Self.neighbour).isEmpty, sourceLocation: sourceLocation)
        let own = host.record(Self.villain)
        #expect(own.inversions == [], "the hostile lambda's own events", sourceLocation: sourceLocation)
        #expect(own.overlaps == [], "the hostile lambda's own events", sourceLocation: sourceLocation)
        #expect(host.pid == pid && host.end() == nil, sourceLocation: sourceLocation)
        try await host.stop()
        #expect(host.children.isEmpty, sourceLocation: sourceLocation)
    }
}
