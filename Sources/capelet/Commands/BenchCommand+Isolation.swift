import Foundation
import Host
import Synchronization

// The scenarios of `capelet bench` that are about isolation.

extension BenchCommand {
    func runCrash() async throws {
        let report = try await CrashBenchmark.run(plugin: try findPlugin("bench.so"), deaths: deaths, folder: folder)
        if output.json { return try printJSON(report) }
        var table = TextTable([
            .text("DEATH"), .number("DEATHS"), .number("P50"), .number("P99"), .number("MIN"), .number("MAX"), .text("TARGET"),
        ])
        for (name, times) in [("kill -9", report.killed), ("own fault", report.faulted)] {
            table.add([
                .init(name), .number(times.deaths), .init(Figures.duration(micros: times.p50Micros)),
                .init(Figures.duration(micros: times.p99Micros)), .init(Figures.duration(micros: times.minMicros)),
                .init(Figures.duration(micros: times.maxMicros)), Self.kept(times.isWithinTarget),
            ])
        }
        Output.write(
            """
            From a worker's death until a replacement runs its event again; the template is loaded. \(confinement(report.confinement))
            Killed, the event runs again at once. By its own fault, its retry (with a backoff of 0) is on disk before it runs.
            Target: p50 below 5 ms, p99 below 50 ms.

            \(table.text(.current))
            """)
    }

    func runFootprint() async throws {
        let count = workers ?? 1_000
        let report = try await FootprintBenchmark.run(plugin: try findPlugin("noop.so"), lambda: lambda, workers: count, folder: folder)
        if output.json { return try printJSON(report) }
        func each(_ bytes: UInt64) -> String { Figures.size(bytes / UInt64(count)) }
        Output.write(
            """
            \(Figures.grouped(count)) workers of \(lambda), all ready. \(confinement(report.confinement))
            all ready after       \(String(format: "%.2f", report.startSeconds)) s, with the host's own start: \
            \(Figures.duration(micros: UInt64(report.startSeconds * 1e6 / Double(count)))) a worker
            private memory        \(Figures.size(report.privateBytes)), \(each(report.privateBytes)) a worker
            with shares of shared \(Figures.size(report.proportionalBytes)), \(each(report.proportionalBytes)) a worker
            keeper and template   \(Figures.size(report.keeperBytes))
            host                  \(Figures.size(report.hostBytes)), \(Figures.grouped(report.hostDescriptors)) descriptors

            """)
    }

    func runNeighbour() async throws {
        let progress = Mutex(Progress())
        let report = try await NeighbourBenchmark.run(
            plugin: try findPlugin("bench.so"), names: behaviour, pairs: pairs, seconds: seconds, folder: folder
        ) { what in progress.withLock { progress in progress.show { "\(what), \(Figures.span(seconds: $0.components.seconds))" } } }
        progress.withLock { $0.clear() }
        if output.json { return try printJSON(report) }
        func times(_ spread: NeighbourBenchmark.Spread) -> String {
            func text(_ micros: Double) -> String { Figures.duration(micros: UInt64(micros)) }
            return "\(text(spread.median)) (\(text(spread.min)) to \(text(spread.max)))"
        }
        var table = TextTable([
            .text("HOSTILE"), .text("ROWS"), .number("PAIRS"), .text("P99 ALONE"), .text("P99 BESIDE IT"), .text("TIMES"), .text("TARGET"),
        ])
        for behaviour in report.behaviours {
            let ratio = behaviour.ratio
            table.add([
                .init(behaviour.name), .init(behaviour.rows), .number(behaviour.pairs), .init(times(behaviour.aloneMicros)),
                .init(times(behaviour.besideMicros)), .init(String(format: "%.2f (%.2f to %.2f)", ratio.median, ratio.min, ratio.max)),
                Self.kept(behaviour.isWithinTarget),
            ])
        }
        Output.write(
            """
            The neighbour: 1 worker, \(Figures.grouped(report.ratePerSecond)) of the \(Figures.grouped(report.capacityPerSecond)) events/s that it can do, \
            from when they are due until they are done. The hostile lambda: 1 worker, \(confinement(report.confinement))
            Medians of windows of \(String(format: "%g", report.windowSeconds)) s, alone and beside it in turns, with the least and the most. Target: \
            \(report.hasCPUGroup ? "1.2 times or 2 ms more (a cpu control group is in force)" : "3 times (no cpu control group is in force)").

            \(table.text(.current))
            """)
    }

    private static func kept(_ isKept: Bool) -> TextTable.Cell { TextTable.Cell(isKept ? "kept" : "MISSED", isKept ? .green : .red) }

    private func confinement(_ words: [String]) -> String { words.joined(separator: ", ") + "." }
}
