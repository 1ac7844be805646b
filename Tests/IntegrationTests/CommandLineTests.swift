import Foundation
import Glibc
import Testing

/// The command line against a real host.
@Suite(.ownThreads)
struct CommandLineTests {
    @Test("send takes 100,000 lines from standard input")
    func sendMany() async throws {
        let count = 100_000
        let host = try TestHost("domains: { bulk: { lambdas: [copy] } }\nlambdas: { copy: { lambda: label } }")
        try await host.start()
        var lines = ""
        for number in 0..<count { lines += #"{"subject":"s\#(number % 1000)","id":"n\#(number)","payload":\#(number)}"# + "\n" }
        let sent = try await host.capelet("send", "bulk", "--ndjson", "-", input: lines, within: .seconds(120))
        #expect(sent.code == 0, "\(sent.errors.suffix(1000))")
        #expect(sent.output.contains("100,000 accepted"), "\(sent.output)")
        #expect(try await host.status().domains.first?.end == UInt64(count))
        // All of it is worked through, most of it from disk, and a host that is killed on the way starts at once.
        try await host.kill()
        try await host.start()
        #expect(
            await eventually(within: .seconds(120), every: .milliseconds(100)) { try await host.lambda("copy").watermark == UInt64(count) })
        let outputs = Set(host.folder.read("data/state/copy/outputs").split(separator: "\n"))
        #expect(outputs.count == count)
        try await host.stop()
    }

    @Test("send tells of refused lines by their numbers, and ends with 1")
    func sendWrong() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        let lines = #"{"subject":"a"}"# + "\n" + #"{"sbject":"b"}"# + "\n" + #"{"subject":"c"}"# + "\n"
        let sent = try await host.capelet("send", "work", "--ndjson", "-", input: lines)
        #expect(sent.code == 1 && sent.errors.contains("line 2"), "\(sent)")
        #expect(try await host.capelet("send", "wrk", "--subject", "a", "x").errors.contains("work"), "the nearest domain")
        let one = try await host.capelet("send", "work", "--subject", "a", "--type", "t", "--id", "i", #"{"total":12}"#)
        #expect(one.code == 0)
        #expect(try await host.capelet("send", "work", "--subject", "a", "--id", "i", "1").output.contains("duplicate"))
        try await host.stop()
        let gone = try await host.capelet("status")
        #expect(gone.code == 2, "no host answers: \(gone.errors)")
    }

