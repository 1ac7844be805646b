import CLinux
import Foundation
import Glibc

/// What many warm workers take (`capelet bench --scenario footprint`). Sizes in bytes.
public struct FootprintBenchmark: Codable, Sendable {
    /// What is always the same in the output.
    public var scenario = "footprint"
    /// Workers, all ready.
    public var workers = 0
    /// From the start of the host, with the plugin to be copied, described and loaded, until all workers were ready, seconds.
    public var startSeconds = 0.0
    /// Memory that belongs to no other process (smaps_rollup: Private), of all workers.
    public var privateBytes: UInt64 = 0
    /// The same and its part of what it shares (smaps_rollup: Pss), of all workers.
    public var proportionalBytes: UInt64 = 0
    /// Private memory of their keepers and templates.
    public var keeperBytes: UInt64 = 0
    /// Private memory of the host, with what it needs for each worker.
    public var hostBytes: UInt64 = 0
    /// Descriptors that the host has open.
    public var hostDescriptors = 0
    /// How the lambda was confined.
    public var confinement: [String] = []

    /// Starts a host with many workers of one lambda, and looks at them.
    ///
    /// - Parameters:
    ///   - plugin: the plugin's file.
    ///   - lambda: its lambda.
    ///   - workers: 1 to 1,024.
    ///   - folder: for the data directory; nil: the temporary folder.
    public static func run(plugin: String, lambda: String, workers: Int, folder: String?) async throws -> FootprintBenchmark {
        try allowDescriptors(workers * 8 + 1024)
        let begin = ContinuousClock.now
        let host = try await BenchmarkHost.start(
            plugin: plugin, folder: folder,
            routing: """
                domains: { bench: { lambdas: [many] } }
                lambdas:
                  many: { plugin: bench, lambda: \(lambda), workers: \(workers), boot: 1m }
                """)
        var report = FootprintBenchmark()
        report.workers = workers
        report.startSeconds = (ContinuousClock.now - begin) / .seconds(1)
        report.confinement = host.confinement(of: "many")
        var processes = await host.processes()
        // They can be ready before the host was told their numbers.
        for _ in 0..<1_000 where processes.workers.count < workers {
            try? await Task.sleep(for: .milliseconds(5))
            processes = await host.processes()
        }
        do {
            guard processes.workers.count == workers else {
                throw BenchmarkError(description: "\(processes.workers.count) processes were found of \(workers) workers")
            }
            for pid in processes.workers {
                let memory = try memory(of: pid)
                report.privateBytes += memory.private
                report.proportionalBytes += memory.proportional
            }
            for pid in processes.keepers + processes.templates { report.keeperBytes += try memory(of: pid).private }
            report.hostBytes = try memory(of: getpid()).private
            report.hostDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        } catch {
            await host.stop()
            throw error
        }
        await host.stop()
        return report
    }

    private static func memory(of pid: Int32) throws -> (private: UInt64, proportional: UInt64) {
        if let memory = BenchmarkProcesses.memory(of: pid) { return memory }
        throw BenchmarkError(description: "/proc/\(pid)/smaps_rollup cannot be read: run this as root")
    }

    /// Raises this process's limit on descriptors, which its children inherit, as far as it may.
    private static func allowDescriptors(_ count: Int) throws {
        var most: UInt64 = 0
        let code = capelet_linux_allow_descriptors(UInt64(count), &most)
        guard code == 0 else {
            throw BenchmarkError(
                description:
                    "\(count) descriptors are needed and \(most) allowed: raise the hard limit (ulimit -Hn), or ask for fewer workers")
        }
    }
}
