import ArgumentParser
import Foundation
import Frontend
import Glibc

/// `capelet status`: the state of everything, or what blocks subjects.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the state of the host: domains, lambdas, workers, and what blocks them.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Show the subjects that are blocked, why, and until when.")
    var blocked = false

    @Option(help: "With --blocked: only this subject.")
    var subject: String?

    @Option(help: "With --blocked: only this lambda.")
    var lambda: String?

    @Flag(help: "Show again every second until interrupted.")
    var watch = false

    func validate() throws {
        if !blocked, subject != nil || lambda != nil { throw ValidationError("--subject and --lambda go with --blocked") }
    }

    func run() throws {
        let client = try host.client()
        repeat {
            let text = try text(client)
            if watch, Terminal.current.isInteractive { Output.write("\u{1B}[H\u{1B}[2J") }
            Output.write(text)
            if watch { sleep(1) }
        } while watch
    }

    private func text(_ client: HostClient) throws -> String {
        if blocked {
            let query: [(String, String?)] = [("subject", subject), ("lambda", lambda), ("limit", "1000")]
            let answer = try client.get("/v1/blocked", query)
            if output.json { return answer.text + "\n" }
            struct List: Decodable {
                var blocked: [BlockedEventView]
            }
            return BlockedText.text(try answer.decode(List.self).blocked, Terminal.current)
        }
        let answer = try client.get("/v1/status")
        if output.json { return answer.text + "\n" }
        return StatusText.text(try answer.decode(HostStatus.self), Terminal.current)
    }
}
