import ArgumentParser
import Foundation
import Frontend

/// `capelet logs`: what workers say.
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "logs", abstract: "Show what a lambda's workers log and write.")

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The lambda (default: all).") var lambda: String?
    @Option(name: [.customShort("n"), .long], help: "How many of the latest lines.") var tail = 100
    @Flag(name: [.customShort("f"), .long], help: "Go on with new lines until interrupted.") var follow = false

    func run() throws {
        let terminal = Terminal.current
        let isJSON = output.json
        let query: [(String, String?)] = [("lambda", lambda), ("tail", "\(tail)"), ("follow", follow ? "1" : nil)]
        try host.client().lines("/v1/logs", query) { (line) throws(CommandFailure) in
            Output.print(isJSON ? line : try Self.text(line, terminal))
            return true
        }
    }

    static func text(_ line: String, _ terminal: Terminal) throws(CommandFailure) -> String {
        guard let entry = try? JSONDecoder().decode(LogLine.self, from: Data(line.utf8)) else {
            throw CommandFailure(.failed, "the host's answer cannot be read: \(line.prefix(200))")
        }
        let style: Terminal.Style? =
            switch entry.level {
            case "error", "critical": .red
            case "warning", "stderr": .yellow
            case "trace", "debug": .dim
            default: nil
            }
        let level = entry.level + String(repeating: " ", count: max(0, 7 - entry.level.count))
        let head = "\(Figures.moment(millis: entry.atMillis)) \(entry.lambda)/\(entry.worker) "
        return head + terminal.styled(level, style) + " " + Terminal.printable(entry.text)
    }
}
