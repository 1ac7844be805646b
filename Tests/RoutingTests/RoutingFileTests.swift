import Foundation
import Routing
import Testing

@Suite("Routing files that are right")
struct RoutingFileTests {
    @Test("The least file is complete")
    func minimal() throws {
        let table = try table("domains: { x: { lambdas: [y] } }")
        #expect(table.plugins == "/srv/capelet/plugins")
        #expect(table.data == "/srv/capelet/data")
        #expect(table.listen == ListenSettings(http: "127.0.0.1:7070", resp: nil))
        #expect(table.domains == ["x": DomainRoute(name: "x", lambdas: ["y"])])
        #expect(table.lambdas == ["y": LambdaRoute(name: "y")])
        #expect(table.warnings == [])
    }

    @Test("The example of the design")
    func example() throws {
        let table = try table(
            """
            plugins: plugins                 # scanned for NAME.so and NAME/NAME.so
            data: data                       # embedded journal, generations, logs
            listen: { http: 127.0.0.1:7070, resp: 127.0.0.1:7071 }

            domains:
              files:
                source: { directory: /proc/self/fd, refresh: 60s }
                lambdas: [audit-log, index, extract]
              orders:
                lambdas: [charge, receipt]

            lambdas:
              extract: { plugin: documents, workers: 2, memory: 256MiB, timeout: 30s }
              index:
                after: extract               # same event, once extract has succeeded; gets its output
                config: { database: search.db }   # in the lambda's own state folder
              charge:
                retry: { attempts: 8, backoff: 200ms..30s }   # exponential with full jitter
                exhausted: park              # or dead-letter: park keeps the subject's later events waiting
              receipt:
                after: charge
                filter: { type: order.paid }
                sandbox: { network: true, read: [templates] }
            """)
        #expect(table.listen.resp == "127.0.0.1:7071")
        #expect(table.domains["files"]?.lambdas == ["audit-log", "extract", "index"], "upstreams come first")
        var source = DirectorySourceSettings(path: "/proc/self/fd")
        source.refresh = .seconds(60)
        #expect(table.domains["files"]?.source == .directory(source))
        let extract = try #require(table.lambdas["extract"])
        #expect(extract.plugin == "documents")
        #expect(extract.workers == 2)
        #expect(extract.limits.memoryBytes == 256 << 20)
        #expect(table.lambdas["index"]?.config == .object([("database", .string("search.db"))]))
        let charge = try #require(table.lambdas["charge"])
        #expect(charge.retry.attempts == 8)
        #expect(charge.retry.backoffMin == .milliseconds(200))
        #expect(charge.retry.backoffMax == .seconds(30))
        #expect(charge.exhausted == .park)
        let receipt = try #require(table.lambdas["receipt"])
        #expect(receipt.after == ["charge"])
        #expect(receipt.filter.types == ["order.paid"])
        #expect(receipt.sandbox.network)
        #expect(receipt.sandbox.read == ["/srv/capelet/templates"])
    }

    @Test("What a sandbox grants")
    func sandbox() throws {
        let table = try table(
            """
            libraries: [/opt/swift/lib, more]
            limits: { users: 900..999 }
            domains: { d: { lambdas: [a, b, c] } }
            lambdas:
              a: { sandbox: strict, processors: 1.5 }
              b:
                processors: none
                sandbox:
                  { tier: strict, require: standard, user: host, network: true, processes: 3, read: [in], write: [/out], environment: [PROXY, A_1] }
            """)
        #expect(table.libraries == ["/opt/swift/lib", "/srv/capelet/more"])
        #expect(table.limits.users == 900...999)
        let a = try #require(table.lambdas["a"])
        #expect(a.sandbox.tier == .strict && a.sandbox.require == .off && a.sandbox.user == .private && a.limits.processors == 1.5)
        let b = try #require(table.lambdas["b"])
        var expected = SandboxSettings()
        expected.tier = .strict
        expected.require = .standard
        expected.user = .host
        expected.network = true
        expected.processes = 3
        expected.read = ["/srv/capelet/in"]
        expected.write = ["/out"]
        expected.environment = ["PROXY", "A_1"]
        #expect(b.sandbox == expected && b.limits.processors == nil)
        #expect(table.lambdas["c"]?.sandbox == SandboxSettings())
    }

