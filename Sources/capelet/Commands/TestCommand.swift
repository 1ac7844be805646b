import ArgumentParser
import Foundation
import Frontend
import Host

/// `capelet test`: one event through a real worker, without a journal.
struct TestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Run one event through a lambda in a real worker; show result, logs and emitted events.",
        discussion: """
            Nothing is stored, and no host needs to run. The event comes from the options, or from a file with one JSON object \
            (parts: subject, type, id, headers, payload, payloadBase64). Exit code 1 when the lambda does not succeed.
            """)

    @Option(
        name: [.short, .long], help: ArgumentHelp("The routing file (default: $CAPELET_CONFIG, or ./capelet.yaml).", valueName: "file"))
    var config: String?

    @Argument(help: "The lambda.")
    var lambda: String

    @Option(help: ArgumentHelp("A file with the event as a JSON object; - is standard input.", valueName: "file"))
    var event: String?

    @Option(help: "The domain (default: the first that the lambda is in).")
    var domain: String?

    @Option(help: "The event's subject.")
    var subject: String?

    @Option(help: "The event's type.")
    var type: String?

    @Option(help: "The event's id.")
    var id: String?

    @Option(help: ArgumentHelp("A header; may be given several times.", valueName: "name=value"))
    var header: [String] = []

    @Option(help: "The event's payload; @FILE reads it from a file.")
    var payload: String?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        for pair in header where !pair.contains("=") { throw ValidationError("--header takes name=value, not '\(pair)'") }
    }

    func run() async throws {
        let report = try await LambdaTest.run(configPath: HostOptions.configPath(config), lambda: lambda, event: try testEvent())
        if output.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            Output.print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            Output.write(Self.text(report, Terminal.current))
        }
        if !report.isSuccess { throw ExitCode(1) }
    }

    /// The event that the options describe; what is given on the command line wins over the file.
    func testEvent() throws -> LambdaTestEvent {
        var result = LambdaTestEvent()
        if let event {
            let data = event == "-" ? FileHandle.standardInput.readDataToEndOfFile() : try Self.read(event)
            result = try Self.parse(data, name: event)
        }
        if let domain { result.domain = domain }
        if let subject { result.subject = subject }
        if let type { result.type = type }
        if let id { result.id = id }
        for pair in header {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            result.headers.append((String(parts[0]), String(parts[1])))
        }
        if let payload { result.payload = payload.hasPrefix("@") ? Array(try Self.read(String(payload.dropFirst()))) : Array(payload.utf8) }
        return result
    }

    private static func read(_ path: String) throws -> Data {
        do {
            return try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw CommandFailure(.failed, "cannot read \(path): \(error.localizedDescription)")
        }
    }

    static func parse(_ data: Data, name: String) throws -> LambdaTestEvent {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw CommandFailure(.failed, "\(name) is not a JSON object")
        }
        var event = LambdaTestEvent()
        for (key, value) in object.sorted(by: { $0.key < $1.key }) {
            switch (key, value) {
            case ("domain", let text as String): event.domain = text
            case ("subject", let text as String): event.subject = text
            case ("type", let text as String): event.type = text
            case ("id", let text as String): event.id = text
            case ("headers", let headers as [String: String]): event.headers = headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            case ("payloadBase64", let text as String):
                guard let bytes = Data(base64Encoded: text) else { throw CommandFailure(.failed, "\(name): payloadBase64 is not Base64") }
                event.payload = Array(bytes)
            case ("payload", let value):
                event.payload = Array(
                    try JSONSerialization.data(withJSONObject: value, options: [.fragmentsAllowed, .sortedKeys, .withoutEscapingSlashes]))
            // What `capelet events --json` writes beside them.
            case ("offset", _), ("sequence", _), ("time", _), ("accepted", _), ("hops", _), ("payloadSize", _): break
            default: throw CommandFailure(.failed, "\(name): `\(key)` is not a part of an event, or has a wrong type")
            }
        }
        return event
    }

    static func text(_ report: LambdaTestReport, _ terminal: Terminal) -> String {
        var text = ""
        for line in report.logs { text += terminal.styled("\(line.level): ", .dim) + Terminal.printable(line.text) + "\n" }
        for emit in report.emits {
            let parts = [emit.subject, emit.type, emit.payload].map { Terminal.printable($0) }.joined(separator: " ")
            text += "emit to \(Terminal.printable(emit.domain)): \(parts)\n"
        }
        if let output = report.output { text += "output: \(Terminal.printable(output))\n" }
        text += terminal.styled(report.outcome, report.isSuccess ? .green : .red)
        if !report.message.isEmpty { text += ": " + Terminal.printable(report.message) }
        if let delay = report.delayMillis { text += " (again in \(Figures.duration(micros: UInt64(max(0, delay)) * 1_000)))" }
        let start = Figures.duration(micros: report.startMicros)
        if report.outcome == "boot" { return text + "  [no worker was ready in \(start)]\n" }
        return text + "  [\(Figures.duration(micros: report.runMicros)), worker ready after \(start)]\n"
    }
}
