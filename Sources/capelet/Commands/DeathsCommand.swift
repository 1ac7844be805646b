import ArgumentParser
import Frontend

/// `capelet deaths`: how workers ended.
struct DeathsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deaths", abstract: "Show how workers died, and on which event.",
        discussion: "The last 1,000 are kept, at most 200 of one lambda, also when the host ends.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions
    @Option(help: "Of this lambda.") var lambda: String?
    @Option(help: "How many.") var limit = 20
    @Flag(help: "With the last of each one's stderr.") var stderr = false

    private struct Answer: Decodable {
        var deaths: [WorkerDeath]
    }

    func run() throws {
        let answer = try host.client().get("/v1/deaths", [("lambda", lambda), ("limit", "\(limit)")])
        if output.json { return Output.print(answer.text) }
        let deaths = try answer.decode(Answer.self).deaths
        if deaths.isEmpty { return Output.print("No worker has died.") }
        let columns: [TextTable.Column] = [
            .text("when"), .text("lambda"), .text("plugin"), .number("generation"), .text("role"), .number("pid"), .text("verdict"),
            .text("event", canShrink: true), .text("memory", canGo: true), .text("cpu", canGo: true), .text("lived", canGo: true),
            .text("message", canShrink: true),
        ]
        func row(_ death: WorkerDeath) -> [TextTable.Cell] {
            let others = death.openEvents > 1 ? " and \(death.openEvents - 1) more" : ""
            let event = death.offset.map { "\(death.domain ?? "?") \($0) \(death.subject ?? "")\(others)" } ?? "-"
            let memory =
                death.memoryPeakBytes == 0 ? "-" : "\(Figures.size(death.memoryPeakBytes)) of \(Figures.size(death.memoryLimitBytes))"
            return [
                .init(Figures.ago(millis: death.atMillis)), .init(death.lambda), .init(death.plugin), .init("\(death.generation)"),
                .init(death.role),
                .init("\(death.pid)"), .init(death.verdict, .red), .init(event),
                .init(memory, death.verdict == "memory" ? .red : nil),
                .init(death.cpuMicros == 0 ? "-" : Figures.duration(micros: death.cpuMicros)),
                .init(death.livedMillis == 0 ? "-" : Figures.duration(micros: UInt64(max(death.livedMillis, 0)) * 1_000)),
                .init(death.message),
            ]
        }
        let terminal = Terminal.current
        guard stderr else {
            var table = TextTable(columns)
            for death in deaths { table.add(row(death)) }
            return Output.write(table.text(terminal))
        }
        for death in deaths {
            var table = TextTable(columns)
            table.add(row(death))
            Output.write(table.text(terminal))
            for line in death.stderrTail.split(separator: "\n") { Output.print("    " + Terminal.printable(line)) }
            Output.print("")
        }
    }
}
