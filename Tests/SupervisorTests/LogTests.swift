import Foundation
import Routing
import Testing

@testable import Supervisor

/// What processes write, made into lines.
@Suite struct LogTests {
    private func lines(_ pieces: [[UInt8]]) -> [String] {
        var lines = LogLines()
        var result: [String] = []
        for piece in pieces { piece.withUnsafeBytes { lines.add($0) { result.append(LogLines.text($0, isCut: $1)) } } }
        lines.end { result.append(LogLines.text($0, isCut: $1)) }
        return result
    }

    @Test func linesAcrossPieces() {
        #expect(lines([Array("one\ntw".utf8), Array("o\n".utf8), Array("\nthree".utf8)]) == ["one", "two", "", "three"])
        #expect(lines([Array("dos\r\nmac\r".utf8)]) == ["dos", "mac"])
        let umlaut = Array("ä\n".utf8)
        #expect(lines([[umlaut[0]], [umlaut[1], umlaut[2]]]) == ["ä"])
    }

    @Test func longLinesAreCut() {
        let long = [UInt8](repeating: 97, count: 100_000)
        let result = lines([long, long, [10], Array("next\n".utf8)])
        #expect(result.count == 2 && result[1] == "next")
        #expect(result[0].utf8.count == LogLines.lineBytesMax + " [line cut]".utf8.count)
    }

    @Test func whatIsNotTextIsShown() {
        #expect(lines([[0xff, 97, 0xc3, 10]]) == ["\\xffa\\xc3"])
        #expect(lines([[27] + Array("[31mred\ttab".utf8) + [0, 10]]) == ["\\x1b[31mred\ttab\\x00"])
        #expect(lines([Array("日本".utf8) + [0x80, 10]]) == ["日本\\x80"])
        #expect(lines([[0xed, 0xa0, 0x80, 10]]) == ["\\xed\\xa0\\x80"])
    }

    @Test func whatIsSkippedEndsWithItsLine() {
        var lines = LogLines()
        var result: [String] = []
        for (text, isSkipped) in [("one\nhalf", false), ("dropped\nand", true), ("this\ntwo\n", false)] {
            if isSkipped {
                lines.skip()
            } else {
                Array(text.utf8).withUnsafeBytes { lines.add($0) { line, _ in result.append(LogLines.printable(line)) } }
            }
        }
        #expect(result == ["one", "two"])
    }

    @Test func theTailIsTheEnd() {
        var tail = LogTail()
        for index in 0..<2000 { Array("line \(index)\n".utf8).withUnsafeBytes { tail.add($0) } }
        #expect(tail.text.hasSuffix("line 1998\nline 1999"))
        #expect(tail.text.utf8.count <= LogTail.bytesMax)
    }

    @Test func theGateCutsAndSaysSoOnce() {
        let gate = LogGate(bytesPerSecond: 1_000)
        #expect(gate.admit(bytes: 600, nowMillis: 0) == .admitted)
        #expect(gate.admit(bytes: 1, nowMillis: 5) == .admitted)
        #expect(gate.admit(bytes: 272, nowMillis: 10) == .admitted, "a short line counts as 128")
        #expect(gate.admit(bytes: 1, nowMillis: 20) == .cut)
        #expect(gate.isShut(nowMillis: 999) && !gate.isShut(nowMillis: 1000))
        #expect(gate.admit(bytes: 1, nowMillis: 999) == .dropped)
        #expect(gate.admit(bytes: 1, nowMillis: 1000) == .admitted)
        #expect(gate.bytesCut == 2)
    }

    @Test func configurationAsJSONAndByKey() throws {
        let secret = Fixture.newFolder() + "/secret"
        try Data("geheim\"\n".utf8).write(to: URL(fileURLWithPath: secret))
        let config = ConfigValue.object([
            ("a", .int(-1)), ("b", .array([.bool(true), .object([("c", .double(1.5))])])), ("s", .string("ü\n\u{1}\\")),
            ("k", .secretFile(secret)),
            ("n", .null), ("e", .object([])),
        ])
        let text = try ConfigText(config, lambda: "l")
        #expect(text.json == #"{"a":-1,"b":[true,{"c":1.5}],"s":"ü\n\u0001\\","k":"geheim\"","n":null,"e":{}}"#)
        #expect(try JSONSerialization.jsonObject(with: Data(text.json.utf8)) is [String: Any])
        #expect(
            text.values.map { "\($0.key)=\($0.value)" } == ["a=-1", "b.0=true", "b.1.c=1.5", "s=ü\n\u{1}\\", "k=geheim\"", "n="])
        #expect(try ConfigText(.null, lambda: "l").json == "{}")
        #expect {
            _ = try ConfigText(.object([("k", .secretFile("/nonexistent/x"))]), lambda: "pay")
        } throws: { error in
            "\(error)".contains("lambda pay") && "\(error)".contains("/nonexistent/x") && "\(error)".contains("No such file")
        }
    }
}
