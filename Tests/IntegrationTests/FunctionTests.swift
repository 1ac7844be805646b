import Foundation
import Glibc
import Testing

/// Lambdas that are plain C functions, in a real host.
@Suite(.ownThreads)
struct FunctionTests {
    private static let checksum = """
          checksum:
            library: libz.so.1
            function: crc32
            signature: "u64 (u64, bytes, u32)"
            arguments: [0, $payload, $payload.size]
            success: any
            output: result
        """

    /// A library that is no plugin, in two versions.
    private static func install(_ version: Int, at path: String) throws {
        LambdaPlugin.compile(
            "\(Programs.root)/Tests/Fixtures/c/plain_functions.c", to: path + ".new", flags: ["-DVERSION=\"\(version)\""])
        guard rename(path + ".new", path) == 0 else { throw TestTrouble("rename") }
    }

    @Test("Functions serve beside plugins, and hand their outputs on")
    func served() async throws {
        let host = try TestHost(
            """
            domains: { work: { lambdas: [checksum, square, last, record] } }
            lambdas:
            \(Self.checksum)
                workers: 2
              square:
                after: checksum
                library: libm.so.6
                function: pow
                signature: f64 (f64, f64)
                arguments: [$input.float, 2]
                success: non-negative
                output: result
              last: { lambda: label, after: square }
            """)
        try await host.start()
        try await host.send((0..<200).map { #"{"subject":"s\#($0 % 7)","payload":"hello"}"# }, to: "work")
        func outputs() -> [Substring] { host.folder.read("data/state/last/outputs").split(separator: "\n") }
        try await host.settled { outputs().count == 200 }
        let squares = Set(outputs().map { $0.dropFirst("last(square=".count).dropLast() })
        #expect(squares.count == 1 && squares.first.flatMap { Double($0) } == pow(Double(crc(Array(#""hello""#.utf8))), 2), "\(squares)")
        #expect(host.record("record").finished.count == 200)

        let status = try await host.status()
        let lambda = try #require(status.lambdas.first { $0.name == "checksum" })
        #expect(lambda.succeeded == 200 && lambda.state == "running" && lambda.workers.count == 2 && lambda.generation == 1)
        #expect(status.warnings.isEmpty)
        let shown = try await host.capelet("lambdas").output
        #expect(shown.contains("libz.so.1 crc32") && shown.contains("libm.so.6 pow"), "\(shown)")
        #expect(shown.split(separator: "\n").contains { $0.contains("checksum/") && $0.contains("fork") })
        #expect(try await host.get("/v1/lambdas").text.contains(#""function":"crc32""#))
        // Nothing of a system's library is copied.
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: host.folder.file("data/generations")).allSatisfy {
                !$0.contains("libz") || $0 == "numbers"
            })

        let tested = try await host.capelet("test", "checksum", "--payload", "hello")
        #expect(tested.code == 0 && tested.output.contains("output: 907060870"), "\(tested)")
        let chained = try await host.capelet("test", "square")
        #expect(chained.code == 1 && chained.output.contains("fatal: argument 1: there is no $input"), "\(chained)")
        try await host.stop()
    }

