import ArgumentParser
import Foundation
import Host

/// `capelet bench`: how fast this machine is.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure accepted and handled events per second, and latency, on this machine.",
        discussion: """
            Starts a private host in a temporary folder with a lambda that does nothing, and producers in the same process. Every event is on disk \
            (fsync) before it counts as accepted, is delivered to a worker process, and is acknowledged by itself. With --rate, events are due at even \
            distances and latency counts from when they were due.
            """)

    @Option(help: ArgumentHelp("The plugin (default: noop.so beside capelet, installed, or in .build/plugins).", valueName: "file"))
    var plugin: String?

    @Option(help: "The lambda in it.") var lambda = "noop"
    @Option(help: "Events in all.") var events = 1_000_000
    @Option(help: "Bytes of payload.") var size = 200
    @Option(help: "Events that a producer hands over at once.") var batch = 1_000
    @Option(help: "Batches that may wait for their answer at once.") var outstanding = 8
    @Option(help: "Subjects.") var subjects = 10_000
    @Option(help: "Worker processes.") var workers = 2
    @Option(help: "Events per second (default: as fast as answers come).") var rate: Int?
    @Option(help: ArgumentHelp("Where the temporary data directory goes: the disk that is measured.", valueName: "folder")) var folder:
        String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        for (name, value, range) in [
            ("events", events, 1...1_000_000_000), ("size", size, 0...1 << 20), ("batch", batch, 1...100_000),
            ("outstanding", outstanding, 1...1024),
            ("subjects", subjects, 1...10_000_000), ("workers", workers, 1...256), ("rate", rate ?? 1, 1...10_000_000),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) takes a number from \(range.lowerBound) to \(range.upperBound)")
        }
    }

    func run() async throws {
        var settings = BenchmarkSettings(plugin: try plugin ?? Self.findPlugin())
        settings.lambda = lambda
        settings.events = events
        settings.payloadBytes = size
        settings.batch = batch
        settings.outstanding = outstanding
        settings.subjects = subjects
        settings.workers = workers
        settings.rate = rate
        settings.folder = folder
        let report: BenchmarkReport
        do {
            report = try await Benchmark.run(settings)
        } catch {
            throw CommandFailure(.failed, "nothing was measured: \(error)")
        }
        if output.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            Output.print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            Output.write(text(report))
        }
    }

    private func text(_ report: BenchmarkReport) -> String {
        func times(_ values: [String: UInt64]) -> String {
            ["p50", "p90", "p99", "p99.9", "max"].map { "\($0) \(Figures.duration(micros: values[$0] ?? 0))" }.joined(separator: "   ")
        }
        let pace =
            rate.map { "\(Figures.grouped($0)) events/s" } ?? "full speed, \(batch) events a batch, \(outstanding) batches outstanding"
        return """
            \(Figures.grouped(report.events)) events of \(size) bytes, \(Figures.grouped(subjects)) subjects, \(workers) workers, \(pace)
            accepted, on disk     \(Figures.grouped(Int(report.acceptedPerSecond))) events/s
            handled, acknowledged \(Figures.grouped(Int(report.handledPerSecond))) events/s
            accept to start       \(times(report.startMicros))
            accept to done        \(times(report.doneMicros))
            CPU per event         host \(Self.micros(report.hostMicrosPerEvent)), workers \(Self.micros(report.workerMicrosPerEvent))
            host memory, peak     \(Figures.size(report.hostPeakBytes))
            fsyncs                \(Figures.grouped(report.groups))

            """
    }

    private static func micros(_ value: Double) -> String { "\((value * 100).rounded() / 100) µs" }

    private static func findPlugin() throws -> String {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        // Beside the program; installed; in a clone, where the program is in .build/TRIPLE/release.
        let places = ["noop.so", "../lib/capelet/plugins/noop.so", "../../plugins/noop.so"]
            .map { own.appendingPathComponent($0).standardized }
        for place in places where FileManager.default.isReadableFile(atPath: place.path) { return place.path }
        throw CommandFailure(
            .failed,
            "noop.so is not at \(places.map(\.path).joined(separator: " nor ")); build it with Plugins/build.sh and name it with --plugin")
    }
}
