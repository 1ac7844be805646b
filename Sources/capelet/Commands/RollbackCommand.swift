import ArgumentParser
import Frontend

/// `capelet rollback`: puts a lambda back to the generation of its plugin before the present one.
struct RollbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Put a lambda back to the previous generation of its plugin.",
        discussion: """
            Once more goes one further back. It holds, also after a restart, until the plugin's file in the plugins folder has other contents, or \
            until --undo. Exit code 1 when the earlier generation cannot serve: the present one serves on.
            """)

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The lambda.") var lambda: String
    @Flag(help: "Run what the plugins folder has again.") var undo = false

    func run() throws {
        let answer = try host.client().post("/v1/lambdas/\(HostClient.escape(lambda))/rollback", ["undo": undo])
        if output.json { return Output.print(answer.text) }
        let report = try answer.decode(RollbackReport.self)
        let place = "\(report.plugin) #\(report.to)"
        Output.print(
            report.undone
                ? "\(report.lambda) runs \(place) again, as the plugins folder has it"
                : "\(report.lambda) is rolled back from #\(report.from) to \(place); `capelet rollback \(report.lambda) --undo` ends that")
    }
}
