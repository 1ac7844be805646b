import Foundation
import Glibc
import Routing
import Testing

@testable import Frontend

@Suite struct JSONScannerTests {
    private func accepts(_ text: [UInt8]) -> Bool {
        text.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            do {
                let token = try scanner.value()
                try scanner.finish()
                return token.end <= bytes.count
            } catch {
                return false
            }
        }
    }

    @Test(arguments: [
        "1", "-0", "0.5", "1e9", "1E+9", "1.25e-3", "true", "false", "null", "\"\"", "\"a\\u00e9\\n\\/\"", "[]", "[ ]", "[1 , 2]", "{}",
        "{ \"a\" : {} }",
        "{\"a\":[{\"b\":null}]}", " \t\r\n1 ", "\"😀é\"", "\"\\ud83d\"", "{\"a\":1,\"a\":2}", "\"12345678901234567\\\"890\"",
    ])
    func good(text: String) { #expect(accepts(Array(text.utf8))) }

    @Test(arguments: [
        "", " ", "01", "-", "1.", ".5", "1e", "+1", "tru", "nulL", "True", "\"", "\"\\x\"", "\"\\u12g4\"", "\"a\nb\"", "[1,]", "[,1]",
        "[1 2]", "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}", "{a:1}", "{'a':1}", "[1", "{\"a\":1", "1 2", "[]]", "NaN", "Infinity", "/**/1", "\"\\",
    ])
    func bad(text: String) { #expect(!accepts(Array(text.utf8))) }

    @Test func brokenUTF8IsRefused() {
        for bytes: [UInt8] in [
            [0xFF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC3], [0xE2, 0x82], [0x80],
        ] {
            #expect(!accepts([0x22] + bytes + [0x22]), "\(bytes)")
            // Also at the end of a run that is read eight bytes at a time.
            #expect(!accepts([0x22] + Array("abcdefg".utf8) + bytes + Array("abcdefgh".utf8) + [0x22]), "\(bytes)")
        }
    }

    @Test func depthIsBounded() {
        let fits = String(repeating: "[", count: JSONScanner.depthMax) + String(repeating: "]", count: JSONScanner.depthMax)
        #expect(accepts(Array(fits.utf8)))
        #expect(!accepts(Array(("[" + fits + "]").utf8)))
        #expect(!accepts([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)))
        #expect(!accepts(Array(String(repeating: "{\"a\":", count: 100_000).utf8)))
    }

    @Test func agreesWithFoundationOnMutatedTexts() {
        let seeds = [
            #"{"subject":"customer-7","type":"order.paid","headers":{"a":"b\u00e9\\"},"payload":{"total":12.5e-1,"x":[null,true,false,-1]}}"#,
            #"["é😀","\ud83d\ude00",{"":{}},[[[]]],0,1e5,"a\"b"]"#,
        ]
        var random = SplitMix(state: 42)
        var accepted = 0
        for round in 0..<30_000 {
            var bytes = Array(seeds[round % seeds.count].utf8)
            for _ in 0..<Int(random.next() % 3) {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                default: bytes.insert(Array("{\"}[],:0e.\\".utf8)[Int(random.next() % 11)], at: at)
                }
            }
            let mine = accepts(bytes)
            let theirs = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
            // Foundation takes some texts that RFC 8259 does not allow (commas at the end, NUL bytes, other encodings), and refuses lone
            // surrogates and numbers that do not fit; everything else must be the same.
            if mine { accepted += 1 }
            if mine != theirs {
                let text = String(decoding: bytes, as: UTF8.self)
                let known =
                    bytes.contains(0) || text.contains("\\ud") || text.contains("e5") || text.contains(",}") || text.contains(",]")
                    || bytes.count < 4 || bytes.contains { $0 > 0xEE }
                #expect(known, "mine \(mine), Foundation \(theirs): \(text)")
            }
        }
        #expect(accepted > 5_000)
    }

    @Test func noBytesAreReadBeyondTheEnd() {
        // The text ends at the end of a page that nothing follows: an overrun is a crash.
        let page = Int(getpagesize())
        let memory = mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        #expect(mprotect(memory + page, page, PROT_NONE) == 0)
        defer { munmap(memory, 2 * page) }
        let text = Array(#"{"a":"éxxxxxxxxxxxx\u00e9","b":[1.5e3,true,null]}"#.utf8)
        for count in 0...text.count {
            let start = memory + page - count
            start.copyMemory(from: text, byteCount: count)
            var scanner = JSONScanner(UnsafeRawBufferPointer(start: start, count: count))
            let isWhole = (try? scanner.value()) != nil
            #expect(isWhole == (count == text.count))
        }
    }

    @Test func textsAreDecoded() throws {
        let scratch = ScratchMemory()
        for (json, text) in [
            (#""plain""#, "plain"), (#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{c}\n\r\t"), (#""\u00e9\u20ac\ud83d\ude00!""#, "é€😀!"),
            (#""""#, ""),
            (#""\u0000""#, "\0"),
        ] {
            let bytes = Array(json.utf8)
            let found: String = try bytes.withUnsafeBytes { bytes in
                var scanner = JSONScanner(bytes)
                let token = try scanner.value()
                return String(decoding: try scanner.text(token, scratch), as: UTF8.self)
            }
            #expect(found == text)
        }
        for json in [#""\ud83d""#, #""\ud83dx""#, #""\ude00""#, #""\ud83d\u0041""#] {
            let bytes = Array(json.utf8)
            let text = bytes.withUnsafeBytes { bytes in
                var scanner = JSONScanner(bytes)
                return (try? scanner.value()).flatMap { try? scanner.text($0, scratch).count }
            }
            #expect(text == nil)
        }
    }

    @Test func eventLinesSurviveAnything() {
        let seed = Array(
            #"{"subject":"cust\u00e9","type":"t","id":"1","time":"2026-03-01T12:00:00Z","headers":{"a":"b"},"payloadBase64":"AAEC"}"#.utf8)
        var random = SplitMix(state: 7)
        let limits = EventLimits.testing
        let scratch = ScratchMemory()
        for _ in 0..<50_000 {
            var bytes = seed
            for _ in 0..<Int(1 + random.next() % 4) {
                let at = Int(random.next() % UInt64(bytes.count))
                if random.next() % 2 == 0 { bytes[at] = UInt8(truncatingIfNeeded: random.next()) } else { bytes.removeSubrange(at...) }
                if bytes.isEmpty { break }
            }
            scratch.reset()
            bytes.withUnsafeBytes { bytes in
                if let parts = try? EventLine.parse(bytes, limits: limits, scratch: scratch) {
                    #expect(parts.subject.count <= bytes.count && parts.payload.count <= bytes.count)
                }
            }
        }
    }
}

extension EventLimits {
    static var testing: EventLimits { EventLimits(domain: .init(name: "d", lambdas: []), limits: .init()) }
}

/// Reproducible random numbers (Steele, Lea, Flood 2014).
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
