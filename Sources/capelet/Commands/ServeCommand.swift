import ArgumentParser
import Host

/// `capelet serve`: runs the host until it is told to end.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the host.",
        discussion: """
            SIGHUP reloads the routing file and the plugins. SIGTERM and SIGINT end the host after what runs has ended; a second one ends it \
            at once. SIGUSR1 writes the state to the log.
            """)

    @Option(
        name: [.short, .long], help: ArgumentHelp("The routing file (default: $CAPELET_CONFIG, or ./capelet.yaml).", valueName: "file"))
    var config: String?

    func run() async throws {
        let status = try await Host.run(configPath: HostOptions.configPath(config))
        if status != 0 { throw ExitCode(status) }
    }
}
