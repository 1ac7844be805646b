import Glibc
import HummingbirdCore
public import Journal
public import Logging
public import ServiceLifecycle
public import Telemetry
import Hummingbird
import NIOCore
import Synchronization

/// The doors of the host: serves HTTP on TCP and on the Unix socket.
///
/// Use `start` and `stop`, or `run` within a service group. Once only.
public final class FrontendServer: Service, Sendable {
    private let control: any HostControl
    private let journal: any Journal
    private let metrics: HostMetrics
    private let settings: FrontendSettings
    private let logger: Logger
    private let gate: AccessGate
    private let running = Mutex<Running?>(nil)

    private struct Running {
        var tcp: Listener?
        var unix: Listener
        var place: SocketPlace
    }

    /// A server that is not started.
    ///
    /// - Parameters:
    ///   - control: the host.
    ///   - journal: where events go.
    ///   - metrics: where accepted and refused events are counted.
    public init(control: any HostControl, journal: any Journal, metrics: HostMetrics, settings: FrontendSettings, logger: Logger) {
        self.control = control
        self.journal = journal
        self.metrics = metrics
        self.settings = settings
        self.logger = logger
        gate = AccessGate(settings.tokens, logger: logger)
    }

    /// The TCP listener asks for these tokens in every request that begins from now on, also on open connections. None: for none.
    public func replaceTokens(_ tokens: TokenBook) { gate.replace(tokens) }

    /// Binds both listeners and serves; returns when they accept connections. Throws `FrontendError` when one cannot be bound; then none
    /// is.
    @discardableResult
    public func start() async throws -> FrontendAddresses {
        let place = try SocketPlace(settings.socketPath)
        try place.prepare()
        // Hummingbird tells of its start, of lost connections and of its end by itself, some of it as errors. What matters is logged here.
        var quiet = logger
        quiet.logLevel = .critical
        let logger = logger
        let unix: Listener
        do {
            unix = try await Listener.start(
                router: router(isAdministration: true), bind: .unixDomainSocket(path: place.bindPath), idleTimeout: .minutes(10),
                connectionsMax: settings.connectionsMax, logger: quiet, checksPeers: { PeerHandler(logger: logger) },
                onBound: { try place.publish() })
        } catch {
            place.remove()
            throw error as? FrontendError ?? FrontendError("cannot listen on \(settings.socketPath): \(error)")
        }
        var addresses = FrontendAddresses(http: nil, httpPort: nil, socketPath: settings.socketPath)
        var tcp: Listener?
        if let http = settings.http {
            do {
                let (host, port) = try Self.hostAndPort(http)
                let listener = try await Listener.start(
                    router: router(isAdministration: false), bind: .hostname(host, port: port), idleTimeout: .seconds(75),
                    connectionsMax: settings.connectionsMax, logger: quiet)
                addresses.httpPort = listener.address?.port
                addresses.http = (host.contains(":") ? "[\(host)]" : host) + ":\(listener.address?.port ?? port)"
                tcp = listener
            } catch {
                await unix.stop(within: .zero)
                place.remove()
                throw error as? FrontendError
                    ?? FrontendError("cannot listen on \(http): \(Self.describe(error)); see `listen: { http: … }` in the routing file")
            }
        }
        running.withLock { $0 = Running(tcp: tcp, unix: unix, place: place) }
        logger.info("listening", metadata: ["addresses": "\(addresses.descriptions.joined(separator: ", "))"])
        return addresses
    }

    /// Stops accepting, lets outstanding requests finish within `deadline`, then cuts them off. The TCP listener ends first, so that a
    /// reload or a status can be asked for on the Unix socket until the end.
    public func stop(within deadline: Duration) async {
        guard
            let running = running.withLock({ running in
                defer { running = nil }
                return running
            })
        else { return }
        // Its file goes first: whoever looks for the host now sees that it is gone.
        running.place.remove()
        async let tcp: Void? = running.tcp?.stop(within: deadline)
        await running.unix.stop(within: deadline)
        _ = await tcp
    }

    /// Serves until graceful shutdown or cancellation, then stops.
    public func run() async throws {
        try await start()
        try? await gracefulShutdown()
        await stop(within: settings.stopWithin)
    }

    private func router(isAdministration: Bool) -> Router<FrontendContext> {
        let router = Router(context: FrontendContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: ProblemMiddleware(logger: logger))
        if !isAdministration {
            router.add(middleware: HostCheck(listen: settings.http, allowedHosts: settings.allowedHosts))
            router.add(middleware: AccessCheck(gate: gate))
        }
        EventRoutes(control: control, journal: journal, metrics: metrics).add(to: router)
        ReadRoutes(control: control, journal: journal).add(to: router)
        if isAdministration { AdminRoutes(control: control, journal: journal).add(to: router) }
        return router
    }

    static func hostAndPort(_ text: String) throws(FrontendError) -> (String, Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port) else {
            throw FrontendError("`\(text)` is not an address of the form host:port")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if host.isEmpty || host == "*" { host = "0.0.0.0" }
        return (host, port)
    }

    private static func describe(_ error: any Error) -> String {
        if let error = error as? IOError {
            let reason = String(cString: strerror(error.errnoCode))
            return error.errnoCode == EADDRINUSE ? "\(reason) (by another program, or another host)" : reason
        }
        return "\(error)"
    }
}
