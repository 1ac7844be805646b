internal import CLinux
internal import Glibc

/// A thread of a source's own, with all signals blocked, so that they reach the host's main thread.
final class SourceThread: Sendable {
    private let thread: pthread_t

    private final class Start {
        let name: String
        let body: () -> Void

        init(_ name: String, _ body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts it; nil when the system has none left. What `body` holds belongs to the new thread from now on.
    ///
    /// - Parameter name: at most 15 bytes.
    init?(name: String, _ body: @escaping () -> Void) {
        let start = Unmanaged.passRetained(Start(name, body))
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                capelet_linux_name_this_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard error == 0 else {
            start.release()
            return nil
        }
        self.thread = thread
    }

    /// Waits for its end. Call once.
    func join() { pthread_join(thread, nil) }
}
