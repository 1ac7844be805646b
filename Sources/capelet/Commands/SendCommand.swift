import ArgumentParser
import Foundation
import Frontend
import Glibc

/// `capelet send`: one event from the command line, or many from a file or standard input.
struct SendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send events to a domain.",
        discussion: """
            One event:

              capelet send orders --subject customer-7 --type order.paid '{"total":12}'

            Many, one JSON object a line, with the parts subject (required), type, id, sequence, time, headers, payload, payloadBase64:

              producer | capelet send orders --ndjson -

            When the host is full, sending waits and goes on (--no-wait: it fails). Exit code 1 when an event was refused.
            """)

    @OptionGroup var host: HostOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The domain.")
    var domain: String

    @Option(help: "What changed: order is kept for each subject.")
    var subject: String?

    @Option(help: "The event's type.")
    var type: String?

    @Option(help: "The event's id: a second event with the same id is recognised as a duplicate.")
    var id: String?

    @Option(help: "The event's sequence, where the domain's producers number its events.")
    var sequence: UInt64?

    @Option(help: "When it happened (RFC 3339; default: now).")
    var time: String?

    @Option(name: .long, help: ArgumentHelp("A header; may be given several times.", valueName: "name=value"))
    var header: [String] = []

    @Option(help: ArgumentHelp("Send the events of a file, one JSON object a line; - is standard input.", valueName: "file"))
    var ndjson: String?

    @Flag(help: "Fail when the host takes no more events, instead of waiting.")
    var noWait = false

    @Argument(help: "The payload; - reads it from standard input.")
    var payload: String?

    func validate() throws {
        if ndjson != nil {
            if subject != nil || type != nil || id != nil || sequence != nil || time != nil || !header.isEmpty || payload != nil {
                throw ValidationError(
                    "with --ndjson the events come from the file: leave out subject, type, id, sequence, time, header and payload")
            }
        } else if subject == nil {
            throw ValidationError("--subject is missing: it names the entity that changed (or send many with --ndjson FILE)")
        }
        for pair in header where !pair.contains("=") { throw ValidationError("--header takes name=value, not '\(pair)'") }
    }

    func run() throws {
        if let ndjson { try sendMany(ndjson) } else { try sendOne() }
    }

    // MARK: one

    private func sendOne() throws {
        var bytes = Array((payload ?? "").utf8)
        if payload == "-" { bytes = Array(FileHandle.standardInput.readDataToEndOfFile()) }
        let line = try Self.line(
            subject: subject ?? "", type: type, id: id, sequence: sequence, time: time, headers: header, payload: bytes)
        let body = Data(line)
        let client = try host.client()
        let connection = try UnixConnection(path: client.socketPath)
        let path = "/v1/domains/\(HostClient.escape(domain))/events"
        try connection.send(HostClient.head("POST", path, [], contentType: "application/x-ndjson", length: body.count) + Array(body))
        var parser = ResponseParser()
        while !parser.isDone, try connection.receive(into: &parser) {}
        let answer = HostAnswer(status: parser.status, headers: parser.headers, body: parser.takeBody())
        guard answer.status == 200 else { throw HostClient.refusal(answer) }
        struct Answer: Decodable {
            var offset: UInt64?
            var duplicate: Bool?
            var error: HostProblem?
        }
        let result = try answer.decode(Answer.self)
        if let problem = result.error { throw CommandFailure(.failed, problem.message) }
        if output.json {
            Output.write(answer.body)
        } else {
            Output.print("\(domain) offset \(result.offset ?? 0)\(result.duplicate == true ? " (duplicate: known before)" : "")")
        }
    }

    /// One line of NDJSON.
    static func line(
        subject: String, type: String?, id: String?, sequence: UInt64?, time: String?, headers: [String], payload: [UInt8]
    ) throws -> [UInt8] {
        func quoted(_ text: String) throws -> [UInt8] {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .withoutEscapingSlashes
            return Array(try encoder.encode(text))
        }
        var line = Array("{\"subject\":".utf8) + (try quoted(subject))
        if let type { line += Array(",\"type\":".utf8) + (try quoted(type)) }
        if let id { line += Array(",\"id\":".utf8) + (try quoted(id)) }
        if let sequence { line += Array(",\"sequence\":\(sequence)".utf8) }
        if let time { line += Array(",\"time\":".utf8) + (try quoted(time)) }
        if !headers.isEmpty {
            line += Array(",\"headers\":{".utf8)
            for (index, pair) in headers.enumerated() {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if index > 0 { line.append(UInt8(ascii: ",")) }
                line += try quoted(String(parts[0])) + [UInt8(ascii: ":")] + quoted(String(parts[1]))
            }
            line.append(UInt8(ascii: "}"))
        }
        if !payload.isEmpty {
            if payload.withUnsafeBytes({ JSONValidity.isLine($0) }) {
                line += Array(",\"payload\":".utf8) + payload
            } else {
                line += Array(",\"payloadBase64\":\"\(Data(payload).base64EncodedString())\"".utf8)
            }
        }
        return line + Array("}\n".utf8)
    }

    // MARK: many

    private func sendMany(_ name: String) throws {
        var descriptor = STDIN_FILENO
        if name != "-" {
            descriptor = open(name, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw CommandFailure(.failed, "cannot read \(name): \(String(cString: strerror(errno)))") }
        }
        defer { if name != "-" { close(descriptor) } }
        var progress = Progress()
        var shownErrors = 0
        var sender = LineSender(
            socketPath: try host.socketPath(), domain: domain, input: descriptor, waits: !noWait,
            onAnswer: { answer in
                if output.json {
                    Output.print(answer)
                } else if answer.hasPrefix("{\"error\"") {
                    shownErrors += 1
                    if shownErrors <= 20 { Self.show(answer) }
                }
            },
            onProgress: { tally, notice in
                if let notice {
                    progress.clear()
                    Output.error("capelet: \(notice)\n")
                }
                progress.show { elapsed in
                    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
                    let done = tally.accepted + tally.duplicates
                    let rate = Figures.grouped(Int(Double(done) / seconds))
                    return "\(Figures.grouped(tally.sent)) read, \(Figures.grouped(done)) accepted, \(rate)/s"
                }
            })
        let tally: LineSender.Tally
        do {
            tally = try sender.run()
        } catch {
            progress.clear()
            throw error
        }
        progress.clear()
        var summary = "\(Figures.grouped(tally.sent)) events: \(Figures.grouped(tally.accepted)) accepted"
        if tally.duplicates > 0 { summary += ", \(Figures.grouped(tally.duplicates)) duplicates" }
        if tally.refused > 0 { summary += ", \(Figures.grouped(tally.refused)) refused" }
        if output.json { Output.error(summary + "\n") } else { Output.print(summary) }
        if tally.refused > 0 { throw ExitCode(1) }
    }

    private static func show(_ answer: String) {
        struct Answer: Decodable {
            var error: HostProblem
        }
        guard let problem = try? JSONDecoder().decode(Answer.self, from: Data(answer.utf8)).error else { return }
        Output.error("capelet: line \(problem.line ?? 0): \(Terminal.printable(problem.message))\n")
    }
}
