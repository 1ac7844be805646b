import Foundation
import Testing

/// The scenarios of `capelet bench` that are about isolation, in small: that they come to an end and that their figures can be true. How good
/// the figures are is not for a debug build to say.
@Suite(.ownThreads)
struct BenchTests {
    private func bench(_ scenario: String, _ arguments: String...) async throws -> CommandAnswer {
        let folder = try TestFolder()
        let answer = try await run(
            Programs.capelet, ["bench", "--scenario", scenario, "--folder", folder.path] + arguments, within: .seconds(120))
        #expect(answer.code == 0, "\(answer.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty, "it removes what it has made")
        return answer
    }

    @Test("crash measures kills and faults")
    func crash() async throws {
        struct Report: Decodable {
            struct Times: Decodable {
                var deaths: Int
                var p50Micros: UInt64
                var p99Micros: UInt64
            }
            var killed: Times
            var faulted: Times
        }
        let report = try await bench("crash", "--deaths", "4", "--json").json(Report.self)
        for times in [report.killed, report.faulted] {
            #expect(times.deaths == 4 && times.p50Micros > 0 && times.p50Micros <= times.p99Micros)
            #expect(times.p99Micros < 10_000_000)
        }
        #expect(try await bench("crash", "--deaths", "1").output.contains("kill -9"))
    }

    @Test("footprint finds every worker")
    func footprint() async throws {
        struct Report: Decodable {
            var workers: Int
            var startSeconds: Double
            var privateBytes: UInt64
            var proportionalBytes: UInt64
            var keeperBytes: UInt64
        }
        let report = try await bench("footprint", "--workers", "8", "--json").json(Report.self)
        #expect(report.workers == 8 && report.startSeconds > 0)
        #expect(report.privateBytes > 8 * 4096 && report.privateBytes <= report.proportionalBytes && report.keeperBytes > 0)
        #expect(try await bench("footprint", "--workers", "2").output.contains("2 workers of noop"))
    }

    @Test("neighbour measures every behaviour in turns", arguments: ["spin", "memory", "fork", "output", "channel"])
    func neighbour(behaviour: String) async throws {
        struct Report: Decodable {
            struct Spread: Decodable {
                var median: Double
                var min: Double
                var max: Double
            }
            struct Behaviour: Decodable {
                var name: String
                var pairs: Int
                var aloneMicros: Spread
                var besideMicros: Spread
            }
            var ratePerSecond: Int
            var behaviours: [Behaviour]
        }
        let report = try await bench("neighbour", "--pairs", "1", "--seconds", "0.5", "--behaviour", behaviour, "--json").json(Report.self)
        #expect(report.ratePerSecond > 0 && report.behaviours.map(\.name) == [behaviour] && report.behaviours.map(\.pairs) == [1])
        for spread in report.behaviours.flatMap({ [$0.aloneMicros, $0.besideMicros] }) {
            // Its work alone is half a millisecond.
            #expect(spread.median > 250 && spread.min <= spread.median && spread.median <= spread.max)
        }
    }

    @Test("what cannot be measured is said")
    func refusals() async throws {
        let folder = try TestFolder()
        try folder.write("broken.so", "no plugin")
        let refused = try await run(
            Programs.capelet, ["bench", "--scenario", "crash", "--plugin", folder.file("broken.so"), "--folder", folder.path])
        #expect(refused.code == 1 && refused.errors.contains("nothing was measured"), "\(refused)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["broken.so"])
        for wrong in [
            ["--scenario", "x"], ["--scenario", "neighbour", "--behaviour", "x"], ["--scenario", "footprint", "--workers", "5000"],
        ] {
            #expect(try await run(Programs.capelet, ["bench"] + wrong).code == 64, "\(wrong)")
        }
    }
}
