import Glibc

/// A connection to the host's Unix socket. Blocking, unless it is told otherwise; closed when it goes.
final class UnixConnection {
    let descriptor: Int32

    /// Connects; throws `noHost` when nobody listens there.
    init(path: String) throws(CommandFailure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard path.utf8.count <= capacity else {
            throw CommandFailure(.configuration, "the socket's path \(path) is longer than \(capacity) bytes, the most that Linux allows")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw CommandFailure(.failed, "cannot make a socket: \(Self.reason())") }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard result == 0 else {
            let cause = errno
            let reason = Self.reason()
            // The descriptor is closed by deinit, which runs since every property is set.
            switch cause {
            case ENOENT, ECONNREFUSED, ENOTDIR:
                throw CommandFailure(.noHost, "no host is running here (\(path): \(reason)); start it with `capelet serve`")
            case EACCES, EPERM:
                throw CommandFailure(.noHost, "not allowed to talk to the host at \(path): \(reason); use the account that it runs as")
            default: throw CommandFailure(.noHost, "cannot reach the host at \(path): \(reason)")
            }
        }
    }

    deinit { close(descriptor) }

    private static func reason() -> String { String(cString: strerror(errno)) }

    /// Sends everything; throws when the host has gone.
    func send(_ bytes: [UInt8]) throws(CommandFailure) {
        var at = 0
        while at < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + at, bytes.count - at, Int32(MSG_NOSIGNAL)) }
            if count < 0 {
                if errno == EINTR { continue }
                // The answer may have come already: a refusal in the middle of a body.
                if errno == EPIPE || errno == ECONNRESET { return }
                throw CommandFailure(.noHost, "the host has closed the connection: \(Self.reason())")
            }
            at += count
        }
    }

    /// Receives at most one buffer into the parser; false at the end.
    func receive(into parser: inout ResponseParser) throws(CommandFailure) -> Bool {
        try withBuffer { (buffer) throws(CommandFailure) in
            while true {
                let count = recv(descriptor, buffer.baseAddress!, buffer.count, 0)
                if count < 0 {
                    if errno == EINTR { continue }
                    throw CommandFailure(.noHost, "the host has closed the connection: \(Self.reason())")
                }
                do throws(ResponseParser.Failure) {
                    if count == 0 {
                        try parser.finish()
                        return false
                    }
                    try parser.add(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
                    return true
                } catch {
                    guard case .malformed(let message) = error else { return false }
                    throw CommandFailure(.noHost, "the host's answer cannot be read: \(message)")
                }
            }
        }
    }

    private func withBuffer<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws(CommandFailure) -> Result
    ) throws(CommandFailure) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        return try body(buffer)
    }
}
