import ArgumentParser
import Frontend

/// `capelet backup`: a consistent copy of the journal while it is in use.
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write a consistent copy of the journal to a file while the host runs.",
        discussion: "The host writes the file, with its rights. It does not overwrite.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The file.", completion: .file()) var file: String

    func run() throws {
        let answer = try host.client().post("/v1/admin/backup", ["path": HostOptions.absolute(file)])
        if output.json { return Output.print(answer.text) }
        let report = try answer.decode(BackupReport.self)
        Output.print("\(report.path): \(Figures.size(report.bytes))")
    }
}
