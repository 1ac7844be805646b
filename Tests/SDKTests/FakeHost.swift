import CCapelet
import CapeletSDK
import Foundation
import Synchronization

/// A host in the same process: the C table that a plugin sees, and a record of what the plugin did with it.
final class FakeHost: @unchecked Sendable {
    struct Line: Equatable {
        var token: UInt64
        var level: Int32
        var text: String
    }
    struct Emitted: Equatable {
        var domain: String
        var subject: String
        var type: String
        var id: String
        var headers: [String: String]
        var payload: [UInt8]
    }
    struct Ended: Equatable {
        var status: Int32
        var message: String
        var retryAfterMillis: UInt64
    }
    struct Record {
        var lines: [Line] = []
        var outputs: [UInt64: [UInt8]] = [:]
        var emitted: [Emitted] = []
        var extended: [UInt64: UInt64] = [:]
        var completed: [UInt64: Ended] = [:]
        var cancelled: Set<UInt64> = []
        /// What `output`, `emit` and `extend` answer.
        var answer: Int32 = 0
    }

    let record = Mutex(Record())
    private let cell: UnsafeMutablePointer<HostCell>
    private let entry: UnsafePointer<capelet_lambda>
    private var state: UnsafeMutableRawPointer?
    private var config: [String: UnsafeMutableBufferPointer<UInt8>]
    private var texts: [UnsafeMutableBufferPointer<UInt8>] = []

    /// A host for one worker of the lambda that the plugin exports as `name`. `config` has flat keys, as a plugin looks them up.
    init(
        _ table: PluginTable, _ name: String, as lambda: String? = nil, config: [String: String] = [:], json: String = "{}",
        state: String = "/nowhere"
    ) {
        let lambdas = UnsafeBufferPointer(start: table.pointee.lambdas, count: table.pointee.lambda_count)
        entry = lambdas.first { String(cString: $0!.pointee.name) == name }!!
        self.config = config.mapValues(Self.permanent)
        cell = .allocate(capacity: 1)
        func text(_ text: String) -> capelet_bytes {
            let bytes = Self.permanent(text)
            texts.append(bytes)
            return capelet_bytes(data: UnsafeRawPointer(bytes.baseAddress), size: bytes.count)
        }
        cell.initialize(to: HostCell(table: capelet_host(), owner: Unmanaged.passUnretained(self)))
        cell.pointee.table.struct_size = UInt32(MemoryLayout<capelet_host>.size)
        cell.pointee.table.abi_version = UInt32(CAPELET_ABI_VERSION)
        cell.pointee.table.lambda = text(lambda ?? name)
        cell.pointee.table.state_directory = text(state)
        cell.pointee.table.config_json = text(json)
        cell.pointee.table.worker_index = 3
        cell.pointee.table.entry = entry
        installFunctions()
    }

    deinit {
        for bytes in config.values { bytes.deallocate() }
        for bytes in texts { bytes.deallocate() }
        cell.deallocate()
    }

    /// As if the host were older than the field `entry`.
    func hideEntry() { cell.pointee.table.struct_size -= UInt32(MemoryLayout<UnsafeRawPointer>.size) }

    // MARK: What a worker does

    /// nil: started. Else the message of the failure.
    func start() -> String? {
        var result = Self.emptyResult()
        let host = UnsafeRawPointer(cell).assumingMemoryBound(to: capelet_host.self)
        return entry.pointee.start(host, &state, &result) == 0 ? nil : Self.message(result)
    }

    func stop() {
        entry.pointee.stop(state)
        state = nil
    }

    func handle(_ event: FakeEvent) -> Ended {
        var result = Self.emptyResult()
        let status = event.withRaw { entry.pointee.handle(state, $0, &result) }
        return Ended(status: status, message: Self.message(result), retryAfterMillis: result.retry_after_millis)
    }

    func handleBatch(_ events: [FakeEvent]) -> [Ended] {
        let raws = events.map { $0.makeRaw() }
        defer { for raw in raws { FakeEvent.free(raw) } }
        let pointers = raws.map { Optional(UnsafePointer($0.event)) }
        var statuses = [Int32](repeating: -1, count: events.count)
        let results = events.map { _ in UnsafeMutablePointer<capelet_result>.allocate(capacity: 1) }
        for result in results { result.initialize(to: Self.emptyResult()) }
        defer { for result in results { result.deallocate() } }
        let optionalResults = results.map(Optional.init)
        entry.pointee.handle_batch(state, pointers, events.count, &statuses, optionalResults)
        return zip(statuses, results).map {
            Ended(status: $0, message: Self.message($1.pointee), retryAfterMillis: $1.pointee.retry_after_millis)
        }
    }

