import ArgumentParser
import Frontend

/// `capelet deaths`: how workers ended.
struct DeathsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "deaths", abstract: "Show how workers died, and on which event.")

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
            .text("event", canShrink: true), .text("message", canShrink: true),
        ]
        func row(_ death: WorkerDeath) -> [TextTable.Cell] {
            let event = death.offset.map { "\(death.domain ?? "?") \($0) \(death.subject ?? "")" } ?? "-"
            return [
                .init(Figures.ago(millis: death.atMillis)), .init(death.lambda), .init(death.plugin), .init("\(death.generation)"),
                .init(death.role),
                .init("\(death.pid)"), .init(death.verdict, .red), .init(event), .init(death.message),
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
