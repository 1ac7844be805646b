// capelet: the command line. Parses, talks to the host over its Unix socket, and prints; everything else is in the modules below.
//
// - Client/     a small blocking HTTP/1.1 client for the Unix socket
// - Terminal/   tables, colours, progress
// - Commands/   one file for each command
//
// Exit codes: 0 done; 1 failed or refused; 2 no host answers; 64 wrong usage; 78 the routing file is wrong.
// SIGPIPE is ignored: a reader of our output that goes away ends the program quietly (`Output`).

import ArgumentParser
import Frontend
import Glibc
import Routing

/// The program.
@main
struct Capelet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capelet",
        abstract: "Runs your code when something changes: lambdas from .so plugins, each in a process of its own.",
        version: CapeletVersion.current,
        subcommands: [
            ServeCommand.self, CheckCommand.self, SendCommand.self, StatusCommand.self, LambdasCommand.self, EventsCommand.self,
            DeadCommand.self,
            DeathsCommand.self, LogsCommand.self, ReloadCommand.self, RollbackCommand.self, PauseCommand.self, ResumeCommand.self,
            BackupCommand.self,
            TestCommand.self,
            NewCommand.self, BenchCommand.self,
        ])

    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Output.error("capelet: \(failure.message)\n")
            Glibc.exit(failure.code.rawValue)
        } catch let error as RoutingError {
            Output.error(error.description + "\n")
            Glibc.exit(CommandFailure.Code.configuration.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}