    func cancel(_ token: UInt64) {
        record.withLock { _ = $0.cancelled.insert(token) }
        entry.pointee.cancel(state, token)
    }

    /// Waits for `complete` of a run.
    func completion(of token: UInt64) async throws -> Ended {
        try await eventually { self.record.withLock { $0.completed[token] } }
    }

    var definition: capelet_lambda { entry.pointee }
    func output(of token: UInt64) -> String? {
        record.withLock { $0.outputs[token].map { String(decoding: $0, as: UTF8.self) } }
    }

    // MARK: The C functions

    private func installFunctions() {
        cell.pointee.table.config = { host, key, value in
            guard let bytes = FakeHost.of(host).config[String(cString: key!)] else { return Int32(CAPELET_ENOENT) }
            value!.pointee = capelet_bytes(data: UnsafeRawPointer(bytes.baseAddress), size: bytes.count)
            return 0
        }
        cell.pointee.table.log = { host, token, level, text, size in
            let text = String(decoding: UnsafeRawBufferPointer(start: text, count: size), as: UTF8.self)
            FakeHost.of(host).record.withLock { $0.lines.append(Line(token: token, level: level, text: text)) }
        }
        cell.pointee.table.output = { host, token, data, size in
            let bytes = [UInt8](UnsafeRawBufferPointer(start: data, count: size))
            return FakeHost.of(host).answering { $0.outputs[token] = bytes }
        }
        cell.pointee.table.emit = { host, _, emit in
            let raw = emit!.pointee
            var headers: [String: String] = [:]
            for header in UnsafeBufferPointer(start: raw.headers, count: Int(raw.header_count)) {
                headers[FakeHost.text(header.name)] = FakeHost.text(header.value)
            }
            let emitted = Emitted(
                domain: FakeHost.text(raw.domain), subject: FakeHost.text(raw.subject), type: FakeHost.text(raw.type),
                id: FakeHost.text(raw.id), headers: headers,
                payload: [UInt8](UnsafeRawBufferPointer(start: raw.payload.data, count: raw.payload.size)))
            return FakeHost.of(host).answering { $0.emitted.append(emitted) }
        }
        cell.pointee.table.extend = { host, token, millis in FakeHost.of(host).answering { $0.extended[token] = millis } }
        cell.pointee.table.complete = { host, token, status, result in
            let ended = Ended(
                status: status, message: result.map { FakeHost.message($0.pointee) } ?? "",
                retryAfterMillis: result?.pointee.retry_after_millis ?? 0)
            return FakeHost.of(host).record.withLock { record in
                guard record.completed[token] == nil else { return Int32(CAPELET_EGONE) }
                record.completed[token] = ended
                return 0
            }
        }
        cell.pointee.table.is_cancelled = { host, token in
            FakeHost.of(host).record.withLock { $0.cancelled.contains(token) ? 1 : 0 }
        }
    }

    private func answering(_ change: (inout Record) -> Void) -> Int32 {
        record.withLock { record in
            if record.answer == 0 { change(&record) }
            return record.answer
        }
    }

    private static func of(_ host: UnsafePointer<capelet_host>?) -> FakeHost {
        UnsafeRawPointer(host!).assumingMemoryBound(to: HostCell.self).pointee.owner.takeUnretainedValue()
    }

    private static func permanent(_ text: String) -> UnsafeMutableBufferPointer<UInt8> {
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
        _ = bytes.initialize(from: text.utf8)
        return bytes
    }

    private static func emptyResult() -> capelet_result {
        var result = capelet_result()
        result.struct_size = UInt32(MemoryLayout<capelet_result>.size)
        return result
    }

    static func message(_ result: capelet_result) -> String {
        withUnsafeBytes(of: result.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    static func text(_ bytes: capelet_bytes) -> String {
        String(decoding: UnsafeRawBufferPointer(start: bytes.data, count: bytes.size), as: UTF8.self)
    }
}

/// The table first, so that its address is that of the cell.
private struct HostCell {
    var table: capelet_host
    let owner: Unmanaged<FakeHost>
}

/// Status codes as they come back from a lambda.
enum Status {
    static let success = Int32(bitPattern: CAPELET_SUCCESS.rawValue)
    static let retry = Int32(bitPattern: CAPELET_RETRY.rawValue)
    static let fatal = Int32(bitPattern: CAPELET_FATAL.rawValue)
    static let pending = Int32(bitPattern: CAPELET_PENDING.rawValue)
}

struct Timeout: Error {}

/// Asks again and again until there is an answer, for at most 10 seconds.
func eventually<Value>(_ ask: () -> Value?) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if let value = ask() { return value }
        try await Task.sleep(for: .milliseconds(1))
    }
    throw Timeout()
}

/// Runs `body` on a thread of its own, as a worker runs a lambda: it may block.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}
