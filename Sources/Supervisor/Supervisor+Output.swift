internal import WorkerProtocol

// Workers that write more than may be logged. What is over the rate is read and dropped, so that nobody who writes is held up for long; but not as fast as it
// can be written, which would take the engine's whole time.

extension Supervisor {
    /// How long a pipe of a worker over its rate is left alone after each buffer: that lets 32 MB a second through, to be dropped.
    static let outputPauseMillis: Int64 = 2

    /// What is read of a worker's pipe in one turn while its lines are logged.
    static let outputBytesPerTurn = 4096

    /// A buffer of this worker was read, and it is over its rate: the next one later.
    func pauseOutput(of worker: WorkerHandle, isError: Bool, nowMillis: Int64) {
        listen(to: worker, isError: isError, [])
        worker.outputResumeMillis = nowMillis + Self.outputPauseMillis
        wake(at: worker.outputResumeMillis)
    }

    /// Listens again to workers whose pause is over.
    func resumeOutput(of worker: WorkerHandle, nowMillis: Int64) {
        guard nowMillis >= worker.outputResumeMillis else {
            if worker.outputResumeMillis < .max { wake(at: worker.outputResumeMillis) }
            return
        }
        worker.outputResumeMillis = .max
        for isError in [false, true] { listen(to: worker, isError: isError, .readable) }
    }

    private func listen(to worker: WorkerHandle, isError: Bool, _ events: Poller.Events) {
        let pipe = isError ? worker.errorPipe : worker.outputPipe
        guard pipe >= 0 else { return }
        // It cannot fail for a descriptor that the poller has.
        try? poller.change(pipe, tag: PollTag(isError ? .workerError : .workerOutput, worker.id).rawValue, events: events)
    }
}
