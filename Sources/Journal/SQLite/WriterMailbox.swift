import Glibc

/// What waits for the writer thread, which takes all of it at once. Any thread puts, one takes.
final class WriterMailbox: @unchecked Sendable {
    /// One thing to do.
    enum Item {
        case operation(JournalOperation)
        /// Runs between groups, on the writer's thread.
        case control(() -> Void)
    }

    // Guarded by `mutex`. A condition variable, because the writer also waits for times; it lives on the heap, as its address must not change.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var items: [Item] = []
    private var isClosed = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Puts something in; false when the mailbox is closed.
    func put(_ item: Item) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { return false }
        items.append(item)
        if items.count == 1 { pthread_cond_signal(condition) }
        return true
    }

    /// Lets nothing in any more; what is in it is still taken.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits until there is something, the mailbox is closed, or the time has come.
    ///
    /// - Parameters:
    ///   - deadlineNanos: on the monotonic clock; nil: no limit.
    ///   - waits: false leaves what is in it alone and waits for the deadline or the closing only.
    func take(deadlineNanos: Int64?, leaving: Bool = false) -> (items: [Item], isClosed: Bool) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isClosed, leaving || items.isEmpty {
            if let deadlineNanos {
                var time = timespec(tv_sec: Int(deadlineNanos / 1_000_000_000), tv_nsec: Int(deadlineNanos % 1_000_000_000))
                if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { break }
            } else {
                pthread_cond_wait(condition, mutex)
            }
        }
        if leaving { return ([], isClosed) }
        let taken = items
        items = []
        return (taken, isClosed)
    }
}

/// The monotonic clock, nanoseconds.
func monotonicNanos() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
