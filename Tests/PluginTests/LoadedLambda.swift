import CCapelet
import Foundation
import Synchronization

/// One event for a lambda under test.
struct TestEvent {
    var domain = "files"
    var offset: UInt64 = 0
    var sequence: UInt64 = 0
    var subject: [UInt8] = Array("a.txt".utf8)
    var type = "file.created"
    var id = "id-1"
    var payload: [UInt8] = []
    var headers: [(String, String)] = []
    var attempt: UInt32 = 1
    var timeMicros: Int64 = 1_767_323_045_000_006

    init(_ offset: UInt64 = 0, domain: String = "files", subject: String = "a.txt", payload: String = "") {
        self.offset = offset
        self.sequence = offset
        self.domain = domain
        self.subject = Array(subject.utf8)
        self.payload = Array(payload.utf8)
    }
}

/// What a lambda answered for one event.
struct Outcome: Equatable {
    var status: Int32
    var message: String
    var retryAfterMillis: UInt64
    var token: UInt64
}

let success = Int32(CAPELET_SUCCESS.rawValue)
let retry = Int32(CAPELET_RETRY.rawValue)
let fatal = Int32(CAPELET_FATAL.rawValue)
let pending = Int32(CAPELET_PENDING.rawValue)

/// A lambda of a plugin, started in the test's own process as one worker would. Used from one thread at a time; stops with the object, or
/// before.
final class LoadedLambda {
    /// `start` said no.
    struct StartFailure: Error {
        var message: String
    }

    let host: FakeHost
    private let lambda: capelet_lambda
    private var state: UnsafeMutableRawPointer?
    private var running = false
    private static let nextToken = Atomic<UInt64>(1)

    init(plugin: String, host: FakeHost) throws {
        typealias Entry = @convention(c) () -> UnsafePointer<capelet_plugin>?
        guard let library = dlopen(try PluginBuild.path(plugin), RTLD_NOW | RTLD_LOCAL),
            let symbol = dlsym(library, "capelet_plugin_v1"),
            let table = unsafeBitCast(symbol, to: Entry.self)()
        else { throw StartFailure(message: String(cString: dlerror())) }
        self.host = host
        lambda = table.pointee.lambdas[0]!.pointee
        var result = Self.emptyResult
        guard lambda.start(UnsafePointer(host.table), &state, &result) == 0 else { throw StartFailure(message: text(result)) }
        running = true
    }

    deinit {
        stop()
    }

    func stop() {
        if running { lambda.stop(state) }
        running = false
    }

    private static var emptyResult: capelet_result {
        var result = capelet_result()
        result.struct_size = UInt32(MemoryLayout<capelet_result>.size)
        return result
    }

    private func make(_ event: TestEvent, in arena: Arena) -> capelet_event {
        var made = capelet_event()
        made.struct_size = UInt32(MemoryLayout<capelet_event>.size)
        made.attempt = event.attempt
        made.token = Self.nextToken.wrappingAdd(1, ordering: .relaxed).newValue
        made.sequence = event.sequence
        made.offset = event.offset
        made.time_micros = event.timeMicros
        made.domain = arena.bytes(event.domain)
        made.subject = arena.bytes(event.subject)
        made.type = arena.bytes(event.type)
        made.id = arena.bytes(event.id)
        made.payload = arena.bytes(event.payload)
        made.header_count = UInt32(event.headers.count)
        made.headers = UnsafePointer(
            arena.array(event.headers.map { capelet_header(name: arena.bytes($0.0), value: arena.bytes($0.1)) }))
        return made
    }

    /// Calls `handle`.
    func handle(_ event: TestEvent) -> Outcome {
        let arena = Arena()
        var made = make(event, in: arena)
        var result = Self.emptyResult
        let status = lambda.handle(state, &made, &result)
        return Outcome(status: status, message: text(result), retryAfterMillis: result.retry_after_millis, token: made.token)
    }

    /// Calls `handle_batch`.
    func handleBatch(_ events: [TestEvent]) -> [Outcome] {
        let arena = Arena()
        let made = arena.array(events.map { make($0, in: arena) })
        let results = arena.array(events.map { _ in Self.emptyResult })
        let statuses = arena.array(events.map { _ in Int32(-1) })
        let eventList = arena.array(events.indices.map { Optional(UnsafePointer(made + $0)) })
        let resultList = arena.array(events.indices.map { Optional(results + $0) })
        lambda.handle_batch(state, eventList, events.count, statuses, resultList)
        return events.indices.map {
            Outcome(
                status: statuses[$0], message: text(results[$0]), retryAfterMillis: results[$0].retry_after_millis, token: made[$0].token)
        }
    }

    /// Marks a run as cancelled and tells the lambda, as the host does.
    func cancel(_ token: UInt64) {
        host.cancel(token)
        lambda.cancel(state, token)
    }
}
