import CLinux
import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// The executable itself: what it links, what it costs, its command line, `describe`.
@Suite struct ExecutableTests {
    private func output(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return text
    }

    @Test func linksTheCLibraryOnly() throws {
        let needed = try output(["readelf", "-d", Fixtures.worker]).split(separator: "\n").filter { $0.contains("(NEEDED)") }
        #expect(needed.count == 1)
        #expect(needed.first?.contains("[libc.so.6]") == true)
    }

    @Test func exportsNothing() throws {
        #expect(try output(["nm", "-D", "--defined-only", Fixtures.worker]) == "")
    }

    @Test func costsLittleMemory() throws {
        let worker = try TestKeeper.loaded().spawn("echo")
        for i in 0..<2000 { _ = try worker.run("event \(i)") }
        let rollup = try String(contentsOfFile: "/proc/\(worker.pid)/smaps_rollup", encoding: .utf8)
        let kib = rollup.split(separator: "\n").filter { $0.hasPrefix("Private_") }.compactMap { Int($0.split(separator: " ")[1]) }
        #expect(kib.count >= 2)
        #expect(kib.reduce(0, +) < 512, "\(rollup)")
    }

    @Test func hasAVersionAndUsage() throws {
        let version = try Fixtures.run(["--version"])
        #expect((version.status, version.output, version.errors) == (0, "capelet-worker 0.1.0\n", ""))
        for arguments in [[], ["help"], ["describe"], ["template"], ["--version", "x"]] {
            let usage = try Fixtures.run(arguments)
            #expect((usage.status, usage.output) == (64, ""))
            #expect(usage.errors.hasPrefix("usage: capelet-worker"))
        }
        // The inner modes say that they are not for people.
        for arguments in [["keeper"], ["template", "1"], ["worker", "1"]] {
            let refused = try Fixtures.run(arguments)
            #expect(refused.status == 64)
            #expect(refused.errors.contains("not by hand"))
        }
    }

    @Test func describesAPlugin() throws {
        let described = try Fixtures.run(["describe", Fixtures.plugins, "worker.so"])
        #expect((described.status, described.errors) == (0, "constructor ran\n"))
        let lines = described.output.split(separator: "\n")
        #expect(lines.first == "plugin 1 1.2.3")
        #expect(lines.contains("lambda echo\tThe payload is the output.\tstart,handle"))
        #expect(lines.contains("lambda batch\t\tstart,batch"))
        #expect(lines.contains("lambda life\tStart and stop\tstart,handle"))
        #expect(lines.suffix(2) == ["threads 1", "end"])
        let threaded = try Fixtures.run(["describe", Fixtures.plugins, "thread-at-load.so"])
        #expect(threaded.output.hasSuffix("threads 2\nend\n"))
        // Of an old plugin's structure nothing is read that it does not have.
        let old = try Fixtures.run(["describe", Fixtures.plugins, "old.so"])
        #expect(old.output == "plugin 1 \nlambda one\t\thandle\nlambda two\t\thandle\nthreads 1\nend\n")
    }

    @Test(arguments: [
        ("missing", "missing.so: cannot open shared object file: No such file or directory"),
        ("text", "text.so: invalid ELF header"),
        ("no-entry", "no-entry.so: no function capelet_plugin_v1 is exported"),
        ("newer", "the plugin was built for version 2 of the plugin interface"),
        ("duplicate", "two lambdas of the plugin are named one"),
        ("no-handle", "lambda 1 of the plugin's table: two: both handle and handle_batch are NULL"),
        ("bad-name", "lambda 1 of the plugin's table: its name is missing or not valid"),
        ("short-lambda", "lambda 1 of the plugin's table: struct_size is 16"),
        ("short-plugin", "struct_size of capelet_plugin is 12"),
        ("null-lambda", "lambda 1 of the plugin's table: it is NULL"),
        ("null-plugin", "capelet_plugin_v1 returned NULL"),
        ("empty", "the plugin's table has no lambdas"),
    ])
    func saysWhatIsWrongWithAPlugin(name: String, why: String) throws {
        let described = try Fixtures.run(["describe", Fixtures.plugins, name + ".so"])
        #expect(described.status == 1)
        #expect(described.output.hasPrefix("error " + why), "\(described.output)")
        #expect(described.output.last == "\n")
    }

    @Test func describesNothingForAHostThatIsGone() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Fixtures.worker)
        process.arguments = ["describe", Fixtures.plugins, "constructor-hangs.so"]
        let input = Pipe()
        process.standardInput = input
        try process.run()
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        #expect(process.terminationStatus == SIGIO)
    }
}