    @Test("logs -f shows new lines and ends at Ctrl-C")
    func followLogs() async throws {
        let host = try TestHost("domains: { work: { lambdas: [obey] } }")
        try await host.start()
        let out = host.folder.file("followed")
        let follower = try ChildProcess(
            Programs.capelet, ["logs", "obey", "-f", "--config", host.config], output: out, errors: host.folder.file("errors"))
        var number = 0
        #expect(
            await eventually {
                number += 1
                try await host.send([#"{"subject":"s","payload":"line \#(number)"}"#], to: "work")
                return host.folder.read("followed").contains("line \(number)")
            })
        follower.send(SIGINT)
        _ = try await follower.wait(within: .seconds(10))
        #expect(host.folder.read("errors").isEmpty, "\(host.folder.read("errors"))")
        #expect(try await host.capelet("logs", "obey", "-n", "1").output.contains("line \(number)"))

        // One that follows when the host ends comes to its end too.
        let other = try ChildProcess(
            Programs.capelet, ["logs", "-f", "--config", host.config], output: host.folder.file("other"), errors: host.folder.file("errors")
        )
        #expect(await eventually { host.folder.read("other").contains("line 1") })
        #expect(try await host.stop() == .exit(0))
        _ = try await other.wait(within: .seconds(20))
    }

    @Test("A reader that goes away ends a command quietly")
    func head() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        try await host.send((0..<3000).map { #"{"subject":"s\#($0)","payload":"\#(String(repeating: "x", count: 100))"}"# }, to: "work")
        for command in ["events work --limit 3000 --json", "events work --limit 3000", "status --json", "check --defaults", "--help"] {
            let answer = try await run(
                "/bin/sh", ["-c", "{ '\(Programs.capelet)' \(command); echo \"code $?\" >&2; } | head -n 1"],
                environment: ["CAPELET_CONFIG": host.config])
            #expect(answer.lines.count == 1, "\(command): \(answer)")
            #expect(["code 0\n", "code 141\n", "code 1\n"].contains(answer.errors), "\(command): \(answer.errors)")
        }
        #expect(try await host.get("/healthz").status == 200)
        try await host.stop()
    }

    @Test("test runs one event through a real worker and shows everything that came of it")
    func test() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [record, obey, copy] }, copies: { lambdas: [record] } }
            lambdas: { copy: { lambda: emit-copy, config: { to: copies } }, obey: { timeout: 500ms, grace: 200ms } }
            """)
        let good = try await host.capelet("test", "record", "--payload", "hello", "--json")
        #expect(good.code == 0 && good.output.contains(#""output":"hello""#), "\(good)")
        let emits = try await host.capelet("test", "copy", "--subject", "s", "--payload", "x", "--json")
        #expect(emits.code == 0 && emits.output.contains(#""domain":"copies""#), "\(emits)")
        let fatal = try await host.capelet("test", "obey", "--payload", "fatal")
        #expect(fatal.code == 1 && fatal.output.contains("fatal: not in this life"), "\(fatal)")
        let retry = try await host.capelet("test", "obey", "--payload", "retry")
        #expect(retry.code == 1 && retry.output.contains("retry: not today"), "\(retry)")
        let crash = try await host.capelet("test", "obey", "--payload", "abort")
        #expect(crash.code == 1 && crash.output.contains("SIGABRT") && crash.output.contains("the invariant does not hold"), "\(crash)")
        let slow = try await host.capelet("test", "obey", "--payload", "sleep")
        #expect(slow.code == 1 && slow.output.contains("timeout"), "\(slow)")
        let unknown = try await host.capelet("test", "recrd")
        #expect(unknown.code == 1 && unknown.errors.contains("record"), "\(unknown)")
        #expect(!FileManager.default.fileExists(atPath: host.folder.file("data")), "nothing is stored")
        #expect(host.children.isEmpty)
    }

    @Test("new makes a project in C that builds and runs under the host")
    func newPlugin() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        let made = try await host.capelet("new", "hello", "--language", "c")
        #expect(made.code == 0, "\(made.errors)")
        let command = try #require(
            made.lines.map { $0.trimmingCharacters(in: .whitespaces) }.first { $0.contains("make") }, "\(made.output)")
        let built = try await run("/bin/sh", ["-c", command], folder: host.folder.path)
        #expect(built.code == 0, "\(command): \(built.errors)")
        let plugin = try #require(
            FileManager.default.enumerator(atPath: host.folder.file("hello"))?.compactMap { $0 as? String }.first { $0.hasSuffix(".so") })
        try FileManager.default.copyItem(atPath: host.folder.file("hello/" + plugin), toPath: host.folder.file("plugins/hello.so"))
        try host.route("domains: { work: { lambdas: [record, hello] } }")
        let reload = try await host.capelet("reload")
        #expect(reload.code == 0, "\(reload.errors)")
        #expect(try await host.capelet("send", "work", "--subject", "s", #"{"name":"you"}"#).code == 0)
        try await host.settled()
        let lambda = try await host.lambda("hello")
        #expect(lambda.succeeded == 1 && lambda.dead == 0, "\(lambda)")
        #expect(try await host.capelet("new", "hello").code == 1, "it does not overwrite")
        #expect(try await host.capelet("new", "greeter", "--language", "swift").code == 0)
        #expect(FileManager.default.fileExists(atPath: host.folder.file("greeter/Package.swift")))
        try await host.stop()
    }
}
