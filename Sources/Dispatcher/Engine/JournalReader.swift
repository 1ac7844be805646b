import Foundation
import Journal
import Synchronization
import WorkerProtocol

/// Reads from the journal's disk for the engine, on a thread of its own, one thing after another.
final class JournalReader: @unchecked Sendable {
    private let journal: any Journal
    private let condition = NSCondition()
    private var jobs: [@Sendable () -> Void] = []
    private var isStopped = false

    init(journal: any Journal) { self.journal = journal }

    func start() {
        let thread = Thread { [self] in
            while true {
                condition.lock()
                while jobs.isEmpty && !isStopped { condition.wait() }
                let taken = jobs
                jobs = []
                let isOver = isStopped
                condition.unlock()
                for job in taken { job() }
                if isOver && taken.isEmpty { return }
            }
        }
        thread.name = "capelet-reader"
        thread.start()
    }

    func stop() {
        condition.lock()
        isStopped = true
        condition.signal()
        condition.unlock()
    }

    /// Runs a job on the reader's thread.
    func add(_ job: @escaping @Sendable () -> Void) {
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
    }
}
