import Routing
import Testing

@Suite("Hostile routing files")
struct HostileFileTests {
    @Test("Aliases of aliases are refused quickly")
    func aliasBomb() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let use = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(use)]\n"
        }
        let found = problems(text)
        #expect(found.count == 1)
        #expect(found.first?.hasSuffix("more than 100000 values; are there aliases of aliases?") == true, "\(found)")
    }

    @Test("Aliases of aliases in a key are refused quickly")
    func aliasBombInKey() {
        var text = "domains: {}\na0: &a0 [x, x, x, x]\n"
        for level in 1...30 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1), *a\(level - 1)]\n" }
        for key in ["*a30 : 1\n", "? *a30\n: 1\n", "? [*a30, *a30]\n: 1\n", "k: {[*a30]: 1, *a29 : 2}\n", "k: [*a30: 1]\n"] {
            #expect(!problems(text + key).isEmpty)
        }
    }

    @Test("Long text in many aliases is refused")
    func textBomb() {
        let text = "a: &a \(String(repeating: "x", count: 100_000))\nb: [\(Array(repeating: "*a", count: 100).joined(separator: ","))]\n"
        #expect(problems(text).first?.contains("bytes of text") == true)
    }

    @Test("Deep nesting is refused", arguments: [65, 500, 2000, 100_000])
    func deep(levels: Int) {
        let lists = "a: " + String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        #expect(!problems(lists).isEmpty)
        let mappings = String(repeating: "{a: ", count: levels) + String(repeating: "}", count: levels)
        #expect(!problems(mappings).isEmpty)
        #expect(!problems(String(repeating: "- ", count: levels) + "x").isEmpty)
        #expect(!problems(String(repeating: "? ", count: levels) + "x").isEmpty)
    }

    @Test("Many duplicates end")
    func duplicates() {
        let text = "domains: {}\n" + String(repeating: "k: 1\n", count: 200)
        let found = problems(text)
        #expect(found.contains { $0.contains("duplicate key 'k'") }, "\(found)")
        let odd = [
            #""\"a": 1"# + "\n" + #""\"a": 2"#, ": 1\n: 2\n", "? [a]\n: 1\n? [a]\n: 2\n", "&a k: 1\n&b k: 2\n", "'a''b': 1\n'a''b': 2\n",
        ]
        for text in odd { #expect(!problems(text).isEmpty, "\(text)") }
    }

    @Test("A long chain of lambdas is sorted and checked without deep recursion")
    func chain() throws {
        let count = 3000
        let names = (0..<count).map { "l\($0)" }
        var text = "domains: { d: { lambdas: [\(names.reversed().joined(separator: ", "))] } }\nlambdas:\n"
        for number in 1..<count { text += "  l\(number): { after: l\(number - 1) }\n" }
        #expect(try table(text).domains["d"]?.lambdas == names)
        text += "  l0: { after: l\(count - 1) }\n"
        #expect(problems(text).first?.contains("wait for each other") == true)
    }

    @Test("Random changes of a file that is right never crash", arguments: 0..<8)
    func mutations(seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        let originals = [RouteTable.defaultsText(), Self.sample].map { Array($0.utf8) }
        let pieces: [String] = [
            "*", "&a ", "*a", "{", "}", "[", "]", ":", ": ", "- ", "? ", "|", ">", "'", "\"", "\\", "#", "%", "!", "!!int ",
            "<<: ", "\t", "\n", "\r", "---\n", "...\n", "\0", "\u{85}", "\u{2028}", "\u{FEFF}", "\u{F0000}", "é", "0", "-1",
            "99999999999999999999", "..", "domains:", "a: 1\n",
        ]
        for _ in 0..<150 {
            var bytes = originals[random.below(originals.count)]
            for _ in 0...random.below(6) {
                let at = random.below(bytes.count + 1)
                let end = min(bytes.count, at + random.below(12))
                switch random.below(5) {
                case 0: bytes.removeSubrange(at..<end)
                case 1: bytes.insert(contentsOf: Array(pieces[random.below(pieces.count)].utf8), at: at)
                case 2: bytes.insert(contentsOf: bytes[at..<end], at: random.below(bytes.count + 1))
                case 3: if at < bytes.count { bytes[at] = UInt8(truncatingIfNeeded: random.next()) }
                default: bytes.replaceSubrange(at..<end, with: Array(pieces[random.below(pieces.count)].utf8))
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            do throws(RoutingError) {
                let table = try RoutingFile.parse(text: text, path: "f", baseDirectory: "/srv")
                for domain in table.domains.values {
                    #expect(domain.lambdas.allSatisfy { table.lambdas[$0] != nil })
                }
            } catch {
                let lines = text.unicodeScalars.count + 1
                #expect(error.problems.allSatisfy { $0.line >= 0 && $0.line <= lines && !$0.message.isEmpty })
            }
        }
    }

    static let sample = """
        listen: { http: localhost:0 }
        domains:
          files: { source: { directory: inbox, refresh: 60s }, lambdas: [audit-log, extract, index], retention: { age: 1d, size: 1GiB } }
          orders:
            lambdas:
              - charge
              - receipt
        lambdas:
          extract: &defaults { plugin: documents, workers: 2, memory: 256MiB, timeout: 30s }
          audit-log: *defaults
          index: { after: extract, config: { database: "search.db", list: [1, 2.5, {a: ~}] } }
          charge:
            retry: { attempts: 8, backoff: 200ms..30s }
            environment: { A: 'b' }
          receipt:
            after: [charge]
            filter: { type: order.paid, header: { region: [eu, us] } }
            sandbox: { network: true, read: [templates] }
        """
}

/// A small generator with a seed, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not including `end`, which is at least 1.
    mutating func below(_ end: Int) -> Int {
        Int(next() % UInt64(end))
    }
}
