import Foundation
import Synchronization
import Telemetry

/// What a lambda notices of a hostile one beside it (`capelet bench --scenario neighbour`).
///
/// The neighbour, one worker, gets events at a steady rate of 30 % of what it can do, each of which computes for half a millisecond. Its latency
/// counts from when an event was due until its end was known, so that what waits behind a delay counts too. Beside it is one worker of a hostile
/// lambda, idle in one window and hostile in the next, and so on: what changes on the machine meanwhile changes both.
public struct NeighbourBenchmark: Codable, Sendable {
    /// What is always the same in the output.
    public var scenario = "neighbour"
    /// Events of the neighbour that its one worker could do in a second.
    public var capacityPerSecond = 0
    /// Events that it got in a second.
    public var ratePerSecond = 0
    /// Seconds of one window.
    public var windowSeconds = 0.0
    /// Whether a cpu control group is in force for workers.
    public var hasCPUGroup = false
    /// How the hostile lambda was confined.
    public var confinement: [String] = []
    /// One for each behaviour.
    public var behaviours: [Behaviour] = []

    /// The middle one of some values, and the outermost.
    public struct Spread: Codable, Sendable {
        /// The median.
        public var median = 0.0
        /// The least.
        public var min = 0.0
        /// The most.
        public var max = 0.0

        init(_ values: [Double]) {
            let sorted = values.sorted()
            guard let first = sorted.first, let last = sorted.last else { return }
            let middle = sorted.count / 2
            median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
            (min, max) = (first, last)
        }
    }

    /// What came of one behaviour. Times in microseconds.
    public struct Behaviour: Codable, Sendable {
        /// `spin`, `memory`, `fork`, `output`, `channel`.
        public var name: String
        /// The rows of the fault matrix that it stands for.
        public var rows: String
        /// Pairs of windows.
        public var pairs: Int
        /// The neighbour's p99 with an idle lambda beside it.
        public var aloneMicros: Spread
        /// Its p99 with the hostile one.
        public var besideMicros: Spread
        /// The second divided by the first, pair by pair.
        public var ratio: Spread
        /// Whether the medians keep to the target: 1.2 times or 2 ms more where a cpu control group is in force, else 3 times.
        public var isWithinTarget: Bool
    }

    /// What the hostile lambda can do, with the rows of the fault matrix.
    public static let behaviours: [(name: String, rows: String)] = [
        ("spin", "8, 12"), ("memory", "13"), ("fork", "16"), ("output", "20"), ("channel", "56"),
    ]

    /// Runs it.
    ///
    /// - Parameters:
    ///   - plugin: the file of the plugin `bench`.
    ///   - names: which behaviours; empty: all.
    ///   - pairs: windows without and with, of each behaviour.
    ///   - seconds: of one window.
    ///   - folder: for the data directory; nil: the temporary folder.
    ///   - progress: called with what is being measured.
    public static func run(
        plugin: String, names: [String], pairs: Int, seconds: Double, folder: String?, progress: @escaping @Sendable (String) -> Void
    ) async throws -> NeighbourBenchmark {
        let host = try await BenchmarkHost.start(
            plugin: plugin, folder: folder,
            routing: """
                domains: { steady: { lambdas: [steady] }, hostile: { lambdas: [hostile] }, sink: {} }
                lambdas:
                  steady: { plugin: bench, config: { micros: 500 } }
                  hostile: { plugin: bench, timeout: 1m, retry: { attempts: 1000000, crashes: 1000000, backoff: 0..0 } }
                """)
        do {
            let report = try await measure(host, names: names, pairs: pairs, seconds: seconds, progress)
            await host.stop()
            return report
        } catch {
            await host.stop()
            throw error
        }
    }

