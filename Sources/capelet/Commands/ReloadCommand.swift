import ArgumentParser
import Frontend

/// `capelet reload`: reads the routing file and the plugins anew, waits, and says what changed.
struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Read the routing file and the plugins anew; say what changed.",
        discussion: "Exit code 1 when the new state is refused: the old one serves on.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let answer = try host.client().post("/v1/admin/reload", [String: String](), accepting: [200, 409])
        let report = try answer.decode(ReloadReport.self)
        if output.json {
            Output.print(answer.text)
        } else if report.accepted {
            Output.print("reloaded in \(Figures.grouped(report.millis)) ms")
            if report.changes.isEmpty { Output.print("  nothing changed") }
            for change in report.changes { Output.print("  " + Terminal.printable(change)) }
        } else {
            Output.error("capelet: the reload is refused; what served before serves on\n")
            for error in report.errors { Output.error("  " + Terminal.printable(error) + "\n") }
        }
        if !output.json { for warning in report.warnings { Output.error("capelet: warning: \(Terminal.printable(warning))\n") } }
        if !report.accepted { throw ExitCode(1) }
    }
}
