import CapeletSDK
import Testing

/// Reads the key and the kind that the payload names, and puts out what it read.
struct ReadConfig: Lambda {
    private let config: Configuration

    init(context: Context) { config = context.config }

    func handle(_ event: borrowing Event) throws -> Outcome {
        let parts = event.text!.split(separator: " ").map(String.init)
        let key = parts[1]
        let value: Any? =
            switch parts[0] {
            case "string": config.string(key)
            case "string-default": config.string(key, default: "d")
            case "required": try config.requiredString(key)
            case "strings": config.strings(key)
            case "int": try config.int(key, in: -10...100)
            case "int-default": try config.int(key, default: 4)
            case "double": try config.double(key)
            case "bool": try config.bool(key)
            case "bool-default": try config.bool(key, default: true)
            case "duration": try config.duration(key)
            case "bytes": try config.byteCount(key, in: 1...(1 << 40))
            default: throw LambdaError.fatal("what is \(parts[0])?")
            }
        try event.output(value.map { "\($0)" } ?? "nil")
        return .success
    }
}

@Suite("Configuration")
struct ConfigurationTests {
    private static let config: [String: String] = [
        "name": "n", "empty": "", "retry.count": "5", "list.0": "a", "list.1": "b", "big": "101", "text": "x", "yes": "true", "no": "false",
        "half": "0.5", "soon": "250ms", "long": "1.5h", "zero": "0", "unitless": "5", "size": "4MiB", "odd": "1.5KiB", "frac": "0.3B",
        "plain": "4096", "nothing": "0B", "negative": "-3", "dots": "1..2s",
    ]

    @Test(
        "values are read as what they are asked for",
        arguments: [
            ("string name", "n"), ("string missing", "nil"), ("string-default missing", "d"), ("string empty", ""), ("required name", "n"),
            ("strings list", #"["a", "b"]"#), ("strings missing", "[]"), ("int retry.count", "5"), ("int negative", "-3"),
            ("int missing", "nil"),
            ("int-default missing", "4"), ("int-default big", "101"), ("double half", "0.5"), ("double missing", "nil"),
            ("bool yes", "true"),
            ("bool no", "false"), ("bool missing", "nil"), ("bool-default missing", "true"), ("duration soon", "0.25 seconds"),
            ("duration long", "5400.0 seconds"), ("duration zero", "0.0 seconds"), ("bytes size", "4194304"), ("bytes odd", "1536"),
            ("bytes plain", "4096"), ("bytes missing", "nil"),
        ])
    func reads(request: String, expected: String) {
        let host = FakeHost(testPlugin.table, "config", config: Self.config)
        #expect(host.start() == nil)
        #expect(host.handle(FakeEvent(token: 1, payload: Array(request.utf8))).message == "")
        #expect(host.output(of: 1) == expected)
        host.stop()
    }

    @Test(
        "a value that does not fit is named with what would be right",
        arguments: [
            ("required missing", "config: missing is required"), ("required empty", "config: empty is required"),
            ("int text", #"config: text: "x" is not a whole number"#), ("int big", #"config: big: "101" is not between -10 and 100"#),
            ("double text", #"config: text: "x" is not a number"#), ("bool name", #"config: name: "n" is neither true nor false"#),
            ("duration unitless", #"config: unitless: "5" is not a duration; write a number with a unit: us, ms, s, m, h or d"#),
            ("duration dots", #"config: dots: "1..2s" is not a duration; write a number with a unit: us, ms, s, m, h or d"#),
            ("bytes text", #"config: text: "x" is not a size; write a number of bytes or one with a unit: KiB, MiB or GiB"#),
            ("bytes frac", #"config: frac: "0.3B" is not a size; write a number of bytes or one with a unit: KiB, MiB or GiB"#),
            ("bytes nothing", #"config: nothing: "0B" is not between 1 and 1099511627776 bytes"#),
        ])
    func refuses(request: String, message: String) {
        let host = FakeHost(testPlugin.table, "config", config: Self.config)
        #expect(host.start() == nil)
        let ended = host.handle(FakeEvent(payload: Array(request.utf8)))
        #expect(ended == .init(status: Status.fatal, message: message, retryAfterMillis: 0))
        host.stop()
    }
}
