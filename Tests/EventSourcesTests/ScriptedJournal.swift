import CWorkerProtocol
import Dispatch
import Journal
import Synchronization
import WorkerProtocol

@testable import EventSources

/// What survives a crash: events and the catalog of one source. Checks, at each commit, what a directory source promises.
final class DurableStore: Sendable {
    struct Event: Sendable, Equatable {
        var offset: UInt64
        var subject: String
        var type: String
        var payload: [UInt8]
        var headers: [String: String]
        var timeMicros: Int64

        var path: String { String(decoding: payload, as: UTF8.self) }
    }

    struct State: Sendable {
        var events: [Event] = []
        var rows: [[UInt8]: [UInt8]] = [:]
        var violations: [String] = []
        var appends = 0
    }

    let state = Mutex(State())

    var events: [Event] { state.withLock { $0.events } }
    var appends: Int { state.withLock { $0.appends } }
    var violations: [String] { state.withLock { $0.violations } }

    /// Applies one append, as one transaction.
    func apply(_ request: AppendRequest) -> UInt64 {
        state.withLock { state in
            let first = UInt64(state.events.count)
            state.appends += 1
            var known: [[UInt8]: Bool] = [:]
            for index in 0..<request.records.count {
                let view = request.records.view(index)
                var headers: [String: String] = [:]
                view.forEachHeader { headers[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self) }
                let event = Event(
                    offset: first + UInt64(index), subject: view.subjectText, type: view.typeText, payload: Array(view.payloadSection),
                    headers: headers, timeMicros: view.header.pointee.time_micros)
                let isKnown = known[event.payload] ?? (state.rows[event.payload] != nil)
                if (event.type == "created") == isKnown { state.violations.append("\(event.type) of \(event.subject), known: \(isKnown)") }
                known[event.payload] = event.type != "deleted"
                state.events.append(event)
            }
            for change in request.sourceChanges {
                switch change {
                case .put(let key, let value):
                    // Version, size, mtime, ctime and inode: the same again is a doubled event.
                    if let old = state.rows[key], key.first != 0, old.prefix(33) == value.prefix(33) {
                        state.violations.append("\(String(decoding: key, as: UTF8.self)) announced twice in one state")
                    }
                    state.rows[key] = value
                case .remove(let key): state.rows[key] = nil
                }
            }
            return first
        }
    }
}

/// A journal that does as it is told, over a store that outlives it.
final class ScriptedJournal: SourceJournal {
    enum Behaviour: Sendable {
        /// Commits at once, on the caller's thread.
        case commit
        /// Keeps appends until `release`.
        case hold
        /// Refuses.
        case fail(JournalError)
    }

    private struct Script {
        var behaviour = Behaviour.commit
        var held: [AppendRequest] = []
        var isCut = false
        var refusals = 0
        var gate: Gate?
    }

    let store: DurableStore
    private let script = Mutex(Script())

    init(_ store: DurableStore = DurableStore()) { self.store = store }

    var refusals: Int { script.withLock { $0.refusals } }
    var held: Int { script.withLock { $0.held.count } }

    func behave(_ behaviour: Behaviour) { script.withLock { $0.behaviour = behaviour } }

    /// Catches the thread of the next append.
    func blockNextAppend(until gate: Gate) { script.withLock { $0.gate = gate } }

    /// Commits what is held, and what comes from now on.
    func release() {
        let held = script.withLock { script in
            defer { script.held = [] }
            script.behaviour = .commit
            return script.held
        }
        for request in held { finish(request) }
    }

    /// As if the process died: nothing gets into the store any more. The first `committed` of the held appends still do.
    func cut(committing committed: Int = 0) {
        let held = script.withLock { script in
            defer { script.held = [] }
            script.isCut = true
            return script.held
        }
        for (index, request) in held.enumerated() {
            if index < committed { _ = store.apply(request) }
            request.completion(.failure(JournalError(.closed, "the journal is closed")))
        }
    }

    private func finish(_ request: AppendRequest) {
        let first = store.apply(request)
        request.completion(.success(AppendReceipt(firstOffset: first, count: request.records.count)))
    }

    func append(_ request: AppendRequest) {
        let gate = script.withLock { script in
            defer { script.gate = nil }
            return script.gate
        }
        gate?.pass()
        let (behaviour, isCut) = script.withLock { script in
            if !script.isCut, case .hold = script.behaviour { script.held.append(request) }
            if case .fail = script.behaviour { script.refusals += 1 }
            return (script.behaviour, script.isCut)
        }
        if isCut {
            request.completion(.failure(JournalError(.closed, "the journal is closed")))
            return
        }
        switch behaviour {
        case .commit: finish(request)
        case .hold: break
        case .fail(let error): request.completion(.failure(error))
        }
    }

    func sourceState(_ source: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws(JournalError) {
        let rows = store.state.withLock { $0.rows }
        for (key, value) in rows.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            key.withUnsafeBytes { key in value.withUnsafeBytes { body(key, $0) } }
        }
    }

    var subjectHash: SubjectHash { SubjectHash(key0: 1, key1: 2) }
    func end(of stream: StreamID) -> UInt64 { UInt64(store.events.count) }
}

/// Holds whoever passes until it is opened.
final class Gate: Sendable {
    private let opened = DispatchSemaphore(value: 0)

    private let state = Mutex(false)
    /// Whether somebody waits, or has waited.
    var isEntered: Bool { state.withLock { $0 } }

    func pass() {
        state.withLock { $0 = true }
        opened.wait()
    }

    func open() { opened.signal() }
}
