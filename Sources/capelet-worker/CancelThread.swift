import CLibC
import CWorkerProtocol

/// The thread that calls the lambda's `cancel` when the host cancels a run. Made only for lambdas that have it.
enum CancelThread {
    private struct Context {
        let state: UnsafeMutableRawPointer?
        let cancel: @convention(c) (UnsafeMutableRawPointer?, UInt64) -> Void
        /// Held during a call of `cancel`, and by `stop`, so that none comes after the lambda's own `stop`.
        let gate: UnsafeMutablePointer<pthread_mutex_t>
        var stopped = false
    }

    nonisolated(unsafe) private static var context: UnsafeMutablePointer<Context>? = nil

    /// A stack that is enough for a callback which has to return at once; the default is charged to the lambda's memory limit.
    private static let stackSize = 512 << 10

    static func start(state: UnsafeMutableRawPointer?, cancel: @escaping @convention(c) (UnsafeMutableRawPointer?, UInt64) -> Void) {
        let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(gate, nil)
        let context = UnsafeMutablePointer<Context>.allocate(capacity: 1)
        context.initialize(to: Context(state: state, cancel: cancel, gate: gate))
        self.context = context
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackSize)
        var thread = pthread_t()
        let error = pthread_create(
            &thread, &attributes,
            { _ in
                CancelThread.run()
                return nil
            }, nil)
        pthread_attr_destroy(&attributes)
        if error != 0 { fail("the thread for `cancel` cannot be started; is there too little memory (limit.data)?", status: 71) }
        pthread_detach(thread)
    }

    /// No call of `cancel` begins after this has returned.
    static func stop() {
        guard let context else { return }
        pthread_mutex_lock(context.pointee.gate)
        context.pointee.stopped = true
        pthread_mutex_unlock(context.pointee.gate)
    }

    private static func run() {
        capelet_linux_name_thread("capelet-cancel")
        guard let context, let worker else { return }
        let inbox = worker.pointee.inbox
        var seen: UInt32 = 0
        while true {
            // In this order: the host changes the count, then the word.
            let wake = capelet_inbox_wake(inbox)
            let count = capelet_inbox_cancelled_count(inbox)
            if count &- seen > UInt32(CAPELET_CANCELLED_MAX) { seen = count &- UInt32(CAPELET_CANCELLED_MAX) }
            if seen == count {
                capelet_linux_futex_wait(capelet_inbox_wake_word(inbox), wake)
                continue
            }
            let token = capelet_inbox_cancelled(inbox, seen)
            seen &+= 1
            // One that is over needs no cancelling. (It may end just now: capelet.h says that `cancel` may come beside a running handler.)
            let isOpen = worker.locked { $0.pointee.runs.find(token) != nil }
            if !isOpen { continue }
            pthread_mutex_lock(context.pointee.gate)
            if !context.pointee.stopped { context.pointee.cancel(context.pointee.state, token) }
            pthread_mutex_unlock(context.pointee.gate)
        }
    }
}
