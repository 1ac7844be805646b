import CLinux
import Glibc
import Journal
import Synchronization
import WorkerProtocol

/// What other threads have for the engine, and the eventfd that wakes it.
final class Mailbox: Sendable {
    private struct Contents {
        var bodies: [@Sendable (Engine) -> Void] = []
        var advances: [StreamID: UInt64] = [:]
        var isRung = false
    }

    private let contents = Mutex(Contents())
    /// Becomes readable when something was put in.
    let descriptor: Int32

    init() throws(SystemCallError) {
        descriptor = capelet_linux_eventfd()
        if descriptor < 0 { throw SystemCallError("make an eventfd", code: descriptor) }
    }

    deinit { close(descriptor) }

    /// Something for the engine's thread to do. Any thread.
    func put(_ body: @escaping @Sendable (Engine) -> Void) {
        ring { $0.bodies.append(body) }
    }

    /// Streams that have grown. Any thread.
    func put(advances: [StreamAdvance]) {
        ring { contents in for advance in advances { contents.advances[advance.stream] = advance.end } }
    }

    private func ring(_ change: (inout Contents) -> Void) {
        let mustRing = contents.withLock { contents in
            change(&contents)
            defer { contents.isRung = true }
            return !contents.isRung
        }
        guard mustRing else { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Whether something is in.
    var isFull: Bool { contents.withLock { $0.isRung } }

    /// The engine has been woken.
    func clearBell() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }

    /// Takes everything out. Streams that have grown are told to the scheduler at once. Engine's thread.
    func take(into engine: Engine) -> [@Sendable (Engine) -> Void] {
        let taken = contents.withLock { contents in
            defer {
                contents.bodies = []
                contents.advances.removeAll(keepingCapacity: true)
                contents.isRung = false
            }
            return contents
        }
        for (stream, end) in taken.advances { engine.scheduler.streamAdvanced(stream, end: end) }
        return taken.bodies
    }
}
