import CCapelet
import CLibC
import CWorkerProtocol

/// The main thread of a worker: claims events, calls the lambda, says how each ended. See worker_channel.h for the rules.
///
/// Nothing is allocated for an event in the steady state: its record is read where it lies, and all buffers are reused.
struct WorkerLoop {
    let inbox: UnsafePointer<capelet_inbox>
    let outbox: UnsafeMutablePointer<capelet_outbox>
    let lambda: PluginLambda
    let lambdaState: UnsafeMutableRawPointer?
    let result: UnsafeMutablePointer<capelet_result>
    var lanes: LaneTable
    var records: RecordReader
    var events: EventBuilder
    var batch: EventBatch
    /// How often to look for work again before sleeping. A wake-up costs host and worker a few microseconds each, so it pays to look about
    /// that long; but not on a machine with one processor, where the host cannot go on meanwhile.
    private let spins: Int

    init(
        lambda: PluginLambda, lambdaState: UnsafeMutableRawPointer?, socket: Int32, result: UnsafeMutablePointer<capelet_result>,
        settings: Settings
    ) {
        inbox = worker.pointee.inbox
        outbox = worker.pointee.outbox
        self.lambda = lambda
        self.lambdaState = lambdaState
        self.result = result
        lanes = LaneTable()
        records = RecordReader(inbox: inbox, socket: socket)
        events = EventBuilder(settings: settings)
        batch = EventBatch(max: lambda.handleBatch == nil ? 0 : lambda.batchMax)
        spins = capelet_linux_processor_count() > 1 ? 200 : 0
    }

    /// Runs until the host says stop. Runs that are pending then stay open.
    mutating func run() {
        while capelet_inbox_stop(inbox) == 0 {
            let claim = capelet_outbox_claim(outbox)
            let first = capelet_claimed(claim)
            // Bounded, in case that the plugin has written nonsense to the claim word: it can be mapped by whoever runs here.
            let available = min(capelet_limit(claim) &- first, UInt32(CAPELET_SLOTS))
            if available == 0 {
                waitForWork()
            } else if batch.max > 0 {
                let count = min(available, UInt32(batch.max))
                if capelet_outbox_move_claim(outbox, claim, capelet_claim(first &+ count, capelet_limit(claim))) { runBatch(first, count) }
            } else if capelet_outbox_move_claim(outbox, claim, capelet_claim(first &+ 1, capelet_limit(claim))) {
                runOne(first)
            }
        }
    }

    private func waitForWork() {
        func isIdle() -> Bool {
            let claim = capelet_outbox_claim(outbox)
            return capelet_claimed(claim) == capelet_limit(claim) && capelet_inbox_stop(inbox) == 0
        }
        for _ in 0..<spins {
            if !isIdle() { return }
            capelet_linux_relax()
        }
        let wake = capelet_inbox_wake(inbox)
        capelet_outbox_set_worker_waiting(outbox, 1)
        capelet_fence()
        if isIdle() { capelet_linux_futex_wait(capelet_inbox_wake_word(inbox), wake) }
        capelet_outbox_set_worker_waiting(outbox, 0)
    }

    private mutating func runOne(_ number: UInt32) {
        let slot = capelet_inbox_slot(inbox, number).pointee
        if lanes.isBlocked(slot) {
            capelet_outbox_set_released(outbox, number &+ 1)
            worker.locked { $0.pointee.ring.send(type: CAPELET_FRAME_RESULT, code: UInt16(CAPELET_SKIPPED), token: slot.token) }
            return
        }
        let record = records.open(slot)
        worker.locked { $0.pointee.runs.insert(slot.token) }
        let status: Int32
        if record.isExternal {
            status = refuseExternal(result)
        } else {
            let event = events.build(slot, record.pointer)
            status = lambda.handle!(lambdaState, event, result)
        }
        records.close(record)
        // Before the result: whoever sees that may use the slot again.
        capelet_outbox_set_released(outbox, number &+ 1)
        if !worker.finish(slot.token, status: status, result: result) { lanes.block(slot) }
    }

    /// The host opens external payloads before it gives an event to a worker. Should it not, the lambda must not see 8 bytes as the
    /// payload.
    func refuseExternal(_ result: UnsafeMutablePointer<capelet_result>) -> Int32 {
        WorkerResult.setMessage(
            result, Text.of("the event's payload lies in a file that the worker cannot read; this is a fault of the host"))
        return Int32(CAPELET_FATAL.rawValue)
    }
}

/// Which lanes have an event that did not succeed (yet), and in which epoch: later events of the same lane and epoch are skipped.
struct LaneTable {
    /// For each lane, the epoch that is blocked plus 1; 0: none was.
    private let epochs: UnsafeMutablePointer<UInt64>
    private static let mask = Int(CAPELET_LANES) - 1

    init() {
        epochs = UnsafeMutablePointer<UInt64>.allocate(capacity: Int(CAPELET_LANES))
        epochs.initialize(repeating: 0, count: Int(CAPELET_LANES))
    }

    @inline(__always)
    func isBlocked(_ slot: capelet_slot) -> Bool { epochs[Int(slot.lane) & Self.mask] == UInt64(slot.epoch) + 1 }

    func block(_ slot: capelet_slot) { epochs[Int(slot.lane) & Self.mask] = UInt64(slot.epoch) + 1 }
}
