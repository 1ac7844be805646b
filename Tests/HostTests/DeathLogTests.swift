import Foundation
import Frontend
import Logging
import Testing

@testable import Host

/// Death records outlive the host, are bounded, and cost little.
@Suite struct DeathLogTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("capelet-deaths-\(UInt64.random(in: 0 ... .max))")
    private var path: String { folder.appendingPathComponent("deaths.ndjson").path }
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func death(_ number: Int, lambda: String = "l", tail: String = "last words") -> WorkerDeath {
        WorkerDeath(
            atMillis: Int64(number), lambda: lambda, plugin: "p", generation: 2, pid: Int32(number), verdict: "signal",
            message: "no. \(number)",
            domain: "d", offset: UInt64(number), subject: "s", eventMillis: 3, openEvents: 1, memoryPeakBytes: 5 << 20,
            memoryLimitBytes: 64 << 20, cpuMicros: 7, livedMillis: 9, stderrTail: tail)
    }

    private func remove() { try? FileManager.default.removeItem(at: folder) }

    @Test func aRecordIsThereAfterARestart() {
        defer { remove() }
        let log = DeathLog(path: path, logger: logger)
        log.add(death(1, tail: "two\nlines, \"quoted\" and a \u{1b}[31m"))
        log.add(death(2, lambda: "m"))
        log.close()
        let again = DeathLog(path: path, logger: logger)
        #expect(again.newest(lambda: nil, limit: 10) == [death(2, lambda: "m"), death(1, tail: "two\nlines, \"quoted\" and a \u{1b}[31m")])
        #expect(again.newest(lambda: "l", limit: 10).map(\.pid) == [1])
        #expect(again.last(lambda: "m")?.pid == 2 && again.last(lambda: "n") == nil)
        // Once, however often the host starts.
        again.close()
        #expect(DeathLog(path: path, logger: logger).newest(lambda: nil, limit: 10).count == 2)
        let mode = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func thoseOfOneLambdaDoNotPushOutTheOthers() {
        defer { remove() }
        let log = DeathLog(path: path, logger: logger)
        log.add(death(1, lambda: "quiet"))
        for number in 0..<3_000 { log.add(death(number, lambda: "noisy")) }
        for lambda in 0..<10 { for number in 0..<150 { log.add(death(number, lambda: "l\(lambda)")) } }
        #expect(log.newest(lambda: "noisy", limit: .max).count <= DeathLog.lambdaCountMax)
        #expect(log.newest(lambda: nil, limit: .max).count == DeathLog.countMax)
        log.close()
        #expect(DeathLog(path: path, logger: logger).newest(lambda: nil, limit: .max) == log.newest(lambda: nil, limit: .max))
    }

    @Test func aCrashLoopIsNoWriteStorm() throws {
        defer { remove() }
        let log = DeathLog(path: path, logger: logger)
        let begin = ContinuousClock.now
        for number in 0..<4_000 { log.add(death(number, tail: String(repeating: "x", count: 4096))) }
        log.close()
        let size = try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        // One write a second, the first and the last, each of what is kept of one lambda.
        let writes = Int((ContinuousClock.now - begin) / .seconds(1)) + 2
        #expect(size <= writes * DeathLog.lambdaCountMax * 5_000)
        #expect(DeathLog(path: path, logger: logger).newest(lambda: "l", limit: .max).map(\.pid).max() == 3_999)
    }

    @Test func aTornLineCostsOneRecord() throws {
        defer { remove() }
        let log = DeathLog(path: path, logger: logger)
        log.add(death(1))
        log.add(death(2))
        log.close()
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try (String(text.dropLast(20))).write(toFile: path, atomically: true, encoding: .utf8)
        let torn = DeathLog(path: path, logger: logger)
        #expect(torn.newest(lambda: nil, limit: 10).map(\.pid) == [1])
        torn.add(death(3))
        torn.close()
        #expect(DeathLog(path: path, logger: logger).newest(lambda: nil, limit: 10).map(\.pid) == [3, 1])
        try Data(repeating: 0xff, count: 1 << 20).write(to: URL(fileURLWithPath: path))
        #expect(DeathLog(path: path, logger: logger).newest(lambda: nil, limit: 10).isEmpty)
    }

    @Test func whatCannotBeWrittenIsKeptInMemory() throws {
        defer { remove() }
        let log = DeathLog(path: folder.path + "/nowhere/deaths.ndjson", logger: logger)
        log.add(death(1))
        log.close()
        #expect(log.newest(lambda: nil, limit: 10).map(\.pid) == [1])
    }
}
