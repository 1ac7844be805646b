import ArgumentParser
import Foundation
import Frontend
import Glibc

/// `capelet events`: what is in a domain's journal.
struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show the events of a domain: the latest, or from an offset on.",
        discussion:
            "With --json each event is one line, its parts named as `capelet send --ndjson` takes them."
    )

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The domain.")
    var domain: String

    @Option(help: "The first offset (default: so that the latest are shown).")
    var from: UInt64?

    @Option(help: "How many.")
    var limit = 20

    @Option(help: "Only events of this subject.")
    var subject: String?

    @Option(help: "Only events of this type.")
    var type: String?

    @Flag(name: [.customShort("f"), .long], help: "Go on with new events until interrupted.")
    var follow = false

    func validate() throws {
        if limit < 0 { throw ValidationError("--limit has to be 0 or more") }
    }

    func run() throws {
        let client = try host.client()
        var next = try from ?? latest(client)
        var left = limit
        let terminal = Terminal.current
        var isFirst = true
        while true {
            var query: [(String, String?)] = [("domain", domain), ("from", "\(next)"), ("subject", subject), ("type", type)]
            query.append(("limit", "\(min(follow ? 1_000 : left, 1_000))"))
            if left == 0, !follow { return }
            let answer = try client.get("/v1/events", query)
            if output.json {
                Output.write(answer.body)
            } else {
                let lines = answer.text.split(separator: "\n")
                if isFirst, !lines.isEmpty { Output.print(terminal.styled("OFFSET  TIME                 SUBJECT  TYPE  PAYLOAD", .dim)) }
                if !lines.isEmpty { isFirst = false }
                for line in lines { Output.print(try Self.text(String(line), terminal)) }
            }
            let count = answer.body.count { $0 == 0x0A }
            left -= min(left, count)
            let reached = answer.headers["capelet-next-offset"].flatMap { UInt64($0) } ?? next
            if reached == next || (count == 0 && !follow) {
                if !follow { return }
                usleep(200_000)
            }
            next = reached
        }
    }

    private func latest(_ client: HostClient) throws -> UInt64 {
        let status = try client.get("/v1/status").decode(HostStatus.self)
        guard let found = status.domains.first(where: { $0.name == domain }) else { return 0 }
        // With a filter the latest cannot be told by counting.
        if subject != nil || type != nil, !follow { return found.start }
        return max(found.start, found.end - min(found.end, UInt64(limit)))
    }

    /// An event as far as it is shown.
    struct Shown: Decodable {
        var offset: UInt64
        var subject: String
        var type: String
        var time: String
        var payloadSize: UInt64
    }

    static func text(_ line: String, _ terminal: Terminal) throws -> String {
        guard let event = try? JSONDecoder().decode(Shown.self, from: Data(line.utf8)) else {
            throw CommandFailure(.failed, "the host's answer cannot be read: \(line.prefix(200))")
        }
        let time = String(event.time.prefix(19)).replacing("T", with: " ")
        var payload = "\(Figures.size(event.payloadSize))"
        if let range = line.range(of: ",\"payload\":") { payload = String(line[range.upperBound...].dropLast()) }
        let offset = "\(event.offset)"
        var text = offset + String(repeating: " ", count: max(0, 6 - offset.count)) + "  \(time)  "
        text += terminal.styled(Terminal.printable(event.subject), .bold)
        text += "  \(event.type.isEmpty ? "-" : Terminal.printable(event.type))  "
        let shown = Terminal.printable(payload)
        // Without a width the whole payload; on a terminal what fits.
        return text + (terminal.width.map { Terminal.cut(shown, to: max(10, $0 - Terminal.columns(text))) } ?? shown)
    }
}
