import Foundation
import Frontend
import Testing

@testable import capelet

@Suite struct TableTests {
    private let plain = Terminal(isInteractive: false, hasColour: false, width: nil)

    @Test func columnsAreAligned() {
        var table = TextTable([.text("name"), .number("count"), .text("note", canShrink: true)])
        table.add(["é", .number(1_234_567), "x"])
        table.add([.init("名前", .bold), .number(5), ""])
        #expect(table.text(plain) == "NAME      COUNT  NOTE\né     1,234,567  x\n名前          5\n")
        let colour = Terminal(isInteractive: true, hasColour: true, width: 80)
        #expect(table.text(colour).contains("\u{1B}[1m名前\u{1B}[0m"))
    }

    @Test func wideTablesAreCutToTheTerminal() {
        var table = TextTable([.text("a"), .text("long", canShrink: true)])
        table.add(["1", .init(String(repeating: "x", count: 200))])
        let lines = table.text(Terminal(isInteractive: true, hasColour: false, width: 40)).split(separator: "\n")
        #expect(lines.allSatisfy { Terminal.columns($0) <= 40 })
        #expect(lines[1].hasSuffix("…"))
    }

    @Test func columnsThatSayNothingGoFirst() {
        var table = TextTable([.text("a"), .number("waiting", canGo: true), .number("dead", canGo: true), .text("crashes", canGo: true)])
        table.add(["x", "0", "1", "-"])
        let narrow = table.text(Terminal(isInteractive: true, hasColour: false, width: 10))
        #expect(narrow == "A  DEAD\nx     1\n")
        #expect(table.text(plain) == "A  WAITING  DEAD  CRASHES\nx        0     1  -\n")
    }

    @Test func aLambdaWithoutAReadyWorkerIsToldFromOneThatRuns() {
        let starting = LambdaStatus(
            name: "slow", domain: "work", reason: "no worker is ready", workers: [WorkerStatus(id: 1, pid: 5, state: "starting")])
        let text = StatusText.lambdas([starting], plain)
        #expect(text.contains("  0/1  "))
        #expect(text.contains("slow (work): no worker is ready\n"))
        let missing = LambdaStatus(name: "gone", domain: "work", state: .missing, reason: "no plugin has it")
        #expect(StatusText.lambdas([missing], plain).contains("gone (work) is missing: no plugin has it; put the plugin there"))
    }

    @Test func nothingSteersTheTerminal() {
        #expect(Terminal.printable("a\u{1B}[2J\u{7}\n\t\u{9B}\u{202E}z") == "a\\x1b[2J\\x07\\n\\t\\x9b\\x202ez")
        #expect(Terminal.printable("é 😀 plain") == "é 😀 plain")
    }

    @Test func figuresAreReadable() {
        #expect(Figures.grouped(0) == "0")
        #expect(Figures.grouped(999) == "999")
        #expect(Figures.grouped(-1_234_567) == "-1,234,567")
        #expect(Figures.size(1023) == "1023 B")
        #expect(Figures.size(1536) == "1.5 KiB")
        #expect(Figures.size(10 << 20) == "10 MiB")
        #expect(Figures.duration(micros: 85) == "85 µs")
        #expect(Figures.duration(micros: 1_234) == "1.2 ms")
        #expect(Figures.duration(micros: 45_000) == "45 ms")
        #expect(Figures.duration(micros: 3_400_000) == "3.4 s")
        #expect(Figures.span(seconds: 7_800) == "2h 10m")
        #expect(Figures.moment(millis: 0) == "1970-01-01 00:00:00")
        #expect(Figures.ahead(millis: 2_500, now: 1_000) == "in 2s")
        #expect(Figures.ahead(millis: 900, now: 1_000) == "now")
    }

    @Test func blockedSubjectsSayWhyAndUntilWhen() throws {
        let text = BlockedText.text([Self.blocked("parked"), Self.blocked("deferred")], plain, now: 1_000)
        let lines = text.split(separator: "\n")
        #expect(lines[1].contains("redrive or drop") && lines[1].contains("no such account"))
        #expect(lines[2].contains("in 9s"))
    }

    private static func blocked(_ state: String) -> BlockedEventView {
        let json = """
            {"id":1,"lambda":"charge","domain":"orders","subject":"customer-7","offset":3,"events":2,"state":"\(state)","dueMillis":10000,"attempts":4,
            "sinceMillis":500,"error":"no such account"}
            """
        return try! JSONDecoder().decode(BlockedEventView.self, from: Data(json.utf8))
    }
}
