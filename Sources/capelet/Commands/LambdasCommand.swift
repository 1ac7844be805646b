import ArgumentParser
import Frontend

/// `capelet lambdas`: the lambdas and their workers; `lambdas forget`.
struct LambdasCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lambdas", abstract: "Show lambdas and their workers, or forget one that is no longer used.",
        subcommands: [List.self, Forget.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Show lambdas and their workers.")
        @OptionGroup var host: HostOptions
        @OptionGroup var output: OutputOptions

        private struct Answer: Decodable {
            var lambdas: [LambdaStatus]
        }

        func run() throws {
            let answer = try host.client().get("/v1/lambdas")
            if output.json { return Output.print(answer.text) }
            let lambdas = try answer.decode(Answer.self).lambdas
            let terminal = Terminal.current
            Output.write(StatusText.lambdas(lambdas, terminal))
            var table = TextTable([
                .text("worker"), .text("plugin"), .number("generation"), .number("pid"), .text("state"), .text("mode"), .number("restarts"),
            ])
            var seen: Set<String> = []
            for lambda in lambdas where seen.insert(lambda.name).inserted {
                let plugin = lambda.function.map { "\(lambda.plugin) \($0)" } ?? lambda.plugin
                for worker in lambda.workers {
                    table.add([
                        .init("\(lambda.name)/\(worker.id)"), .init(plugin), .init("\(worker.generation)"),
                        .init(worker.pid > 0 ? "\(worker.pid)" : "-"),
                        .init(worker.state), .init(worker.mode), .number(worker.restarts, worker.restarts > 0 ? .yellow : nil),
                    ])
                }
            }
            Output.write("\n" + table.text(terminal))
        }
    }

    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "forget", abstract: "Drop the cursor and the deferred events of a lambda that no domain names any more.")
        @OptionGroup var host: HostOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The lambda.") var name: String

        func run() throws {
            let answer = try host.client().post("/v1/admin/forget", ["lambda": name])
            if output.json { return Output.print(answer.text) }
            let report = try answer.decode(ForgetReport.self)
            Output.print(
                "forgot \(report.lambda) in \(report.domains.isEmpty ? "no domain" : report.domains.joined(separator: ", ")); "
                    + "\(Figures.grouped(report.deferred)) deferred events dropped")
        }
    }
}
