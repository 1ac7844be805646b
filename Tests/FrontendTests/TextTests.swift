import Foundation
import Testing

@testable import Frontend

@Suite struct TextTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-03-01T12:00:00.25+01:00", 1_772_362_800_250_000),
        ("2000-02-29t23:59:60.123456789z", 951_868_800_123_456),
        ("1969-12-31T23:59:59.5Z", -500_000), ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999), ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
    ])
    func timesAreRead(text: String, micros: Int64) { #expect(Timestamp.micros(rfc3339: text) == micros) }

    @Test(arguments: [
        "", "2026-03-01", "2026-03-01T12:00:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00Zx", "2026-01-01 00:00:00Z", "+026-01-01T00:00:00Z", "2026-01-01T00:00:00+24:00",
        // Found by fuzzing: out of the years that can be written again.
        "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:30", "0000-01-01T00:00:00+00:01",
    ])
    func wrongTimesAreRefused(text: String) { #expect(Timestamp.micros(rfc3339: text) == nil) }

    @Test func timesAreWrittenAsTheyAreRead() {
        var random = SplitMix(state: 3)
        for _ in 0..<2_000 {
            let micros = Int64(bitPattern: random.next()) % 250_000_000_000_000_000
            guard micros > -62_000_000_000_000_000 else { continue }
            #expect(Timestamp.micros(rfc3339: Timestamp.rfc3339(micros: micros)) == micros)
        }
        #expect(Timestamp.rfc3339(micros: 1_772_362_800_250_000) == "2026-03-01T11:00:00.250Z")
        #expect(Timestamp.rfc3339(micros: 0) == "1970-01-01T00:00:00Z")
        #expect(Timestamp.rfc3339(micros: -1) == "1969-12-31T23:59:59.999999Z")
    }

    @Test func base64IsStrict() {
        func decode(_ text: String) -> [UInt8]? {
            let bytes = Array(text.utf8)
            return bytes.withUnsafeBytes { source in
                withUnsafeTemporaryAllocation(byteCount: max(1, source.count), alignment: 1) { out in
                    Base64.decode(source, into: out).map { Array(out[..<$0]) }
                }
            }
        }
        for count in 0..<100 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let text = bytes.withUnsafeBytes { String(decoding: Base64.encode($0), as: UTF8.self) }
            #expect(text == Data(bytes).base64EncodedString())
            #expect(decode(text) == bytes)
        }
        for bad in ["A", "AA", "AAA", "AA=A", "A===", "====", "AB==", "AAB=", "AA-_", "AAAA\n", "A A="] {
            #expect(decode(bad) == nil, "\(bad)")
        }
    }

    @Test func headerValuesAreDecoded() {
        let scratch = ScratchMemory()
        func decode(_ text: String) -> String? { CloudEventHeader.decode(text, scratch).map { String(decoding: $0, as: UTF8.self) } }
        #expect(decode("plain") == "plain")
        #expect(decode("Euro%20%E2%82%AC%20%F0%9F%98%80") == "Euro € 😀")
        #expect(decode("100%") == "100%")
        #expect(decode("%zz%4") == "%zz%4")
        #expect(decode("%2525") == "%25")
        #expect(decode("\"quoted \\\"x\\\"\"") == "quoted \"x\"")
        #expect(decode("%FF") == nil)
    }

    @Test(arguments: [
        ("localhost", true), ("localhost:7070", true), ("LOCALHOST:1", true), ("app.localhost", true), ("127.0.0.1:7070", true),
        ("[::1]:7070", true),
        ("10.1.2.3", true), ("capelet.internal", true), ("evil.example", false), ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("", false), ("a:b", false), ("localhost:7070:1", false), ("[::1", false),
    ])
    func hostsAreChecked(authority: String, isAllowed: Bool) {
        #expect(HostCheck(listen: "capelet.internal:7070", allowedHosts: []).allows(authority) == isAllowed)
        #expect(!HostCheck(listen: nil, allowedHosts: []).allows(nil))
    }

    @Test func slipsAreRecognised() {
        #expect(Nearest.name(to: "ordres", among: ["orders", "files"]) == "orders")
        #expect(Nearest.name(to: "Orders", among: ["orders", "files"]) == "orders")
        #expect(Nearest.name(to: "xyz", among: ["orders", "files"]) == nil)
    }
}
