import Testing

@testable import Routing

@Suite("Values of routing files")
struct ValueTests {
    @Test("Durations")
    func durations() {
        let right: [(String, Duration)] = [
            ("0", .zero), ("200ms", .milliseconds(200)), ("30s", .seconds(30)), ("5m", .seconds(300)), ("1h", .seconds(3600)),
            ("2d", .seconds(172800)), ("30 s", .seconds(30)),
        ]
        for (text, duration) in right { #expect(Quantity.duration(text) == duration, "\(text)") }
        for text in ["", "1", "s", "-1s", "1.5s", "1w", "1S", "1s ", "99999999999999999d", "١s", "0x1s"] {
            #expect(Quantity.duration(text) == nil, "\(text)")
        }
        for text in ["0", "1ms", "1500ms", "1s", "90s", "1m", "1h", "1d", "25h"] {
            #expect(Quantity.duration(text).map { Quantity.text($0) } == text)
        }
    }

    @Test("Sizes")
    func sizes() {
        let right: [(String, UInt64)] = [
            ("0", 0), ("17", 17), ("17B", 17), ("64KiB", 65536), ("256 MiB", 256 << 20), ("1GiB", 1 << 30), ("2TiB", 2 << 40),
            ("1MB", 1_000_000),
            ("1kB", 1000), ("3GB", 3_000_000_000),
        ]
        for (text, bytes) in right { #expect(Quantity.bytes(text) == bytes, "\(text)") }
        for text in ["", "-1", "1.5GiB", "1 G", "MiB", "1mib", "99999999999TiB", "18446744073709551616"] {
            #expect(Quantity.bytes(text) == nil, "\(text)")
        }
        for text in ["0", "1", "1023", "1KiB", "1025", "8MiB", "3GiB", "1TiB"] {
            #expect(Quantity.bytes(text).map { Quantity.text(bytes: $0) } == text)
        }
    }

    @Test("Numbers by the core schema")
    func numbers() {
        let right: [(String, YAMLScalar.Number?)] = [
            ("0", .int(0)), ("-7", .int(-7)), ("+7", .int(7)), ("007", .int(7)), ("0x1F", .int(31)), ("0o17", .int(15)),
            ("1.5", .double(1.5)), (".5", .double(0.5)), ("1.", .double(1)), ("1e3", .double(1000)), ("-1.5E-2", .double(-0.015)),
            (".inf", .unsupported), ("-.INF", .unsupported), (".nan", .unsupported), ("1e999", .unsupported),
            ("9223372036854775808", .unsupported), ("0xffffffffffffffffff", .unsupported),
            ("", nil), ("-", nil), (".", nil), ("1_000", nil), ("1e", nil), ("1.2.3", nil), ("0x", nil), ("0x-1", nil),
            ("12abc", nil), ("e3", nil),
            ("-.nan", nil), ("inf", nil), ("nan", nil), ("0b1", nil),
        ]
        for (text, number) in right { #expect(YAMLScalar.number(text) == number, "\(text)") }
    }

    @Test("The nearest name")
    func nearest() {
        #expect(NearestName.of("retrys", among: RoutingKeys.lambda) == "retry")
        #expect(NearestName.of("tiemout", among: RoutingKeys.lambda) == "timeout")
        #expect(NearestName.of("Workers", among: RoutingKeys.lambda) == "workers")
        #expect(NearestName.of("timeoutmax", among: RoutingKeys.lambda) == "timeout-max")
        #expect(NearestName.of("zzz", among: RoutingKeys.lambda) == nil)
        #expect(NearestName.of("", among: RoutingKeys.lambda) == nil)
        #expect(NearestName.of("same", among: ["same"]) == nil)
    }

    @Test("JSON text")
    func json() throws {
        let value = ConfigValue.object([
            ("text", .string("a\"b\\c\n\t\u{1}é😀")), ("list", .array([.int(-1), .double(0.1), .double(1e300), .bool(false), .null])),
            ("empty", .object([])), ("secret", .secretFile("/nonexistent")),
        ])
        let expected = #"{"text":"a\"b\\c\n\t\u0001é😀","list":[-1,0.1,1e+300,false,null],"empty":{},"secret":"***"}"#
        #expect(try value.jsonText(resolvingSecrets: false) == expected)
        #expect(throws: SecretFileError.self) { try value.jsonText(resolvingSecrets: true) }
    }

    @Test("Flattened keys")
    func flattened() throws {
        let value = ConfigValue.object([
            ("retry", .object([("count", .int(3)), ("on", .bool(true))])),
            ("hosts", .array([.string("a"), .object([("p", .double(1.5))])])),
            ("nothing", .null), ("empty", .array([])), ("key", .secretFile("/nonexistent")), ("retry.count", .int(4)),
        ])
        let pairs = try value.flattened(resolvingSecrets: false).map { "\($0.key)=\($0.value)" }
        #expect(pairs == ["retry.count=3", "retry.on=true", "hosts.0=a", "hosts.1.p=1.5", "key=***"])
        #expect(throws: SecretFileError.self) { try value.flattened(resolvingSecrets: true) }
    }

    @Test("Paths")
    func paths() {
        #expect(FilePath.absolute("a/./b/../c//d/", base: "/x") == "/x/a/c/d")
        #expect(FilePath.absolute("/../..", base: "/x") == "/")
        #expect(FilePath.holds("/a", "/a/b") && FilePath.holds("/a", "/a") && FilePath.holds("/", "/a"))
        #expect(!FilePath.holds("/a", "/ab") && !FilePath.holds("/a/b", "/a"))
        #expect(FilePath.folder(of: "/capelet.yaml") == "/" && FilePath.folder(of: "/a/b.yaml") == "/a")
    }
}
