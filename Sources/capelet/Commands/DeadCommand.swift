import ArgumentParser
import Foundation
import Frontend

/// `capelet dead`: events that were given up on.
struct DeadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead", abstract: "Show dead letters, run them again, or drop them.",
        subcommands: [List.self, Show.self, Redrive.self, Drop.self], defaultSubcommand: List.self)

    /// Which ones.
    struct Selection: ParsableArguments {
        @Option(help: "Of this lambda.") var lambda: String?
        @Option(help: "Of this domain.") var domain: String?
        @Option(help: "Of this subject.") var subject: String?
        @Option(help: "Whose last error contains this text.") var error: String?

        var query: [(String, String?)] { [("lambda", lambda), ("domain", domain), ("subject", subject), ("error", error)] }
    }

    struct Letters: Decodable {
        var dead: [DeadLetterView]
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Show dead letters, newest first.")
        @OptionGroup var host: HostOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var selection: Selection
        @Option(help: "How many.") var limit = 100

        func run() throws {
            let answer = try host.client().get("/v1/dead", selection.query + [("limit", "\(limit)")])
            if output.json { return Output.print(answer.text) }
            let letters = try answer.decode(Letters.self).dead
            if letters.isEmpty { return Output.print("No dead letters.") }
            var table = TextTable([
                .number("id"), .text("lambda"), .text("domain"), .number("offset"), .text("subject", canShrink: true), .text("type"),
                .text("when"),
                .text("reason"), .number("attempts"), .text("error", canShrink: true),
            ])
            for letter in letters {
                table.add([
                    .init("\(letter.id)"), .init(letter.lambda), .init(letter.domain), .init("\(letter.offset)"), .init(letter.subject),
                    .init(letter.type),
                    .init(Figures.ago(millis: letter.atMillis)), .init(letter.reason, .red), .number(letter.attempts), .init(letter.error),
                ])
            }
            Output.write(table.text(Terminal.current))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one dead letter with its event.")
        @OptionGroup var host: HostOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "Its id.") var id: Int64

        func run() throws {
            let answer = try host.client().get("/v1/dead", [("id", "\(id)"), ("events", "1")])
            let letters = try answer.decode(Letters.self).dead
            guard let letter = letters.first else { throw CommandFailure(.failed, "there is no dead letter \(id)") }
            if output.json { return Output.print(answer.text) }
            func line(_ name: String, _ value: String) {
                Output.print(name + String(repeating: " ", count: 14 - name.count) + Terminal.printable(value))
            }
            line("id", "\(letter.id)")
            line("lambda", letter.lambda)
            line("event", "\(letter.domain) offset \(letter.offset)")
            line("subject", letter.subject)
            line("type", letter.type)
            line("given up", "\(Figures.moment(millis: letter.atMillis)) (\(letter.reason))")
            line("history", "\(letter.attempts) attempts, \(letter.crashes) crashes, \(letter.externalKills) kills from outside")
            if letter.sinceMillis > 0 { line("first failed", Figures.moment(millis: letter.sinceMillis)) }
            line("last error", letter.error)
            if let range = answer.text.range(of: ",\"event\":") {
                Output.print("\n" + Terminal.printable(answer.text[range.upperBound...].dropLast(3)))
            }
        }
    }

    /// What redrive and drop have in common.
    static func change(
        _ path: String, _ host: HostOptions, _ output: OutputOptions, _ ids: [Int64], _ selection: Selection, all: Bool, verb: String
    ) throws {
        let rows = RowSelection(
            ids: ids, lambda: selection.lambda, domain: selection.domain, subject: selection.subject, error: selection.error, all: all)
        let answer = try host.client().post(path, rows)
        let report = try answer.decode(RowsChanged.self)
        if output.json {
            Output.print(answer.text)
        } else {
            Output.print("\(Figures.grouped(report.changed)) \(verb)")
            for refused in report.refused { Output.error("capelet: \(Terminal.printable(refused))\n") }
        }
        if !report.refused.isEmpty { throw ExitCode(1) }
    }

    static func check(_ ids: [Int64], _ selection: Selection, _ all: Bool) throws {
        if ids.isEmpty, !all, selection.query.allSatisfy({ $0.1 == nil }) {
            throw ValidationError("say which: ids, --lambda, --domain, --subject, --error, or --all")
        }
    }

    struct Redrive: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "redrive", abstract: "Run dead letters again, or parked events once more.",
            discussion: "Redriven events are marked as such and are exempt from order; they never overlap with others of their subject.")
        @OptionGroup var host: HostOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var selection: Selection
        @Flag(help: "Every one.") var all = false
        @Argument(help: "Their ids.") var ids: [Int64] = []

        func validate() throws { try DeadCommand.check(ids, selection, all) }
        func run() throws { try DeadCommand.change("/v1/admin/redrive", host, output, ids, selection, all: all, verb: "redriven") }
    }

    struct Drop: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "drop", abstract: "Drop dead letters or parked events for good.")
        @OptionGroup var host: HostOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var selection: Selection
        @Flag(help: "Every one.") var all = false
        @Argument(help: "Their ids.") var ids: [Int64] = []

        func validate() throws { try DeadCommand.check(ids, selection, all) }
        func run() throws { try DeadCommand.change("/v1/admin/drop", host, output, ids, selection, all: all, verb: "dropped") }
    }
}
