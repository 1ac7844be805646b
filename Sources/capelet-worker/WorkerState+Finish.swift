import CCapelet
import CLibC
import CWorkerProtocol

extension UnsafeMutablePointer where Pointee == WorkerState {
    /// The handler has returned `status` and perhaps filled in `result`: tells the host, and clears `result` for its next use. Returns
    /// whether the run has succeeded; if not, the lane is blocked (the run has failed, or is pending).
    @inline(__always)
    func finish(_ token: UInt64, status: Int32, result: UnsafeMutablePointer<capelet_result>) -> Bool {
        pthread_mutex_lock(pointee.mutex)
        defer { pthread_mutex_unlock(pointee.mutex) }
        // Only this thread takes running ones out.
        guard let run = pointee.runs.find(token) else { return false }
        if status == Int32(CAPELET_SUCCESS.rawValue), !run.pointee.isOverLimit, !run.pointee.isCompletedEarly {
            pointee.runs.remove(run)
            pointee.ring.send(type: CAPELET_FRAME_RESULT, token: token)
            if result.pointee.retry_after_millis != 0 || WorkerResult.messageBytes(result).count > 0 { WorkerResult.clear(result) }
            return true
        }
        defer { WorkerResult.clear(result) }
        // Who completed the run first decides.
        if run.pointee.isCompletedEarly {
            let early = run.pointee.earlyResult ?? result
            if run.pointee.earlyResult == nil { WorkerResult.clear(result) }
            return end(run, status: run.pointee.earlyStatus, result: early)
        }
        switch status {
        case Int32(CAPELET_PENDING.rawValue):
            run.pointee.isPending = true
            pointee.ring.send(type: CAPELET_FRAME_RESULT, code: UInt16(CAPELET_PENDING.rawValue), token: token)
            return false
        case Int32(CAPELET_SUCCESS.rawValue), Int32(CAPELET_RETRY.rawValue), Int32(CAPELET_FATAL.rawValue):
            return end(run, status: status, result: result)
        default:
            var text = Text.of("the handler returned ")
            text.append(number: Int(status))
            text.append(", which is no capelet_status")
            WorkerResult.clear(result)
            WorkerResult.setMessage(result, text)
            // Not a result at all, so a failure for now, as a crash would be.
            return end(run, status: Int32(CAPELET_RETRY.rawValue), result: result)
        }
    }

    /// Ends a run: RESULT, and it is no longer open. With the mutex held. Returns whether it has succeeded.
    func end(_ run: UnsafeMutablePointer<Run>, status: Int32, result: UnsafeMutablePointer<capelet_result>?) -> Bool {
        let token = run.pointee.token
        var code = status
        var message = UnsafeRawBufferPointer(start: nil, count: 0)
        if run.pointee.isOverLimit {
            code = Int32(CAPELET_FATAL.rawValue)
            let text: StaticString =
                "a limit was passed: output up to 1 MiB, 1,000 emitted events, 16 MiB of output and emitted events in all"
            message = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        } else if code != Int32(CAPELET_SUCCESS.rawValue), let result {
            message = WorkerResult.messageBytes(result)
        }
        let delay = code == Int32(CAPELET_RETRY.rawValue) ? result?.pointee.retry_after_millis ?? 0 : 0
        pointee.ring.send(type: CAPELET_FRAME_RESULT, code: UInt16(truncatingIfNeeded: code), token: token, value: delay, body: message)
        pointee.runs.remove(run)
        if pointee.runs.count == 0 { pthread_cond_signal(pointee.emptied) }
        return code == Int32(CAPELET_SUCCESS.rawValue)
    }

    /// Takes a run back that has been executed in vain, because one before it did not succeed.
    func abandon(_ token: UInt64) {
        locked { state in
            if let run = state.pointee.runs.find(token) { state.pointee.runs.remove(run) }
            state.pointee.ring.send(type: CAPELET_FRAME_RESULT, code: UInt16(CAPELET_SKIPPED), token: token)
        }
    }
}