    private static func measure(
        _ host: BenchmarkHost, names: [String], pairs: Int, seconds: Double, _ progress: (String) -> Void
    ) async throws -> NeighbourBenchmark {
        var report = NeighbourBenchmark()
        report.windowSeconds = seconds
        report.hasCPUGroup = host.hasCPUGroup
        report.confinement = host.confinement(of: "hostile")
        progress("capacity")
        report.capacityPerSecond = try await capacity(host)
        report.ratePerSecond = max(1, report.capacityPerSecond * 3 / 10)
        let load = SteadyLoad(host: host, rate: report.ratePerSecond)
        load.start()
        defer { load.stop() }
        var window = HostileWindow(host: host, seconds: seconds)
        // What is slow the first time is not meant.
        _ = try await window.run("idle")
        for (name, rows) in behaviours where names.isEmpty || names.contains(name) {
            var (alone, beside): ([Double], [Double]) = ([], [])
            for pair in 0..<pairs {
                progress("\(name), pair \(pair + 1) of \(pairs)")
                alone.append(Double(try await window.run("idle")))
                beside.append(Double(try await window.run(name)))
            }
            let (one, other) = (Spread(alone), Spread(beside))
            let ratio = Spread(zip(alone, beside).map { $1 / max($0, 1) })
            let isWithin =
                report.hasCPUGroup ? ratio.median <= 1.2 || other.median - one.median <= 2_000 : ratio.median <= 3
            report.behaviours.append(
                Behaviour(
                    name: name, rows: rows, pairs: pairs, aloneMicros: one, besideMicros: other, ratio: ratio, isWithinTarget: isWithin))
        }
        return report
    }

    /// Events in a second, when there are always some waiting.
    private static func capacity(_ host: BenchmarkHost) async throws -> Int {
        let before = await host.ended("steady")
        let count = 2_000
        let begin = ContinuousClock.now
        host.send((0..<count).map { ("steady-\($0)", "") }, to: "steady")
        try await host.wait(for: "steady", toEnd: before + UInt64(count), within: .seconds(60))
        return Int(Double(count) / ((ContinuousClock.now - begin) / .seconds(1)))
    }
}

/// One window after another, in each of which the hostile lambda does one thing.
private struct HostileWindow {
    let host: BenchmarkHost
    let seconds: Double
    /// Orders given so far.
    private var sent: UInt64 = 0
    /// Short orders have to last for all of a window.
    private static let orders = 400

    init(host: BenchmarkHost, seconds: Double) {
        self.host = host
        self.seconds = seconds
    }

    /// The neighbour's p99 in a window, microseconds.
    mutating func run(_ behaviour: String) async throws -> UInt64 {
        let until = BenchmarkHost.nanos + UInt64(seconds * 1e9)
        if behaviour != "idle" {
            let count = behaviour == "channel" ? Self.orders : 1
            host.send((0..<count).map { ("hostile-\($0)", "\(behaviour) \(until)") }, to: "hostile")
            sent += UInt64(count)
        }
        let latency = host.host.metrics.lambda("steady", domain: "steady").doneLatency
        let before = latency.snapshot()
        try await Task.sleep(for: .seconds(seconds))
        let during = latency.snapshot().since(before)
        guard during.count > 0 else { throw BenchmarkError(description: "no event of the neighbour's ended beside \(behaviour)") }
        // Until all is as it was before.
        try await host.wait(for: "hostile", toEnd: sent, within: .seconds(60))
        try await Task.sleep(for: .milliseconds(300))
        return during.quantile(0.99)
    }
}

/// Events for the neighbour, due at even distances whatever becomes of those before them.
private final class SteadyLoad: Sendable {
    private let host: BenchmarkHost
    private let rate: Int
    private let isStopped = Atomic<Bool>(false)

    init(host: BenchmarkHost, rate: Int) {
        self.host = host
        self.rate = rate
    }

    func start() {
        let thread = Thread { [self] in run() }
        thread.name = "capelet-producer"
        thread.start()
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func run() {
        let start = BenchmarkHost.wallMicros
        var sent: Int64 = 0
        while !isStopped.load(ordering: .relaxed) {
            let due = (BenchmarkHost.wallMicros - start) * Int64(rate) / 1_000_000
            if due <= sent {
                usleep(200)
                continue
            }
            let numbers = sent..<due
            host.send(
                numbers.map { ("steady-\($0 % 1000)", "") }, to: "steady", micros: numbers.map { start + $0 * 1_000_000 / Int64(rate) })
            sent = due
        }
    }
}