    /// CRC-32 as zlib computes it.
    private func crc(_ bytes: [UInt8]) -> UInt32 {
        var sum: UInt32 = ~0
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 != 0 ? sum >> 1 ^ 0xedb8_8320 : sum >> 1 }
        }
        return ~sum
    }

    @Test("A host without any plugin needs no folder for them")
    func withoutPlugins() async throws {
        let host = try TestHost("domains: { work: { lambdas: [checksum] } }\nlambdas:\n\(Self.checksum)", plugins: [:])
        try FileManager.default.removeItem(atPath: host.folder.file("plugins"))
        let check = try await host.capelet("check")
        #expect(check.code == 0 && check.errors.isEmpty, "\(check)")
        try await host.start()
        try await host.send([#"{"subject":"s","payload":1}"#], to: "work")
        try await host.settled()
        #expect(try await host.lambda("checksum").succeeded == 1)
        try await host.stop()
    }

    @Test("Every way to end is what it is for plugins")
    func endings() async throws {
        func lambda(_ name: String, _ function: String, _ signature: String, _ arguments: String, _ success: String) -> String {
            "  \(name): { library: libc.so.6, function: \(function), signature: \(signature), arguments: [\(arguments)], success: \(success), "
                + "timeout: 300ms, grace: 100ms, retry: { attempts: 2, backoff: 10ms..20ms, crashes: 1 } }\n"
        }
        let host = try TestHost(
            "domains: { work: { lambdas: [crashes, hangs, leaves, refuses, counts, record] } }\nlambdas:\n"
                + lambda("crashes", "strlen", "size (string)", "null", "any") + lambda("hangs", "sleep", "u32 (u32)", "60", "zero")
                + lambda("leaves", "exit", "void (i32)", "3", "any")
                + lambda("refuses", "getenv", "string (string)", "$payload", "non-null")
                + lambda("counts", "strlen", "size (string)", "$payload", "any"))
        try await host.start()
        try await host.send([#"{"subject":"a","payload":"fine"}"#, #"{"subject":"b","payloadBase64":"YQBi"}"#], to: "work")
        try await host.settled()
        let dead = Dictionary(grouping: try await host.dead(), by: \.lambda)
        #expect(dead.keys.sorted() == ["counts", "crashes", "hangs", "leaves", "refuses"])
        #expect(
            dead["crashes"]?.count == 2 && dead["crashes"]?.allSatisfy { $0.reason == "crashes" && $0.error.contains("SIGSEGV") } == true)
        #expect(dead["hangs"]?.allSatisfy { $0.error.contains("timeout") || $0.error.contains("300 ms") } == true, "\(dead["hangs"] ?? [])")
        #expect(dead["leaves"]?.allSatisfy { $0.error.contains("3") } == true, "\(dead["leaves"] ?? [])")
        let refused = dead["refuses"]?.sorted { $0.subject < $1.subject } ?? []
        #expect(refused.map(\.reason) == ["attempts", "fatal"])
        #expect(refused.first?.error.contains("getenv returned NULL; success is non-null") == true)
        #expect(refused.last?.error.contains("argument 1: $payload holds a zero byte") == true)
        #expect(dead["counts"]?.map(\.subject) == ["b"])
        for (name, verdict) in [("crashes", "signal"), ("hangs", "timeout"), ("leaves", "exit")] {
            #expect(Set(try await host.deaths(name).map(\.verdict)) == [verdict])
        }
        #expect(try await host.deaths("crashes").count == 2, "one for each event")
        #expect(host.record("record").finished.count == 2)
        try await host.stop()
    }

    @Test("check and reload name a library or function that is not there, and the old state serves on")
    func refusals() async throws {
        let good = "domains: { work: { lambdas: [checksum] } }\nlambdas:\n\(Self.checksum)\n"
        let host = try TestHost(good)
        #expect(try await host.capelet("check").code == 0)
        try await host.start()
        for (old, new, place, words) in [
            (
                "libz.so.1", "libnothing.so.9", ":5:14",
                "cannot be loaded: libnothing.so.9: cannot open shared object file: No such file or directory"
            ),
            ("crc32", "crc33", ":6:15", "undefined symbol: crc33"), ("crc32", "z_errmsg", ":6:15", "undefined symbol: z_errmsg"),
            ("libz.so.1", "./libmissing.so", ":5:14", "No such file or directory"),
            ("libz.so.1", "./capelet.yaml", ":5:14", "invalid ELF header"),
            ("libz.so.1\n    function: crc32", "libc.so.6\n    function: environ", ":6:15", "environ: it is data, not a function"),
            ("arguments: [0, ", "arguments: [-1, ", ":8:17", "argument 1 in lambda 'checksum' is -1, but u64 is between 0"),
        ] {
            try host.route(good.replacing(old, with: new))
            let check = try await host.capelet("check")
            #expect(check.code == 78 && check.errors.contains("capelet.yaml\(place): ") && check.errors.contains(words), "\(check)")
            let reload = try await host.capelet("reload")
            #expect(
                reload.code == 1 && (reload.output + reload.errors).contains(words.replacing("cannot be loaded: ", with: "")), "\(reload)")
            #expect(try await host.lambda("checksum").state == "running")
        }
        let json = try await host.capelet("check", "--json")
        #expect(json.code == 78 && json.output.contains(#""line":8"#), "\(json)")
        try host.route(good)
        #expect(try await host.capelet("reload").code == 0)
        try await host.send([#"{"subject":"s","payload":1}"#], to: "work")
        try await host.settled()
        try await host.stop()
    }

    @Test("A host starts without a library; a library by path is copied, and a reload takes a new one")
    func libraryByPath() async throws {
        let routing = """
            domains: { work: { lambdas: [version, after, record] } }
            lambdas:
              version: { library: lib/libplain.so, function: version, signature: string (), success: non-null, output: result }
              after: { lambda: label, after: version }
            """
        let host = try TestHost(routing)
        try FileManager.default.createDirectory(atPath: host.folder.file("lib"), withIntermediateDirectories: true)
        let library = host.folder.file("lib/libplain.so")
        try await host.start(path: "/healthz")
        #expect(await eventually { try await host.lambda("version").state == "missing" })
        let missing = try await host.lambda("version")
        #expect(missing.reason?.contains("its library '\(library)' cannot be loaded") == true, "\(missing.reason ?? "")")
        #expect(try await host.get("/readyz").text.contains("version is not served"))
        try await host.send([#"{"subject":"s","payload":1}"#], to: "work")
        #expect(await eventually { host.record("record").finished.count == 1 })

        func outputs() -> [Substring] { host.folder.read("data/state/after/outputs").split(separator: "\n") }
        func send(expecting version: Int, _ count: Int) async throws {
            try await host.send([#"{"subject":"s","payload":1}"#], to: "work")
            try await host.settled { outputs().count == count }
            #expect(outputs().last == "after(version=\(version))")
        }
        try Self.install(1, at: library)
        #expect(try await host.capelet("reload").code == 0)
        try await host.settled { outputs().count == 1 }
        try await send(expecting: 1, 2)
        // Overwriting the file in place changes nothing that runs.
        let file = open(library, O_WRONLY | O_TRUNC)
        #expect(file >= 0 && write(file, "gone", 4) == 4)
        close(file)
        try await send(expecting: 1, 3)
        #expect(try await host.capelet("reload").code == 1)
        try await send(expecting: 1, 4)
        try Self.install(2, at: library)
        let reload = try await host.capelet("reload")
        #expect(reload.code == 0 && reload.output.contains("libplain.so generation 2"), "\(reload)")
        try await send(expecting: 2, 5)
        let rollback = try await host.capelet("rollback", "version")
        #expect(rollback.code == 1 && rollback.errors.contains("a function of libplain.so, not of a plugin"), "\(rollback)")
        // Another function of the same library: workers are made anew though the library is the same.
        try host.route(
            routing.replacing(
                "function: version, signature: string ()", with: "function: same_text, signature: string (string), arguments: ['3']"))
        #expect(try await host.capelet("reload").code == 0)
        try await send(expecting: 3, 6)
        try host.route(
            routing.replacing(
                "function: version, signature: string ()", with: "function: same_text, signature: string (string), arguments: ['4']"))
        #expect(try await host.capelet("reload").code == 0)
        try await send(expecting: 4, 7)
        let copies = try FileManager.default.contentsOfDirectory(atPath: host.folder.file("data/generations"))
        #expect(copies.count { $0.hasPrefix("libplain.so-") } == 3, "both versions, and what was refused: \(copies)")
        // Only what was replaced has ended.
        #expect(Set(try await host.deaths("version").map(\.verdict)).isSubset(of: ["reload"]))
        try await host.stop()
    }

    @Test("A lambda that becomes a function is rolled back no more")
    func afterRollback() async throws {
        let host = try TestHost("domains: { work: { lambdas: [record] } }")
        try await host.start()
        try LambdaPlugin.two.install(in: host.folder.file("plugins"))
        #expect(try await host.capelet("reload").code == 0)
        #expect(try await host.capelet("rollback", "record").code == 0)
        try host.route("domains: { work: { lambdas: [record] } }\nlambdas:\n" + Self.checksum.replacing("checksum:", with: "record:"))
        let reload = try await host.capelet("reload")
        #expect(reload.code == 0, "\(reload)")
        #expect(host.log.contains("has ended: it is the function crc32 now"))
        try await host.send([#"{"subject":"s","payload":1}"#], to: "work")
        try await host.settled()
        #expect(try await host.lambda("record").succeeded == 1)
        try await host.stop()
    }
}
