import CWorkerProtocol
import Journal
import Routing
import WorkerProtocol

@testable import Dispatcher

// What must hold once everything has come to rest.
extension Simulation {
    /// How an event ended for a lambda.
    private enum End {
        case success
        /// Dead, parked, dropped or skipped: what comes after does not run.
        case other
    }

    func verify() throws {
        try check()
        let given = try deadKeys().union(try parkedKeys()).union(dropped)
        for place in places {
            let domain = streams[place.domain]!.rawValue
            for (offset, event) in accepted[domain] ?? [:] {
                if try end(place.lambda, domain, offset, given) == nil {
                    throw Violation(description: "event \(event) at offset \(offset) of \(place.domain) never ended for \(place.lambda)")
                }
            }
        }
        try verifyEmits(given)
        try verifyRows()
        if scheduler.joins.contains(where: { $0.value.count > 0 }) {
            throw Violation(description: "\(scheduler.joins.count) joins never came to an end")
        }
    }

    private func end(_ lambda: String, _ domain: UInt32, _ offset: UInt64, _ given: Set<Ledger.EventKey>) throws -> End? {
        let key = Ledger.EventKey(lambda: lambda, domain: domain, offset: offset)
        for upstream in Self.upstreams[lambda] ?? [] {
            guard try end(upstream, domain, offset, given) == .other else { continue }
            // A success that died with the host before it was written may have been followed by a failure.
            if ledger.hasRun(key) && !ledger.succeeded.contains(Ledger.EventKey(lambda: upstream, domain: domain, offset: offset)) {
                throw Violation(description: "\(lambda) ran offset \(offset) although \(upstream) did not succeed")
            }
            if !ledger.succeeded.contains(key) { return .other }
        }
        if given.contains(key) { return .other }
        return ledger.succeeded.contains(key) ? .success : nil
    }

    private func verifyEmits(_ given: Set<Ledger.EventKey>) throws {
        let domain = streams["d"]!.rawValue
        for (offset, event) in accepted[domain] ?? [:] {
            let key = Ledger.EventKey(lambda: "a", domain: domain, offset: offset)
            for index in 0..<script.emits(event: event) {
                let count = emitted[event &* 1000 &+ UInt64(index), default: 0]
                if ledger.succeeded.contains(key) && !given.contains(key) && count != 1 || count > 1 {
                    throw Violation(description: "emit \(index) of event \(event) is in the journal \(count) times")
                }
                if !ledger.succeeded.contains(key) && count != 0 {
                    throw Violation(description: "emit \(index) of event \(event), which never succeeded, is in the journal")
                }
            }
        }
    }

    /// What is left in rows is parked, and the books of its size are right. No letter is of an event that has been redriven to success.
    private func verifyRows() throws {
        for route in scheduler.routes {
            let heads = try journal.deferredHeads(route.id)
            let bytes = heads.reduce(0) { $0 + $1.bytes }
            if route.deferredBytes != bytes {
                throw Violation(description: "\(route.lambda): \(route.deferredBytes) deferred bytes, really \(bytes)")
            }
            if heads.contains(where: { $0.state != .parked }) { throw Violation(description: "\(route.lambda) has rows that nobody runs") }
        }
        var query = RowQuery()
        query.limit = 1_000_000
        for letter in try journal.deadLetters(query) where scheduler.goneLetters.contains(letter.id) {
            throw Violation(description: "letter \(letter.id) was redriven or dropped and is still there")
        }
        let lambdas = Dictionary(uniqueKeysWithValues: try journal.routes().map { ($0.id, $0.lambda) })
        for letter in try journal.deadLetters(query) where letter.reason == "crashes" {
            let header = letter.records.view(0).header.pointee
            let key = Ledger.EventKey(lambda: lambdas[letter.route]!, domain: header.domain, offset: header.offset)
            if !ledger.killers.contains(key) {
                throw Violation(description: "\(key.lambda) has given up offset \(key.offset) for crashes, and it never killed a worker")
            }
        }
    }

    private func deadKeys() throws -> Set<Ledger.EventKey> {
        var query = RowQuery()
        query.limit = 1_000_000
        let lambdas = Dictionary(uniqueKeysWithValues: try journal.routes().map { ($0.id, $0.lambda) })
        var keys: Set<Ledger.EventKey> = []
        for letter in try journal.deadLetters(query) {
            let header = letter.records.view(0).header.pointee
            keys.insert(Ledger.EventKey(lambda: lambdas[letter.route]!, domain: header.domain, offset: header.offset))
        }
        return keys
    }

    private func parkedKeys() throws -> Set<Ledger.EventKey> {
        var keys: Set<Ledger.EventKey> = []
        for state in try journal.routes() {
            for head in try journal.deferredHeads(state.id) where head.state == .parked {
                for row in try journal.deferredRows(state.id, subjectHash: head.subjectHash, after: 0, maximumBytes: .max) {
                    for index in Int(row.done)..<row.records.count {
                        let header = row.records.record(index).pointee
                        keys.insert(Ledger.EventKey(lambda: state.lambda, domain: header.domain, offset: header.offset))
                    }
                }
            }
        }
        return keys
    }
}
