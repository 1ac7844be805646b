internal import CLinux
internal import Glibc
internal import Journal
internal import Synchronization

/// What other threads have to say to a source's thread, and what it lets them see.
final class DirectoryMailbox: Sendable {
    struct Mail: Sendable {
        /// Batches and what became of them.
        var outcomes: [(batch: UInt64, error: JournalError?)] = []
        /// Paths that may have changed.
        var pings: [RelativePath] = []
        /// Whether everything has to be scanned.
        var wantsScan = false
        /// Whether the thread has to end.
        var wantsStop = false
    }

    /// Readable when there is mail.
    let descriptor: Int32
    private let mail = Mutex(Mail())
    private let shown = Mutex(SourceStatus())
    private static let pingsMax = 100_000

    /// Fails when there are no descriptors left.
    init?() {
        descriptor = capelet_linux_eventfd()
        if descriptor < 0 { return nil }
    }

    // Completions of the journal hold on to the mailbox, so that none writes to a descriptor that is somebody else's by then.
    deinit { close(descriptor) }

    /// Changes the mail, then wakes the thread.
    func post(_ change: (inout Mail) -> Void) {
        mail.withLock { mail in
            change(&mail)
            if mail.pings.count > Self.pingsMax {
                mail.pings = []
                mail.wantsScan = true
            }
        }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Takes all mail out, except that a wish to stop stays.
    func take() -> Mail {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
        return mail.withLock { mail in
            let taken = mail
            mail = Mail()
            mail.wantsStop = taken.wantsStop
            return taken
        }
    }

    var status: SourceStatus {
        get { shown.withLock { $0 } }
        set { shown.withLock { $0 = newValue } }
    }
}
