import HummingbirdCore
import Hummingbird
import Logging
import NIOCore
import NIOHTTPTypes
import NIOPosix
import ServiceLifecycle
import Synchronization

/// One listening socket with its Hummingbird application, from `start` to `stop`.
final class Listener: Sendable {
    private let group: ServiceGroup
    private let task: Task<Void, any Error>
    /// Where it listens.
    let address: SocketAddress?

    private init(group: ServiceGroup, task: Task<Void, any Error>, address: SocketAddress?) {
        self.group = group
        self.task = task
        self.address = address
    }

    /// Binds and serves. Returns when connections are accepted; throws when it cannot bind. `onBound` runs in between; `checksPeers` makes
    /// what looks at who connects, for each connection.
    static func start(
        router: Router<FrontendContext>, bind: BindAddress, idleTimeout: TimeAmount, connectionsMax: Int, logger: Logger,
        checksPeers peerHandler: (@Sendable () -> PeerHandler)? = nil, onBound: @escaping @Sendable () throws -> Void = {}
    ) async throws -> Listener {
        let bound = Settlement<Result<SocketAddress?, any Error>>()
        let once = Once()
        let configuration = ApplicationConfiguration(
            address: bind, serverName: "capelet", backlog: 512,
            availableConnectionsDelegate: MaximumAvailableConnections(connectionsMax, logger: logger))
        let server = HTTPServerBuilder.http1(
            configuration: .init(
                additionalChannelHandlers: (peerHandler.map { [$0()] } ?? []) + [ContinueHandler()], idleTimeout: idleTimeout,
                httpDecoderConfiguration: .init(maxHeaderFieldSize: 32 << 10, maxHeaderListSize: 64 << 10, maxHeaderFieldCount: 200)))
        let application = Application(
            responder: router.buildResponder(), server: server, configuration: configuration,
            onServerRunning: { channel in
                guard once.first() else { return }
                bound.settle(Result { try onBound() }.map { channel.localAddress })
            }, logger: logger)
        let group = ServiceGroup(configuration: .init(services: [application], logger: logger))
        let task = Task {
            do {
                try await group.run()
                if once.first() { bound.settle(.failure(FrontendError("the listener ended before it began"))) }
            } catch {
                if once.first() { bound.settle(.failure(error)) }
                throw error
            }
        }
        do {
            return Listener(group: group, task: task, address: try await bound.value().get())
        } catch {
            task.cancel()
            _ = await task.result
            throw error
        }
    }

    /// Accepts no more connections, lets requests finish for `deadline`, then cuts them off. Returns when everything is closed.
    func stop(within deadline: Duration) async {
        await group.triggerGracefulShutdown()
        let task = task
        let timer = Task {
            if (try? await Task.sleep(for: deadline)) != nil { task.cancel() }
        }
        _ = await task.result
        timer.cancel()
    }

    /// Waits until it ends by itself.
    func wait() async throws { try await task.value }
}

/// True once.
private final class Once: Sendable {
    private let used = Atomic<Bool>(false)
    func first() -> Bool { !used.exchange(true, ordering: .acquiringAndReleasing) }
}
