import CWorkerProtocol
import Foundation
import Glibc

/// How long an event waits when its worker dies (`capelet bench --scenario crash`).
public struct CrashBenchmark: Codable, Sendable {
    /// What is always the same in the output.
    public var scenario = "crash"
    /// Times of one cause of death, microseconds.
    public struct Times: Codable, Sendable {
        /// Deaths.
        public var deaths = 0
        /// Half of the times are not above it.
        public var p50Micros: UInt64 = 0
        /// 99 of 100 are not above it.
        public var p99Micros: UInt64 = 0
        /// The shortest.
        public var minMicros: UInt64 = 0
        /// The longest.
        public var maxMicros: UInt64 = 0
        /// Whether p50 is below 5 ms and p99 below 50 ms.
        public var isWithinTarget: Bool { p50Micros < 5_000 && p99Micros < 50_000 }

        init(_ micros: [UInt64]) {
            let sorted = micros.sorted()
            guard let first = sorted.first, let last = sorted.last else { return }
            func rank(_ fraction: Double) -> UInt64 {
                sorted[min(sorted.count - 1, Int((fraction * Double(sorted.count)).rounded(.up)) - 1)]
            }
            deaths = sorted.count
            (p50Micros, p99Micros, minMicros, maxMicros) = (rank(0.5), rank(0.99), first, last)
        }
    }
    /// Killed from outside (kill -9) in the middle of the event: it runs again at once.
    public var killed = Times([])
    /// Died by the event's own fault: its retry, with a backoff of 0, is written to disk before it runs.
    public var faulted = Times([])
    /// How the lambda was confined.
    public var confinement: [String] = []

    /// Kills and crashes one worker again and again; its template stays.
    ///
    /// - Parameters:
    ///   - plugin: the file of the plugin `bench`.
    ///   - deaths: of each cause.
    ///   - folder: for the data directory; nil: the temporary folder.
    public static func run(plugin: String, deaths: Int, folder: String?) async throws -> CrashBenchmark {
        let host = try await BenchmarkHost.start(
            plugin: plugin, folder: folder,
            routing: """
                domains: { mortal: { lambdas: [mortal] } }
                lambdas:
                  mortal: { plugin: bench, timeout: 1m, retry: { attempts: 1000, crashes: 1000, backoff: 0..0 } }
                """)
        do {
            var report = CrashBenchmark()
            let moments = try Moments(path: host.stateFolder(of: "mortal") + "/moments")
            var number = 0
            // What is slow the first time is not meant.
            _ = try await times(5, word: "kill", &number, host, moments)
            report.killed = Times(try await times(deaths, word: "kill", &number, host, moments))
            report.faulted = Times(try await times(deaths, word: "fault", &number, host, moments))
            report.confinement = host.confinement(of: "mortal")
            await host.stop()
            return report
        } catch {
            await host.stop()
            throw error
        }
    }

    private static func times(_ count: Int, word: String, _ number: inout Int, _ host: BenchmarkHost, _ moments: Moments) async throws
        -> [UInt64]
    {
        var micros: [UInt64] = []
        for _ in 0..<count {
            let index = number
            number += 1
            host.send([("mortal-\(index)", "\(word) \(index)")], to: "mortal")
            try await moments.wait(for: "an event to begin") { moments.begun(index) != 0 }
            var died = moments.begun(index)
            if word == "kill" {
                let pid = try await worker(of: host)
                died = BenchmarkHost.nanos
                guard Glibc.kill(pid, SIGKILL) == 0 else {
                    throw BenchmarkError(description: "worker \(pid) cannot be killed: \(String(cString: strerror(errno)))")
                }
            }
            try await moments.wait(for: "an event to run again") { moments.again(index) != 0 }
            micros.append((moments.again(index) - died) / 1000)
        }
        return micros
    }
}

extension CrashBenchmark {
    /// The one worker. It can have begun before the host was told its number.
    private static func worker(of host: BenchmarkHost) async throws -> Int32 {
        for _ in 0..<1_000 {
            if let pid = await host.processes().workers.first { return pid }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw BenchmarkError(description: "there is no worker to kill")
    }
}

/// The file in which the lambda `mortal` writes down when its runs began. One task.
private final class Moments: @unchecked Sendable {
    private static let countMax = 65_536
    private let map: UnsafeMutablePointer<UInt64>

    init(path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchmarkError(description: "\(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        guard let map = mmap(nil, Self.countMax * 16, PROT_READ, MAP_SHARED, file, 0), map != MAP_FAILED else {
            throw BenchmarkError(description: "\(path) cannot be mapped: \(String(cString: strerror(errno)))")
        }
        self.map = map.assumingMemoryBound(to: UInt64.self)
    }

    deinit { munmap(map, Self.countMax * 16) }

    /// When the first run began, CLOCK_MONOTONIC; 0: it has not.
    func begun(_ number: Int) -> UInt64 { value(2 * number) }
    /// When the second run began; 0: it has not.
    func again(_ number: Int) -> UInt64 { value(2 * number + 1) }

    /// Another process writes it: every look is a new one.
    private func value(_ index: Int) -> UInt64 {
        withExtendedLifetime(self) { capelet_load64(map + index) }
    }

    func wait(for what: String, _ condition: () -> Bool) async throws {
        let begin = ContinuousClock.now
        while !condition() {
            guard ContinuousClock.now - begin < .seconds(60) else {
                throw BenchmarkError(description: "it took more than a minute for \(what)")
            }
            try await Task.sleep(for: .microseconds(100))
        }
    }
}
