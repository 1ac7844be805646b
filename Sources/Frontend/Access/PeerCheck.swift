import Foundation
import Glibc
import HTTPTypes
import Logging
import NIOCore
import NIOHTTPTypes

/// Who may use the Unix socket: the host's own user and root, but none of the host's own workers.
///
/// The socket's mode (0600, in a folder that only the owner can enter) keeps other users out already. This also holds when somebody was handed a
/// connection, and when a plugin runs as the host's user: what steers the host is not for plugins, and no kind of file access right
/// keeps a process from connecting to a socket of its own user.
enum PeerCheck {
    /// Whether a peer may come in; nil: yes, else why not. Reads `/proc`, which does not wait for a disk.
    ///
    /// - Parameters:
    ///   - owner: the user that the host runs as.
    ///   - host: the host's process.
    ///   - parent: the parent of a process; nil: there is no such process.
    static func refusal(
        uid: uid_t, pid: pid_t, owner: uid_t = geteuid(), host: pid_t = getpid(), parent: (pid_t) -> pid_t? = PeerCheck.parent
    ) -> String? {
        if uid != owner { return uid == 0 ? nil : "the Unix socket is for user \(owner) and root, not for user \(uid)" }
        // Of another pid namespace: not below this host, whose own are all visible to it.
        if pid == 0 || pid == host { return nil }
        var at = pid
        for _ in 0..<64 {
            guard let above = parent(at) else { return "process \(pid) cannot be looked at" }
            if above == host { return "process \(pid) is a worker of this host; workers emit events, and do not steer the host" }
            if above <= 1 { return nil }
            at = above
        }
        return "process \(pid) has too many ancestors"
    }

    /// From `/proc/PID/stat`: the second field after the name, which may itself hold spaces and brackets.
    static func parent(of pid: pid_t) -> pid_t? {
        guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/stat"), let close = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = String(decoding: bytes[(close + 1)...], as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? pid_t(fields[1]) : nil
    }
}

/// What SO_PEERCRED gives: `struct ucred` of <sys/socket.h>.
private struct PeerCredentials: Sendable {
    var pid: pid_t = 0
    var uid: uid_t = 0
    var gid: gid_t = 0
}

/// Asks the kernel who is at the other end of a Unix connection, and answers 403 to everything from whoever may not be.
final class PeerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private static let peerCredentials = NIOBSDSocket.Option(rawValue: SO_PEERCRED)
    private let logger: Logger
    private var refusal: String? = "it is not known who is at the other end"
    private var hasAnswered = false

    init(logger: Logger) { self.logger = logger }

    func handlerAdded(context: ChannelHandlerContext) {
        guard let options = context.channel as? any SocketOptionProvider else { return }
        // On the channel's event loop this is done at once.
        let credentials: EventLoopFuture<PeerCredentials> = options.unsafeGetSocketOption(level: .socket, name: Self.peerCredentials)
        credentials.assumeIsolated().whenSuccess { self.refusal = PeerCheck.refusal(uid: $0.uid, pid: $0.pid) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let refusal else { return context.fireChannelRead(data) }
        guard !hasAnswered, case .head = unwrapInboundIn(data) else { return }
        hasAnswered = true
        logger.warning("refused on the Unix socket: \(refusal)")
        var json = JSONText()
        Problem.forbidden(refusal).write(to: &json)
        let fields: HTTPFields = [
            .contentType: "application/problem+json", .contentLength: String(json.bytes.count), .connection: "close",
        ]
        context.write(wrapOutboundOut(.head(HTTPResponse(status: .forbidden, headerFields: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: json.bytes))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        LingeringClose.schedule(context.channel)
    }
}
