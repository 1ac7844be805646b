import ArgumentParser

/// `capelet pause`: holds a lambda's cursor.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Give a lambda no new events: they wait. Others go on.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The lambda.") var lambda: String

    func run() throws {
        let answer = try host.client().post("/v1/admin/pause", ["lambda": lambda])
        Output.print(output.json ? answer.text : "\(lambda) is paused; `capelet resume \(lambda)` lets it go on")
    }
}

/// `capelet resume`: lets a paused or broken lambda go on.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a lambda go on that is paused, or was stopped after its workers died again and again.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The lambda.") var lambda: String

    func run() throws {
        let answer = try host.client().post("/v1/admin/resume", ["lambda": lambda])
        Output.print(output.json ? answer.text : "\(lambda) goes on")
    }
}
