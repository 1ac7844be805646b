import Foundation
import Glibc

/// Standard output and standard error. A reader that has gone away ends the program quietly, as it would with SIGPIPE.
enum Output {
    /// What is printed goes here instead, in tests. One test at a time.
    @TaskLocal static var capture: OutputCapture?

    static func print(_ text: String) { write(text + "\n", STDOUT_FILENO) }

    static func write(_ text: String) { write(text, STDOUT_FILENO) }

    static func write(_ bytes: [UInt8]) {
        if let capture {
            capture.add(String(decoding: bytes, as: UTF8.self), isError: false)
            return
        }
        bytes.withUnsafeBytes { raw(STDOUT_FILENO, $0) }
    }

    static func error(_ text: String) { write(text, STDERR_FILENO) }

    private static func write(_ text: String, _ descriptor: Int32) {
        if let capture {
            capture.add(text, isError: descriptor == STDERR_FILENO)
            return
        }
        var text = text
        text.withUTF8 { raw(descriptor, UnsafeRawBufferPointer($0)) }
    }

    private static func raw(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress! + at, bytes.count - at)
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { Glibc.exit(descriptor == STDOUT_FILENO ? 0 : 1) }
                if errno == EAGAIN {
                    var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = Glibc.poll(&poll, 1, -1)
                    continue
                }
                return
            }
            at += count
        }
    }
}

/// What a command printed, for tests.
final class OutputCapture: @unchecked Sendable {
    // Guarded by the lock.
    private let lock = NSLock()
    private var output = ""
    private var errors = ""

    init() {}

    func add(_ text: String, isError: Bool) {
        lock.withLock { if isError { errors += text } else { output += text } }
    }

    var text: String { lock.withLock { output } }
    var errorText: String { lock.withLock { errors } }
}
