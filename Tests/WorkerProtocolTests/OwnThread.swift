import Glibc

/// A thread of its own: the tasks of the test run share two, and a peer that spins must not keep its counterpart from running.
final class OwnThread: @unchecked Sendable {
    private var thread = pthread_t()
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
        let code = pthread_create(&thread, nil, ownThreadMain, Unmanaged.passRetained(self).toOpaque())
        precondition(code == 0)
    }

    fileprivate func run() { body() }

    /// Waits for its end.
    func join() { pthread_join(thread, nil) }
}

private func ownThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<OwnThread>.fromOpaque(context!).takeRetainedValue().run()
    return nil
}

/// What a thread leaves behind; to be read after `join`.
final class Collected<Element>: @unchecked Sendable {
    var elements: [Element] = []
}
