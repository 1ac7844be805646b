internal import CLinux
public import WorkerProtocol

/// An epoll instance: where the engine's thread waits for everything that can happen.
///
/// One thread. Nothing is allocated after `init`.
public final class Poller {
    /// What to wait for at a descriptor, and what happened there.
    public struct Events: OptionSet, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt32
        /// From the kernel's bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// There is something to read, or the other end is closed.
        public static let readable = Events(rawValue: UInt32(CAPELET_LINUX_POLL_IN))
        /// There is room to write.
        public static let writable = Events(rawValue: UInt32(CAPELET_LINUX_POLL_OUT))
        /// The other end is gone. Always told, also unasked.
        public static let hangup = Events(rawValue: UInt32(CAPELET_LINUX_POLL_HANGUP))
        /// An error. Always told, also unasked.
        public static let error = Events(rawValue: UInt32(CAPELET_LINUX_POLL_ERROR))
        /// Told once, then not again until `change`.
        public static let oneShot = Events(rawValue: UInt32(CAPELET_LINUX_POLL_ONE_SHOT))
        /// Told when it happens, not for as long as it holds.
        public static let edge = Events(rawValue: UInt32(CAPELET_LINUX_POLL_EDGE))
    }

    private let descriptor: Int32
    private let ready: UnsafeMutablePointer<capelet_linux_poll_event>
    private static let capacity = 256

    /// A poller that waits for nothing yet.
    public init() throws(SystemCallError) {
        descriptor = capelet_linux_poll_open()
        guard descriptor >= 0 else { throw SystemCallError("epoll_create1", code: descriptor) }
        ready = .allocate(capacity: Self.capacity)
    }

    deinit {
        ready.deallocate()
        capelet_linux_close(descriptor)
    }

    /// Begins to wait at a descriptor. `tag` comes back with its events.
    public func add(_ target: Int32, tag: UInt64, events: Events = .readable) throws(SystemCallError) {
        let code = capelet_linux_poll_add(descriptor, target, events.rawValue, tag)
        if code != 0 { throw SystemCallError("epoll_ctl add \(target)", code: code) }
    }

    /// Waits for something else at a descriptor, or again after `oneShot`.
    public func change(_ target: Int32, tag: UInt64, events: Events) throws(SystemCallError) {
        let code = capelet_linux_poll_change(descriptor, target, events.rawValue, tag)
        if code != 0 { throw SystemCallError("epoll_ctl change \(target)", code: code) }
    }

    /// No longer waits at a descriptor. Before it is closed: another process may still hold a copy of it.
    public func remove(_ target: Int32) { _ = capelet_linux_poll_remove(descriptor, target) }

    /// Waits for at most this long, in nanoseconds (negative: without end), for at least one event.
    ///
    /// - Returns: the number of events, 0 after the time or a signal.
    public func wait(timeoutNanos: Int64) throws(SystemCallError) -> Int {
        let count = capelet_linux_poll_wait(descriptor, ready, Int32(Self.capacity), timeoutNanos)
        guard count >= 0 else { throw SystemCallError("epoll_wait", code: count) }
        return Int(count)
    }

    /// The tag of event `index` of the last `wait`.
    public func tag(_ index: Int) -> UInt64 { ready[index].tag }

    /// What happened in event `index` of the last `wait`.
    public func events(_ index: Int) -> Events { Events(rawValue: ready[index].events) }

    /// The clock of everything in the supervisor: milliseconds, monotonic.
    public static var nowMillis: Int64 { capelet_linux_monotonic_nanos() / 1_000_000 }

    /// The same clock in nanoseconds.
    public static var nowNanos: Int64 { capelet_linux_monotonic_nanos() }
}
