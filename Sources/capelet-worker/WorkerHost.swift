// The functions of `capelet_host`: what a plugin may ask of its host. capelet.h documents them; here is how they are answered.
//
// They may be called from any thread, also at the same time, so all that they share is used under the worker's mutex. A call that writes to
// the ring waits, with the mutex held, while that is full: that is the backpressure on a plugin that talks faster than the host listens.
//
// Emitted events are in WorkerHostEmit.swift.

import CCapelet
import CLibC
import CWorkerProtocol

/// The limits of capelet.h.
enum HostLimits {
    static let outputBytes = 1 << 20
    static let emitCount = 1_000
    /// Output and emitted events of one run together.
    static let allBytes = 16 << 20
    static let logBytes = 8 << 10
}

/// Makes the table for this worker; it stays for the life of the process.
func makeHostTable(settings: Settings, entry: UnsafePointer<capelet_lambda>) -> UnsafePointer<capelet_host> {
    func bytes(_ key: StaticString, _ otherwise: StaticString = "") -> capelet_bytes {
        if let value = settings.value(key) { return capelet_bytes(data: value.baseAddress, size: value.count) }
        return capelet_bytes(data: otherwise.utf8Start, size: otherwise.utf8CodeUnitCount)
    }
    var host = capelet_host()
    host.struct_size = UInt32(MemoryLayout<capelet_host>.size)
    host.abi_version = CAPELET_ABI_VERSION
    host.lambda = bytes("lambda")
    host.state_directory = bytes("state")
    host.config_json = bytes("config", "{}")
    host.worker_index = UInt32(truncatingIfNeeded: settings.number("worker.index") ?? 0)
    host.config = hostConfig
    host.log = hostLog
    host.output = hostOutput
    host.emit = hostEmit
    host.extend = hostExtend
    host.complete = hostComplete
    host.is_cancelled = hostIsCancelled
    host.entry = entry
    let table = UnsafeMutablePointer<capelet_host>.allocate(capacity: 1)
    table.initialize(to: host)
    return UnsafePointer(table)
}

// Constants of an enumeration without a name come as Int.
let hostInvalid = Int32(CAPELET_EINVAL), hostLimit = Int32(CAPELET_ELIMIT), hostGone = Int32(CAPELET_EGONE)

private func hostConfig(
    _: UnsafePointer<capelet_host>?, key: UnsafePointer<CChar>?, value: UnsafeMutablePointer<capelet_bytes>?
) -> Int32 {
    guard let key, let value else { return hostInvalid }
    guard let found = worker.pointee.settings.value(prefix: "config.", name: UnsafeRawBufferPointer(start: key, count: strlen(key))) else {
        return Int32(CAPELET_ENOENT)
    }
    value.pointee = capelet_bytes(data: found.baseAddress, size: found.count)
    return 0
}

private func hostLog(_: UnsafePointer<capelet_host>?, token: UInt64, level: Int32, text: UnsafePointer<CChar>?, size: Int) {
    guard let text, size > 0 else { return }
    var count = size
    if size > HostLimits.logBytes {
        count = HostLimits.logBytes
        // Not in the middle of a character.
        while count > HostLimits.logBytes - 4, UInt8(bitPattern: text[count]) & 0xc0 == 0x80 { count -= 1 }
    }
    let line = UnsafeRawBufferPointer(start: text, count: count)
    let code = UInt16(max(0, min(level, Int32(CAPELET_LOG_ERROR.rawValue))))
    worker.locked { $0.pointee.ring.send(type: CAPELET_FRAME_LOG, code: code, token: token, body: line) }
}

private func hostOutput(_: UnsafePointer<capelet_host>?, token: UInt64, data: UnsafeRawPointer?, size: Int) -> Int32 {
    guard token != 0, data != nil || size == 0, size >= 0 else { return hostInvalid }
    return worker.locked { state in
        guard let run = state.openRun(token) else { return hostGone }
        guard size <= HostLimits.outputBytes, run.pointee.emitBytes + size <= HostLimits.allBytes else {
            run.pointee.isOverLimit = true
            return hostLimit
        }
        run.pointee.outputBytes = size
        state.pointee.ring.send(type: CAPELET_FRAME_OUTPUT, token: token, body: UnsafeRawBufferPointer(start: data, count: size))
        return 0
    }
}

private func hostExtend(_: UnsafePointer<capelet_host>?, token: UInt64, millis: UInt64) -> Int32 {
    guard token != 0 else { return hostInvalid }
    return worker.locked { state in
        guard state.openRun(token) != nil else { return hostGone }
        state.pointee.ring.send(type: CAPELET_FRAME_EXTEND, token: token, value: millis)
        return 0
    }
}

private func hostComplete(
    _: UnsafePointer<capelet_host>?, token: UInt64, status: Int32, result: UnsafePointer<capelet_result>?
) -> Int32 {
    guard token != 0, status >= 0, status < Int32(CAPELET_PENDING.rawValue) else { return hostInvalid }
    var copy: UnsafeMutablePointer<capelet_result>?
    if let result {
        copy = WorkerResult.copy(result)
        if copy == nil { return hostInvalid }
    }
    return worker.locked { state in
        guard let run = state.pointee.runs.find(token), !run.pointee.isCompletedEarly else {
            free(copy)
            return hostGone
        }
        // A result that comes too late is sent all the same: the host decides, and sees that the run is over.
        let answer: Int32 = state.pointee.isCancelled(token) ? hostGone : 0
        if run.pointee.isPending {
            _ = state.end(run, status: status, result: copy)
            free(copy)
        } else {
            // The handler is still at it; the result is sent when it returns.
            run.pointee.isCompletedEarly = true
            run.pointee.earlyStatus = status
            run.pointee.earlyResult = copy
        }
        return answer
    }
}

private func hostIsCancelled(_: UnsafePointer<capelet_host>?, token: UInt64) -> Int32 {
    worker.pointee.isCancelled(token) ? 1 : 0
}

extension UnsafeMutablePointer where Pointee == WorkerState {
    /// The run of that token, if what it puts out is still wanted. With the mutex held.
    func openRun(_ token: UInt64) -> UnsafeMutablePointer<Run>? {
        guard let run = pointee.runs.find(token), !run.pointee.isCompletedEarly, !pointee.isCancelled(token) else { return nil }
        return run
    }
}