    @Test(
        "What a sandbox cannot be",
        arguments: [
            ("sandbox: strickt", "must be one of strict, standard, off"),
            ("sandbox: { require: strict }", "is strict, which is stronger than its tier, standard"),
            ("sandbox: { user: nobody }", "must be one of private, host"),
            ("sandbox: { processes: 5000 }", "must be between 0 and 4096"),
            ("sandbox: { environment: [9X] }", "is not a name for a variable"),
            ("sandbox: { netwrok: true }", "did you mean 'network'?"),
            ("processors: many", "must be a number"), ("processors: 0", "must be between 0.01 and 1024"),
        ])
    func wrongSandbox(_ line: String, _ message: String) {
        let found = problems("domains: { d: { lambdas: [a] } }\nlambdas: { a: { \(line) } }")
        #expect(found.count == 1 && found[0].contains(message), "\(found)")
    }

    @Test("User ids", arguments: ["5", "7..7", "9..1", "0..9", "1..4294967295", "1..100000", "a..b"])
    func wrongUsers(_ range: String) {
        let found = problems("limits: { users: \(range) }\ndomains: { d: { lambdas: [a] } }")
        #expect(found.count == 1 && found[0].contains("'users' in 'limits'"), "\(found)")
    }

    @Test("Every key is read")
    func everyKey() throws {
        let table = try table(
            """
            plugins: ../lib/./plugins
            data: /var/lib/capelet
            listen: { http: "[::1]:80", resp: none }
            limits: { backlog: 2GiB, subject: 512, headers: 8KiB, drain: 1m, generations: 5, spawns: 50 }
            domains:
              d:
                lambdas: [a, b]
                sequence: producer
                durability: relaxed
                deduplicate: { window: 2h, count: 5000 }
                payload: 16MiB
                retention: { age: 2d, size: 3GB }
                source: { directory: /, refresh: 1h, quiet: 2s }
            lambdas:
              a:
                plugin: p
                lambda: entry
                enabled: false
                workers: 1024
                concurrency: 8
                filter:
                  type: [t1, t2]
                  not-type: t3
                  subject-prefix: [p-, "*"]
                  subject-suffix: .txt
                  header: { Region: [eu, us], tier: 1 }
                order: none
                from: 17
                retry: { attempts: 1, backoff: 5s, crashes: 3 }
                exhausted: dead-letter
                timeout: 2h
                boot: 1s
                grace: 0
                memory: 8MiB
                cpu: 90s
                files: 16
                file-size: 10MB
                stack: 1MiB
                log-rate: 64KiB
                recycle: { memory: 6MiB, events: 1000, age: 1h }
                environment: { A: 1, B_2: "two words", C: true }
                sandbox: strict
              b:
                after: [a]
                from: beginning
                timeout-max: 10s
                cpu: none
                recycle: { memory: none, events: none }
                sandbox: { tier: off, write: [/tmp/x] }
            """.replacingOccurrences(of: "directory: /,", with: "directory: /proc/self/fd,"))
        #expect(table.plugins == "/srv/lib/plugins")
        #expect(table.data == "/var/lib/capelet")
        #expect(table.listen == ListenSettings(http: "[::1]:80", resp: nil))
        var limits = HostLimits()
        limits.backlogBytesMax = 2 << 30
        limits.subjectBytesMax = 512
        limits.headersBytesMax = 8 << 10
        limits.drain = .seconds(60)
        limits.generationsKept = 5
        limits.spawnsPerSecondMax = 50
        #expect(table.limits == limits)

        var domain = DomainRoute(name: "d", lambdas: ["a", "b"])
        var source = DirectorySourceSettings(path: "/proc/self/fd")
        source.refresh = .seconds(3600)
        source.quiet = .seconds(2)
        domain.source = .directory(source)
        domain.sequence = .producer
        domain.durability = .relaxed
        domain.deduplicate = .seconds(7200)
        domain.deduplicateCountMax = 5000
        domain.payloadBytesMax = 16 << 20
        domain.retention = .seconds(2 * 86400)
        domain.retentionBytesMax = 3_000_000_000
        #expect(table.domains["d"] == domain)

        var a = LambdaRoute(name: "a")
        a.plugin = "p"
        a.entry = "entry"
        a.enabled = false
        a.workers = 1024
        a.concurrency = 8
        a.filter.types = ["t1", "t2"]
        a.filter.notTypes = ["t3"]
        a.filter.subjectPrefixes = ["p-", "*"]
        a.filter.subjectSuffixes = [".txt"]
        a.filter.headers = ["region": ["eu", "us"], "tier": ["1"]]
        a.order = .none
        a.from = .offset(17)
        a.retry.attempts = 1
        a.retry.backoffMin = .seconds(5)
        a.retry.backoffMax = .seconds(5)
        a.retry.crashes = 3
        a.limits.timeout = .seconds(7200)
        a.limits.timeoutMax = .seconds(7200)
        a.limits.boot = .seconds(1)
        a.limits.grace = .zero
        a.limits.memoryBytes = 8 << 20
        a.limits.cpu = .seconds(90)
        a.limits.files = 16
        a.limits.fileBytes = 10_000_000
        a.limits.stackBytes = 1 << 20
        a.limits.logBytesPerSecond = 64 << 10
        a.recycle.memory = .bytes(6 << 20)
        a.recycle.events = 1000
        a.recycle.age = .seconds(3600)
        a.environment = ["A": "1", "B_2": "two words", "C": "true"]
        a.sandbox.tier = .strict
        #expect(table.lambdas["a"] == a)

        var b = LambdaRoute(name: "b")
        b.after = ["a"]
        b.from = .beginning
        b.limits.timeout = .seconds(10)
        b.limits.timeoutMax = .seconds(10)
        b.recycle.memory = nil
        b.sandbox.tier = .off
        b.sandbox.write = ["/tmp/x"]
        #expect(table.lambdas["b"] == b)
    }

