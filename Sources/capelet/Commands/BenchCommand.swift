import ArgumentParser
import Foundation
import Host

/// `capelet bench`: how fast this machine is.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure what this machine does: events a second, latency, and what isolation costs and is worth.",
        discussion: """
            Each scenario starts a private host in a temporary folder, with producers in the same process.

            throughput, latency: a lambda that does nothing. Every event is on disk (fsync) before it counts as accepted, is delivered to a worker \
            process, and is acknowledged by itself. With --rate (latency: 10,000), events are due at even distances and latency counts from when \
            they were due.

            crash: one worker is killed (kill -9), and then dies by the event's own fault, --deaths times each, in the middle of an event. Measured \
            from its death until a replacement runs the event again.

            footprint: --workers (1,000) workers of one lambda. Measured: how long they take to be ready, and the memory that is theirs alone.

            neighbour: a lambda with 30 % of the load that its worker can bear, and one beside it that does its worst: endless loops, all memory, \
            processes, output, messages. Measured: the neighbour's p99 without and with it, in turns, --pairs times.
            """)

    @Option(help: ArgumentHelp("What to measure: throughput, latency, crash, footprint, neighbour.", valueName: "name"))
    var scenario = BenchScenario.throughput
    @Option(
        help: ArgumentHelp(
            "The plugin (default: noop.so, or bench.so, beside capelet, installed, or in .build/plugins).", valueName: "file"))
    var plugin: String?

    @Option(help: "The lambda in it.") var lambda = "noop"
    @Option(help: "Events in all.") var events = 1_000_000
    @Option(help: "Bytes of payload.") var size = 200
    @Option(help: "Events that a producer hands over at once.") var batch = 1_000
    @Option(help: "Batches that may wait for their answer at once.") var outstanding = 8
    @Option(help: "Subjects.") var subjects = 10_000
    @Option(help: "Worker processes (default: 2; footprint: 1,000).") var workers: Int?
    @Option(help: "Events per second (default: as fast as answers come).") var rate: Int?
    @Option(help: "crash: deaths of each cause.") var deaths = 200
    @Option(help: "neighbour: windows without and with the hostile lambda.") var pairs = 7
    @Option(help: "neighbour: seconds of one window.") var seconds = 3.0
    @Option(help: ArgumentHelp("neighbour: only this; may be repeated: spin, memory, fork, output, channel.", valueName: "name"))
    var behaviour: [String] = []
    @Option(help: ArgumentHelp("Where the temporary data directory goes: the disk that is measured.", valueName: "folder")) var folder:
        String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        for (name, value, range) in [
            ("events", events, 1...1_000_000_000), ("size", size, 0...1 << 20), ("batch", batch, 1...100_000),
            ("outstanding", outstanding, 1...1024),
            ("subjects", subjects, 1...10_000_000), ("workers", workers ?? 1, 1...(scenario == .footprint ? 1_024 : 256)),
            ("rate", rate ?? 1, 1...10_000_000), ("deaths", deaths, 1...10_000), ("pairs", pairs, 1...1_000),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) takes a number from \(range.lowerBound) to \(range.upperBound)")
        }
        guard (0.5...600).contains(seconds) else { throw ValidationError("--seconds takes a number from 0.5 to 600") }
        let known = NeighbourBenchmark.behaviours.map(\.name)
        for name in behaviour where !known.contains(name) {
            throw ValidationError("--behaviour takes one of \(known.joined(separator: ", ")), not \(name)")
        }
    }

    func run() async throws {
        do {
            switch scenario {
            case .throughput, .latency: try await runThroughput()
            case .crash: try await runCrash()
            case .footprint: try await runFootprint()
            case .neighbour: try await runNeighbour()
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "nothing was measured: \(error)")
        }
    }

    private func runThroughput() async throws {
        var settings = BenchmarkSettings(plugin: try findPlugin("noop.so"))
        settings.lambda = lambda
        settings.events = events
        settings.payloadBytes = size
        settings.batch = batch
        settings.outstanding = outstanding
        settings.subjects = subjects
        settings.workers = workers ?? 2
        settings.rate = rate ?? (scenario == .latency ? 10_000 : nil)
        settings.folder = folder
        let report = try await Benchmark.run(settings)
        if output.json { try printJSON(report) } else { Output.write(text(report, settings)) }
    }

    /// One line of JSON.
    func printJSON(_ report: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        Output.print(String(decoding: try encoder.encode(report), as: UTF8.self))
    }

    private func text(_ report: BenchmarkReport, _ settings: BenchmarkSettings) -> String {
        func times(_ values: [String: UInt64]) -> String {
            ["p50", "p90", "p99", "p99.9", "max"].map { "\($0) \(Figures.duration(micros: values[$0] ?? 0))" }.joined(separator: "   ")
        }
        let pace =
            settings.rate.map { "\(Figures.grouped($0)) events/s" }
            ?? "full speed, \(batch) events a batch, \(outstanding) batches outstanding"
        return """
            \(Figures.grouped(report.events)) events of \(size) bytes, \(Figures.grouped(subjects)) subjects, \(settings.workers) workers, \(pace)
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

    /// The plugin that was named, or else the one with this file name.
    func findPlugin(_ name: String) throws -> String {
        if let plugin { return plugin }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        // Beside the program; installed; in a clone, where the program is in .build/TRIPLE/release.
        let places = [name, "../lib/capelet/plugins/\(name)", "../../lib/capelet/plugins/\(name)", "../../plugins/\(name)"]
            .map { own.appendingPathComponent($0).standardized }
        for place in places where FileManager.default.isReadableFile(atPath: place.path) { return place.path }
        throw CommandFailure(
            .failed,
            "\(name) is not at \(places.map(\.path).joined(separator: " nor ")); build it with Plugins/build.sh and name it with --plugin")
    }
}

/// What `capelet bench` can measure.
enum BenchScenario: String, ExpressibleByArgument, CaseIterable {
    case throughput, latency, crash, footprint, neighbour
}
