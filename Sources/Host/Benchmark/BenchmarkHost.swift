import CLinux
import Dispatcher
import Foundation
import Journal
import Logging
import Routing
import Supervisor
import Synchronization
import WorkerProtocol

/// A whole host, as `capelet serve` runs it, in a folder of its own: what the scenarios measure. Its events come from this process.
///
/// Everything but `start` and `stop` may be called from any thread.
final class BenchmarkHost: Sendable {
    let host: CapeletHost
    private let folder: String

    /// Starts it with one plugin, `bench`, and waits until all workers are ready.
    ///
    /// - Parameters:
    ///   - plugin: the plugin's file.
    ///   - folder: where the host's own folder is made; nil: the temporary folder.
    ///   - routing: what the routing file says beside the folders, the limits on starts and the doors, which are closed.
    static func start(plugin: String, folder: String?, routing: String) async throws -> BenchmarkHost {
        let folder = (folder ?? FileManager.default.temporaryDirectory.path) + "/capelet-bench-\(getpid())"
        // Workers may run as other users, who have to get through it.
        try FileManager.default.createDirectory(
            atPath: folder + "/plugins", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
        do {
            try FileManager.default.copyItem(atPath: plugin, toPath: folder + "/plugins/bench.so")
            let text = "plugins: plugins\ndata: data\nlisten: { http: none }\nlimits: { spawns: 10000, drain: 1s }\n" + routing
            try text.write(toFile: folder + "/capelet.yaml", atomically: true, encoding: .utf8)
            var logger = Logger(label: "capelet-bench")
            // What the scenarios do on purpose would be said again and again.
            logger.logLevel = ProcessInfo.processInfo.environment["CAPELET_LOG"].flatMap { Logger.Level(rawValue: $0) } ?? .critical
            let host = BenchmarkHost(try await CapeletHost.start(configPath: folder + "/capelet.yaml", logger: logger), folder: folder)
            do {
                try await host.waitUntilReady()
            } catch {
                await host.stop()
                throw error
            }
            return host
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    private init(_ host: CapeletHost, folder: String) {
        self.host = host
        self.folder = folder
    }

    /// Ends it and removes its folder.
    func stop() async {
        await host.stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func waitUntilReady() async throws {
        let (lambdas, missing) = host.state.withLock { ($0.table.lambdas.values.map(\.workers).reduce(0, +), $0.plan.missing) }
        if let (lambda, reason) = missing.first { throw BenchmarkError(description: "\(lambda) cannot be served: \(reason)") }
        let begin = ContinuousClock.now
        while true {
            let pools = await host.engine.status(routes: []).supervisor.pools
            if pools.map(\.ready).reduce(0, +) >= lambdas { return }
            if let fault = pools.compactMap(\.fault).first { throw BenchmarkError(description: fault) }
            guard ContinuousClock.now - begin < .seconds(120) else {
                throw BenchmarkError(
                    description: "only \(pools.map(\.ready).reduce(0, +)) of \(lambdas) workers were ready within 2 minutes")
            }
            // The status of many workers is work for the engine, which is to start them.
            try await Task.sleep(for: .milliseconds(lambdas > 16 ? 50 : 1))
        }
    }

    /// A lambda's state folder.
    func stateFolder(of lambda: String) -> String { folder + "/data/state/" + lambda }

    /// How a lambda is confined, in words.
    func confinement(of lambda: String) -> [String] {
        host.state.withLock { state in
            guard let sandbox = state.plan.sandboxes[lambda] else { return [] }
            return ["sandbox \(sandbox.tier.rawValue)"] + sandbox.mechanisms + sandbox.lacks
        }
    }

    /// Whether control groups weigh the processor's time of workers against the host's.
    var hasCPUGroup: Bool { host.planner.hasCPUGroup }

    /// Hands events over without waiting for the answer.
    ///
    /// - Parameters:
    ///   - events: subject and payload of each.
    ///   - micros: since when each counts as waiting; nil: since now.
    func send(_ events: [(subject: String, payload: String)], to domain: String, micros: [Int64]? = nil) {
        guard let stream = host.state.withLock({ $0.streams[domain] }) else { return }
        let now = Self.wallMicros
        let records = RecordBuffer(capacity: events.count * 256, count: events.count)
        for (index, event) in events.enumerated() {
            let at = micros?[index] ?? now
            var (subject, payload) = (event.subject, event.payload)
            let hash = host.journal.subjectHash(subject)
            subject.withUTF8 { subject in
                payload.withUTF8 { payload in
                    records.append(
                        domain: stream.rawValue, subjectHash: hash, subject: UnsafeRawBufferPointer(subject),
                        type: .init(start: nil, count: 0),
                        id: .init(start: nil, count: 0), payload: UnsafeRawBufferPointer(payload), timeMicros: at, acceptedMicros: at)
                }
            }
        }
        host.journal.append(AppendRequest(stream: stream, records: records) { _ in })
    }

    /// Events of a lambda that have ended, well or not.
    func ended(_ lambda: String) async -> UInt64 {
        let routes = host.state.withLock { $0.routes.filter { $0.lambda == lambda }.map(\.id) }
        return await host.engine.status(routes: routes).routes.values.map { $0.counts.succeeded + $0.counts.dead }.reduce(0, +)
    }

    /// Waits until as many events of a lambda have ended.
    func wait(for lambda: String, toEnd count: UInt64, within limit: Duration) async throws {
        let begin = ContinuousClock.now
        while true {
            let ended = await ended(lambda)
            if ended >= count { return }
            guard ContinuousClock.now - begin < limit else {
                throw BenchmarkError(description: "only \(ended) of \(count) events of \(lambda) ended within \(limit)")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Processes in which plugins live, by what they are.
    func processes() async -> BenchmarkProcesses {
        let supervisor = await host.engine.status(routes: []).supervisor
        return BenchmarkProcesses(keepers: supervisor.keepers.map(\.pid), workers: Set(supervisor.workers.map(\.pid)))
    }

    static var wallMicros: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// CLOCK_MONOTONIC: the same in every process of this machine.
    static var nanos: UInt64 { UInt64(capelet_linux_monotonic_nanos()) }
}
