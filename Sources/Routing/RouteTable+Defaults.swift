extension RouteTable {
    /// A complete routing file in which every key stands with its default, and what it means. Reading it gives the same table as reading
    /// `domains: { example: { lambdas: [example] } }`. Keys without a default are in it as comments.
    public static func defaultsText() -> String {
        let table = RouteTable(plugins: "plugins", data: "data", domains: [:], lambdas: [:])
        var domain = DomainRoute(name: "example", lambdas: ["example"])
        domain.source = .directory(DirectorySourceSettings(path: "inbox"))
        let host = Dictionary(uniqueKeysWithValues: table.settings.map { ($0.key, $0.text) })
        let inDomain = Dictionary(uniqueKeysWithValues: domain.settings.map { ($0.key, $0.text) })
        let inLambda = Dictionary(uniqueKeysWithValues: LambdaRoute(name: "example").settings.map { ($0.key, $0.text) })
        return lines(host: { host[$0] ?? "" }, domain: { inDomain[$0] ?? "" }, lambda: { inLambda[$0] ?? "" })
            .map { line in
                guard !line.comment.isEmpty else { return line.text }
                let padding = String(repeating: " ", count: max(1, 44 - line.text.count))
                return line.text + (line.text.isEmpty ? "" : padding) + "# " + line.comment
            }
            .joined(separator: "\n") + "\n"
    }

    private struct Line {
        var text: String
        var comment: String

        init(_ text: String, _ comment: String = "") {
            self.text = text
            self.comment = comment
        }
    }

    private static func lines(
        host: (String) -> String, domain: (String) -> String, lambda: (String) -> String
    ) -> [Line] {
        let top = [
            Line("", "Every key of a routing file with its default. Relative paths are relative to this file's folder."),
            Line("", "Durations: 200ms, 30s, 5m, 1h, 2d. Sizes: bytes, or 64KiB, 256MiB, 1GiB (and KB, MB, GB)."),
            Line("plugins: \(host("plugins"))", "folder scanned for NAME.so and NAME/NAME.so"),
            Line("data: \(host("data"))", "journal, generations, state of lambdas, logs"),
            Line("libraries: []", "folders with shared libraries, beside the system's, that plugins may load from"),
            Line("listen:"),
            Line("  http: \(host("listen.http"))", "address:port, or none; port 0 takes a free one; beyond loopback with tokens only"),
            Line("  resp: \(host("listen.resp"))", "the same, for Redis clients"),
            Line("  hosts: []", "names that clients may call it by, beside addresses, localhost and this machine's name"),
            Line("tokens:", "files with bearer tokens, one a line; once there are any, TCP asks for them"),
            Line("  admin: \(host("tokens.admin"))", "or { file: PATH }; for everything that TCP serves"),
            Line("  producers: \(host("tokens.producers"))", "or { file: PATH }; for events into domains without tokens of their own"),
            Line("limits:"),
            Line("  backlog: \(host("limits.backlog"))", "events not yet handled by every lambda; above it producers get 429"),
            Line("  subject: \(host("limits.subject"))", "largest subject"),
            Line("  headers: \(host("limits.headers"))", "all headers of one event together"),
            Line("  drain: \(host("limits.drain"))", "what running events get to end at a reload or shutdown"),
            Line("  generations: \(host("limits.generations"))", "kept for each plugin"),
            Line("  spawns: \(host("limits.spawns"))", "worker processes made in a second, all lambdas together"),
            Line("  users: \(host("limits.users"))", "user ids for workers, when the host is root: one for each lambda"),
            Line(""),
        ]
        return top + domainLines(domain) + lambdaLines(lambda)
    }

    private static func domainLines(_ value: (String) -> String) -> [Line] {
        [
            Line("domains:"),
            Line("  example:", "letters, digits, - _ . up to 64 bytes"),
            Line("    lambdas: [example]", "who gets its events"),
            Line("    # source:", "default: none, events come by HTTP, RESP and emits only"),
            Line("    #   directory: \(value("source.directory"))", "folder whose files are watched; no default"),
            Line("    #   refresh: \(value("source.refresh"))", "how often the whole tree is compared"),
            Line("    #   quiet: \(value("source.quiet"))", "unchanged for so long: announced, though its closing was not seen"),
            Line("    sequence: \(value("sequence"))", "who numbers the events: host, producer"),
            Line("    durability: \(value("durability"))", "answer after the fsync: full; after the write: relaxed"),
            Line("    deduplicate:", "a duration alone is the window"),
            Line("      window: \(value("deduplicate.window"))", "how long an id is known; 0: not at all"),
            Line("      count: \(value("deduplicate.count"))", "how many ids are known"),
            Line("    payload: \(value("payload"))", "largest payload; at most 16MiB"),
            Line("    retention:", "a duration alone is the age"),
            Line("      age: \(value("retention.age"))", "how long events are kept once every lambda is done with them"),
            Line("      size: \(value("retention.size"))", "how much of them is kept"),
            Line("    tokens: \(value("tokens"))", "or { file: PATH }; its own producers, who then are the only ones"),
            Line(""),
        ]
    }

    private static func lambdaLines(_ value: (String) -> String) -> [Line] {
        [
            Line("lambdas:", "only those that need settings"),
            Line("  example:"),
            Line("    # plugin: NAME", "default: the one plugin that has the lambda"),
            Line("    lambda: \(value("lambda"))", "its name within the plugin; default: its name here"),
            Line("    enabled: \(value("enabled"))", "false: its events wait"),
            Line("    workers: \(value("workers"))", "processes"),
            Line("    concurrency: \(value("concurrency"))", "events at once in one process, for lambdas that return pending"),
            Line("    after: []", "upstreams: runs when they have succeeded, gets their outputs"),
            Line("    filter:", "every part given has to match"),
            Line("    #   type: [order.paid]", "one of these"),
            Line("    #   not-type: [order.test]", "none of these"),
            Line("    #   subject-prefix: [customer-]", "begins with one of these"),
            Line("    #   subject-suffix: [.txt]", "ends with one of these"),
            Line("    #   header: { region: [eu, us] }", "each header has one of its values"),
            Line("    order: \(value("order"))", "subject: one event of a subject at a time, in order; none: no order"),
            Line("    from: \(value("from"))", "where a new lambda begins: now, beginning, or an offset"),
            Line("    retry:"),
            Line("      attempts: \(value("retry.attempts"))", "runs of one event; 1: no retry"),
            Line("      backoff: \(value("retry.backoff"))", "first and longest wait; doubles, with full jitter"),
            Line("      crashes: \(value("retry.crashes"))", "deaths of a worker by one event"),
            Line("    exhausted: \(value("exhausted"))", "dead-letter; or park: the subject's later events wait"),
            Line("    timeout: \(value("timeout"))", "for one event; none: no deadline"),
            Line("    timeout-max: \(value("timeout-max"))", "the most that heartbeats extend it to; never below timeout"),
            Line("    boot: \(value("boot"))", "to load and start"),
            Line("    grace: \(value("grace"))", "between the request to end and the kill"),
            Line("    memory: \(value("memory"))", "private data of one worker"),
            Line("    cpu: \(value("cpu"))", "CPU time for one event"),
            Line("    processors: \(value("processors"))", "share of processors, such as 0.5; where a cpu control group is in force"),
            Line("    files: \(value("files"))", "open files"),
            Line("    file-size: \(value("file-size"))", "largest file it can write"),
            Line("    stack: \(value("stack"))"),
            Line("    log-rate: \(value("log-rate"))", "log per second and worker; more is cut"),
            Line("    recycle:", "when a healthy worker is replaced by a fresh one"),
            Line("      memory: \(value("recycle.memory"))", "of what memory limits: a share, a size, or none"),
            Line("      events: \(value("recycle.events"))", "events begun, or none"),
            Line("      age: \(value("recycle.age"))", "or none"),
            Line("    config: {}", "handed to the lambda; { file: PATH } as a value is read from that file and never shown"),
            Line("    environment: {}", "variables of its workers; nothing is inherited"),
            Line("    sandbox:", "a tier alone can stand here"),
            Line("      tier: \(value("sandbox.tier"))", "strict, standard, off"),
            Line("      require: \(value("sandbox.require"))", "refuse to run in a weaker tier than this one"),
            Line("      user: \(value("sandbox.user"))", "when the host is root: private, a user id of its own; host, the host's"),
            Line("      network: \(value("sandbox.network"))", "whether internet sockets are allowed"),
            Line("      processes: \(value("sandbox.processes"))", "how many processes it may start, at a time"),
            Line("      read: []", "paths that can be read beside the usual ones"),
            Line("      write: []", "paths that can be written beside its state folder"),
            Line("      environment: []", "names of the host's variables that its workers get"),
            Line("  # checksum:", "a function of a C library, in place of 'plugin' and 'lambda'; see Docs/LAMBDAS.md"),
            Line("  #   library: libz.so.1", "a name that the system's loader finds, or a path"),
            Line("  #   function: crc32"),
            Line("  #   signature: \"u64 (u64, bytes, u32)\"", "the result and the parameters"),
            Line("  #   arguments: [0, $payload, $payload.size]", "default: none"),
            Line("  #   success: any", "what it returns when it has succeeded: zero, non-negative, non-null, any"),
            Line("  #   output: result", "none, result, buffer, buffer(result), buffer(string); default: none"),
        ]
    }
}