    @Test("A deadline can be left out, but not without a word when nothing else ends a run")
    func withoutDeadline() throws {
        let table = try table(
            """
            domains: { d: { lambdas: [a, b, c] } }
            lambdas:
              a: { timeout: none }
              b: { timeout: none, cpu: 500ms }
              c: { recycle: { memory: 75% }, memory: 100MiB }
            """)
        #expect(table.lambdas["a"]?.limits.timeout == nil && table.lambdas["b"]?.limits.timeout == nil)
        #expect(table.lambdas["b"]?.limits.cpu == .milliseconds(500) && table.lambdas["b"]?.limits.cpuLifeSecondsMax == 3600)
        #expect(table.lambdas["a"]?.limits.cpuLifeSecondsMax == nil)
        #expect(table.warnings.count == 1 && table.warnings[0].contains("a run that never ends is ended by nobody"))
        #expect(table.lambdas["c"]?.recycle.memoryBytes(under: 100 << 20) == 75 << 20)
        var long = LambdaLimits()
        long.cpu = .seconds(600)
        #expect(long.cpuLifeSecondsMax == 12_000, "twenty runs at the limit at least")
    }

    @Test("Configuration keeps types, order and nesting")
    func configuration() throws {
        let table = try table(
            """
            domains: { d: { lambdas: l } }
            lambdas:
              l:
                config:
                  file: plain at this level
                  country: no
                  flag: true
                  number: -12
                  hex: 0x1f
                  ratio: 1.5
                  half: .5
                  exponent: 1.e3
                  text: "12"
                  nothing:
                  list: [a, 2, [x], {k: v}]
            """)
        #expect(
            table.lambdas["l"]?.config
                == .object([
                    ("file", .string("plain at this level")), ("country", .string("no")), ("flag", .bool(true)), ("number", .int(-12)),
                    ("hex", .int(31)), ("ratio", .double(1.5)), ("half", .double(0.5)), ("exponent", .double(1000)),
                    ("text", .string("12")), ("nothing", .null),
                    ("list", .array([.string("a"), .int(2), .array([.string("x")]), .object([("k", .string("v"))])])),
                ]))
    }

    @Test("Lambdas are sorted by their upstreams, else as in the file")
    func sorting() throws {
        let table = try table(
            """
            domains: { d: { lambdas: [z, e, d, c, b, a] }, e: { lambdas: [b, a] } }
            lambdas: { b: { after: a }, c: { after: [a, b] }, d: { after: c } }
            """)
        #expect(table.domains["d"]?.lambdas == ["z", "e", "a", "b", "c", "d"])
        #expect(table.domains["e"]?.lambdas == ["a", "b"])
    }

    @Test("What can be served but looks wrong is a warning")
    func warnings() throws {
        let table = try table(
            """
            domains:
              empty:
              d:
                lambdas: [extarct]
                source: { directory: nowhere }
            lambdas:
              extract: { workers: 2 }
            """)
        #expect(
            table.warnings == [
                "capelet.yaml:2:3: domain 'empty' has no lambdas, so nothing happens to its events",
                "capelet.yaml:5:26: domain 'd' watches '/srv/capelet/nowhere', which is not a folder yet",
                "capelet.yaml:7:3: lambda 'extract' gets no events: no domain lists it; is it the 'extarct' that a domain lists?",
            ])
        #expect(
            try Routing.RoutingFile.parse(text: "data: x", path: "f", baseDirectory: "/").warnings == [
                "f:1:1: there are no domains, so no event can come in"
            ])
        var other = table
        other.warnings = []
        #expect(other == table, "warnings are no part of equality")
    }

    @Test("Anchors and aliases can be used")
    func aliases() throws {
        let table = try table(
            """
            domains: { d: { lambdas: [a, b] } }
            lambdas:
              a: &common { workers: 3, filter: { subject-prefix: "*x", type: a*b }, retry: &r { attempts: 2 } }
              b: *common
            """)
        var expected = try #require(table.lambdas["a"])
        expected.name = "b"
        expected.entry = "b"
        #expect(table.lambdas["b"] == expected)
        #expect(expected.filter.subjectPrefixes == ["*x"])
        #expect(expected.filter.types == ["a*b"])
    }

    @Test("A byte order mark and Windows line ends do not matter")
    func windows() throws {
        let table = try table("\u{FEFF}domains:\r\n  x:\r\n    lambdas: [y]\r\n")
        #expect(table.domains["x"]?.lambdas == ["y"])
    }

    @Test("Secret files are named by absolute path and not read into the table")
    func secrets() throws {
        let folder = try TemporaryFolder()
        try folder.write("key", "s3cret\n".utf8)
        let path = try folder.write(
            "capelet.yaml", "domains: { d: { lambdas: l } }\nlambdas: { l: { config: { api: { key: { file: key } }, n: 1 } } }\n".utf8)
        let config = try #require(try RoutingFile.load(path: path).lambdas["l"]?.config)
        #expect(config == .object([("api", .object([("key", .secretFile(folder.path + "/key"))])), ("n", .int(1))]))
        #expect(try config.jsonText(resolvingSecrets: false) == #"{"api":{"key":"***"},"n":1}"#)
        #expect(try config.jsonText(resolvingSecrets: true) == #"{"api":{"key":"s3cret"},"n":1}"#)
        try FileManager.default.removeItem(atPath: folder.path + "/key")
        #expect(throws: SecretFileError(path: folder.path + "/key", reason: "No such file or directory")) {
            try config.jsonText(resolvingSecrets: true)
        }
        #expect(try config.jsonText(resolvingSecrets: false) == #"{"api":{"key":"***"},"n":1}"#)
    }
}
