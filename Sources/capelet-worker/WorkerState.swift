import CLibC
import CWorkerProtocol

/// What the threads of a worker share. One per process, made before the plugin's first call, never freed.
///
/// `ring` and `runs` are touched only while `mutex` is held; the rest does not change.
struct WorkerState {
    let inbox: UnsafePointer<capelet_inbox>
    let outbox: UnsafeMutablePointer<capelet_outbox>
    let settings: Settings
    let mutex: UnsafeMutablePointer<pthread_mutex_t>
    /// Signalled when the last open run has ended.
    let emptied: UnsafeMutablePointer<pthread_cond_t>
    var ring: FrameRing
    var runs: RunTable

    static func open(
        inbox: UnsafePointer<capelet_inbox>, outbox: UnsafeMutablePointer<capelet_outbox>, bell: Int32, settings: Settings
    ) {
        let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        let emptied = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(emptied, nil)
        let state = UnsafeMutablePointer<WorkerState>.allocate(capacity: 1)
        state.initialize(
            to: WorkerState(
                inbox: inbox, outbox: outbox, settings: settings, mutex: mutex, emptied: emptied,
                ring: FrameRing(inbox: inbox, outbox: outbox, bell: bell), runs: RunTable()))
        worker = state
    }

    /// Whether the host no longer wants this run's result. Cheap while nothing was ever cancelled.
    func isCancelled(_ token: UInt64) -> Bool {
        let count = capelet_inbox_cancelled_count(inbox)
        if count == 0 { return false }
        for back in 1...min(count, UInt32(CAPELET_CANCELLED_MAX)) where capelet_inbox_cancelled(inbox, count &- back) == token {
            return true
        }
        return false
    }
}

/// The state of this process, if it is a worker.
nonisolated(unsafe) var worker: UnsafeMutablePointer<WorkerState>! = nil

extension UnsafeMutablePointer where Pointee == WorkerState {
    /// Calls `body` with the mutex held. `body` must not call the plugin.
    @inline(__always)
    func locked<Result>(_ body: (UnsafeMutablePointer<WorkerState>) -> Result) -> Result {
        pthread_mutex_lock(pointee.mutex)
        defer { pthread_mutex_unlock(pointee.mutex) }
        return body(self)
    }

    func waitUntilNothingIsPending() {
        pthread_mutex_lock(pointee.mutex)
        while pointee.runs.count > 0 { pthread_cond_wait(pointee.emptied, pointee.mutex) }
        pthread_mutex_unlock(pointee.mutex)
    }
}
