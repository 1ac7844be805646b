import Foundation
import Logging
import Routing

// The composition root: makes journal, engine, sources and doors from one routing file, connects them, reloads them and ends them.
//
// CapeletHost owns the parts and answers the Frontend (HostControl). HostPlan says, without doing anything, what a routing file and a set
// of plugins come to. Everything that takes time (scanning plugins, starting sources) runs in tasks, never on the engine's thread.

/// Runs a host in this process.
public enum Host {
    /// The version of Capelet.
    public static let version = "0.1.0"

    /// Runs a host until it is told to end by SIGTERM or SIGINT.
    ///
    /// - Returns: the exit status: 0 after a clean end, 1 when it could not start, 78 when the routing file is wrong.
    public static func run(configPath: String) async throws -> Int32 {
        LoggingSystem.bootstrap { label in HostLog(label: label) }
        let logger = Logger(label: "capelet")
        signal(SIGPIPE, SIG_IGN)
        let signals = Signals([SIGHUP, SIGTERM, SIGINT, SIGUSR1])
        let host: CapeletHost
        do {
            host = try await CapeletHost.start(configPath: configPath, logger: logger)
        } catch let error as RoutingError {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            return 78
        } catch {
            logger.critical("cannot start: \(error)")
            return 1
        }
        ServiceNotice.send("READY=1\nSTATUS=serving")
        var isEnding = false
        var ending: Task<Void, Never>?
        let (ended, endedContinuation) = AsyncStream.makeStream(of: Void.self)
        let merged = AsyncStream<Int32?> { continuation in
            let first = Task { for await signal in signals.stream { continuation.yield(signal) } }
            let second = Task { for await _ in ended { continuation.yield(nil) } }
            continuation.onTermination = { _ in
                first.cancel()
                second.cancel()
            }
        }
        for await received in merged {
            guard let received else { break }
            switch received {
            case SIGHUP:
                Task {
                    ServiceNotice.sendReloading()
                    _ = try? await host.reload()
                    ServiceNotice.send("READY=1")
                }
            case SIGUSR1:
                Task { await host.logSummary() }
            default:
                if isEnding {
                    logger.warning("a second signal: running events are cut off")
                    host.hurry()
                } else {
                    isEnding = true
                    logger.notice("ending: what runs may finish (a second signal ends at once)")
                    ServiceNotice.send("STOPPING=1")
                    ending = Task {
                        await host.stop()
                        endedContinuation.yield()
                    }
                }
            }
        }
        await ending?.value
        return 0
    }
}
