import CCapelet
import CLibC
import CWorkerProtocol

/// The buffers of `handle_batch`: one element for each event of the largest batch. Memory is used only as far as a batch ever filled it.
struct EventBatch {
    let max: Int
    let slots: UnsafeMutablePointer<capelet_slot>
    let records: UnsafeMutablePointer<OpenRecord>
    let events: UnsafeMutablePointer<UnsafePointer<capelet_event>?>
    let statuses: UnsafeMutablePointer<Int32>
    let results: UnsafeMutablePointer<UnsafeMutablePointer<capelet_result>?>
    /// How many results have been made.
    var resultCount = 0

    init(max: Int) {
        self.max = max
        slots = .allocate(capacity: max)
        records = .allocate(capacity: max)
        events = .allocate(capacity: max)
        statuses = .allocate(capacity: max)
        results = .allocate(capacity: max)
    }
}

extension WorkerLoop {
    /// Runs the events first ..< first + count, which are claimed, in one call.
    mutating func runBatch(_ first: UInt32, _ count: UInt32) {
        let size = gather(first, count)
        if size > 0 {
            lambda.handleBatch!(lambdaState, batch.events, size, batch.statuses, batch.results)
            for i in 0..<size { records.close(batch.records[i]) }
        }
        capelet_outbox_set_released(outbox, first &+ count)
        for i in 0..<size {
            let slot = batch.slots[i]
            let result = batch.results[i]!
            // One before it in the same batch did not succeed: the host runs this one again, in its turn.
            if lanes.isBlocked(slot) {
                worker.abandon(slot.token)
                WorkerResult.clear(result)
            } else if !worker.finish(slot.token, status: batch.statuses[i], result: result) {
                lanes.block(slot)
            }
        }
    }

    /// Opens the events that are to be run and fills the arrays for the call; answers the others. Returns how many there are.
    private mutating func gather(_ first: UInt32, _ count: UInt32) -> Int {
        var size = 0
        events.begin(max: batch.max)
        for i in 0..<count {
            let slot = capelet_inbox_slot(inbox, first &+ i).pointee
            if lanes.isBlocked(slot) {
                worker.locked { $0.pointee.ring.send(type: CAPELET_FRAME_RESULT, code: UInt16(CAPELET_SKIPPED), token: slot.token) }
                continue
            }
            let record = records.open(slot)
            worker.locked { $0.pointee.runs.insert(slot.token) }
            if record.isExternal {
                let status = refuseExternal(result)
                records.close(record)
                _ = worker.finish(slot.token, status: status, result: result)
                lanes.block(slot)
                continue
            }
            batch.slots[size] = slot
            batch.records[size] = record
            // What a handler does not write counts as a failure, never as a success.
            batch.statuses[size] = -1
            if size == batch.resultCount {
                batch.results[size] = WorkerResult.make()
                batch.resultCount += 1
            }
            events.reserve(size, record.pointer)
            size += 1
        }
        for i in 0..<size { batch.events[i] = events.build(i, batch.slots[i], batch.records[i].pointer) }
        return size
    }
}
