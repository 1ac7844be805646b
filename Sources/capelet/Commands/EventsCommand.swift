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
                let events = try answer.text.split(separator: "\n").map { try Self.parse(String($0)) }
                if !events.isEmpty {
                    Output.write(Self.text(events, terminal, hasTitles: isFirst))
                    isFirst = false
                }
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
    struct Shown {
        var offset: String
        var time: String
        var subject: String
        var type: String
        var payload: String
    }

    static func parse(_ line: String) throws(CommandFailure) -> Shown {
        struct Parts: Decodable {
            var offset: UInt64
            var subject: String
            var type: String
            var time: String
            var payloadSize: UInt64
            var payloadBase64: String?
        }
        guard let event = try? JSONDecoder().decode(Parts.self, from: Data(line.utf8)) else {
            throw CommandFailure(.failed, "the host's answer cannot be read: \(line.prefix(200))")
        }
        // The payload is shown as it is: it stands last. What is not JSON is shown when it is text.
        let json = line.range(of: ",\"payload\":").map { String(line[$0.upperBound...].dropLast()) }
        let payload =
            json
            ?? event.payloadBase64.flatMap { Data(base64Encoded: $0) }.flatMap { String(data: $0, encoding: .utf8) }
            .flatMap { $0.contains("\0") ? nil : $0 }
        return Shown(
            offset: "\(event.offset)", time: String(event.time.prefix(19)).replacing("T", with: " "), subject: event.subject,
            type: event.type.isEmpty ? "-" : event.type, payload: payload ?? Figures.size(event.payloadSize))
    }

    /// A page of events, aligned. The payload is cut on a terminal only.
    static func text(_ events: [Shown], _ terminal: Terminal, hasTitles: Bool) -> String {
        var table = TextTable([.number("offset"), .text("time"), .text("subject"), .text("type"), .text("payload", canShrink: true)])
        for event in events {
            table.add([.init(event.offset), .init(event.time), .init(event.subject, .bold), .init(event.type), .init(event.payload)])
        }
        let text = table.text(terminal)
        return hasTitles ? text : String(text[text.index(after: text.firstIndex(of: "\n")!)...])
    }
}
