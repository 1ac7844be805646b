import CWorkerProtocol
import Journal
import Routing
import WorkerProtocol

@testable import Dispatcher

extension Simulation {
    private func fail(_ text: String) -> Violation { Violation(description: text) }

    /// The scheduler's own books: every list, count and pin agrees with every other.
    func check() throws {
        var itemsSeen = 0
        var inFlight: [Int32: Int] = [:]
        var open: [Int32: Int] = [:]
        var bytesInFlight: [Int32: Int] = [:]
        var waitingItems: [Int32: Int] = [:]
        var waitingBytes: [Int32: Int] = [:]
        var pins: [Int32: Int32] = [:]
        var boundLanes: [Int32: Set<UInt32>] = [:]
        for (index, lane) in scheduler.lanes.enumerated() where lane.isLive {
            let name = "lane \(index) of \(scheduler.routes[Int(lane.route)].lambda)"
            var at = lane.head
            var count: Int32 = 0
            var sent: Int32 = 0
            var last: Int32 = -1
            var hasWaiting = false
            while at >= 0 {
                let item = scheduler.items[Int(at)]
                if item.lane != Int32(index) { throw fail("\(name) holds an item of another lane") }
                count += 1
                itemsSeen += 1
                pins[item.batch, default: 0] += 1
                switch item.state {
                case .sent, .started, .pending:
                    if hasWaiting && !lane.isBlocked { throw fail("\(name): an item is at a worker behind one that is not") }
                    if item.worker != lane.worker { throw fail("\(name): an item is at worker \(item.worker), the lane at \(lane.worker)") }
                    sent += 1
                    inFlight[item.worker, default: 0] += 1
                    bytesInFlight[item.worker, default: 0] += Int(item.bytes)
                    if item.state != .sent { open[item.worker, default: 0] += 1 }
                case .waiting:
                    hasWaiting = true
                    waitingItems[lane.route, default: 0] += 1
                    waitingBytes[lane.route, default: 0] += Int(item.bytes)
                case .failed:
                    if !lane.hasFailed { throw fail("\(name): a failed item in a lane that goes on") }
                }
                last = at
                at = item.next
            }
            if count != lane.count || sent != lane.sent || last != lane.tail { throw fail("\(name): counts \(lane.count)/\(lane.sent), really \(count)/\(sent)") }
            if lane.sent == 0 && lane.worker >= 0 { throw fail("\(name) is bound without items") }
            if lane.worker >= 0, !boundLanes[lane.worker, default: []].insert(lane.workerLane).inserted { throw fail("\(name): its number is used twice") }
            if scheduler.routes[Int(lane.route)].isActive, scheduler.routes[Int(lane.route)].lanes.find(lane.hash) != Int32(index) {
                throw fail("\(name) cannot be found by its subject")
            }
            if lane.count == 0 && lane.rowsUnloaded == 0 && !lane.isLoading && lane.queued == .none { throw fail("\(name) is empty and live") }
        }
        for (index, worker) in scheduler.workers.enumerated() where worker.isLive {
            let place = Int32(index)
            if worker.inFlight != inFlight[place, default: 0] { throw fail("worker \(index): \(worker.inFlight) in flight, really \(inFlight[place, default: 0])") }
            if worker.open != open[place, default: 0] { throw fail("worker \(index): \(worker.open) open, really \(open[place, default: 0])") }
            if worker.bytesInFlight != bytesInFlight[place, default: 0] { throw fail("worker \(index): bytes in flight are wrong") }
            if worker.freeLanes.count + (boundLanes[place]?.count ?? 0) != Scheduler.slotCount { throw fail("worker \(index) has lost lane numbers") }
            if worker.isQuarantine && worker.inFlight > 1, workers[place].map({ $0.claimed == 0 && $0.inbox.count > 1 }) == true, worker.open > 1 {
                throw fail("worker \(index) runs more than its suspect")
            }
        }
        for (index, route) in scheduler.routes.enumerated() {
            let place = Int32(index)
            if route.isActive {
                for batch in route.batches[route.batchAt...] { pins[batch, default: 0] += 1 }
            }
            if route.waitingItems != waitingItems[place, default: 0] { throw fail("\(route.lambda): \(route.waitingItems) waiting, really \(waitingItems[place, default: 0])") }
            if route.waitingBytes != waitingBytes[place, default: 0] { throw fail("\(route.lambda): waiting bytes are wrong") }
        }
        if scheduler.items.count - scheduler.freeItems.count != itemsSeen { throw fail("items are lost: \(scheduler.items.count - scheduler.freeItems.count) in use, \(itemsSeen) in lanes") }
        for (index, batch) in scheduler.batches.enumerated() where batch != nil {
            if scheduler.batchPins[index] != pins[Int32(index), default: 0] { throw fail("batch \(index) is pinned \(scheduler.batchPins[index]) times, really \(pins[Int32(index), default: 0])") }
        }
    }

    /// What must hold once everything has come to rest.
    func verify() throws {
        let dead = try deadKeys()
        let parked = try parkedKeys()
        for (domain, lambdas) in [("d", ["a", "b", "c", "j"]), ("e", ["x", "p"])] {
            let stream = lambdaStreams[domain]!.rawValue
            for (offset, event) in accepted[stream] ?? [:] {
                for lambda in lambdas {
                    let key = Ledger.EventKey(lambda: lambda, domain: stream, offset: offset)
                    if ledger.succeeded.contains(key) || dead.contains(key) || parked.contains(key) { continue }
                    let upstreams = lambda == "b" ? ["a"] : lambda == "j" ? ["a", "c"] : []
                    if upstreams.contains(where: { dead.contains(Ledger.EventKey(lambda: $0, domain: stream, offset: offset)) }) { continue }
                    throw fail("event \(event) at offset \(offset) of \(domain) never ended for \(lambda)")
                }
                for lambda in ["b", "j"] where domain == "d" {
                    let key = Ledger.EventKey(lambda: lambda, domain: stream, offset: offset)
                    let upstreams = lambda == "b" ? ["a"] : ["a", "c"]
                    if ledger.everRun.contains(key),
                        upstreams.contains(where: { !ledger.succeeded.contains(Ledger.EventKey(lambda: $0, domain: stream, offset: offset)) })
                    {
                        throw fail("\(lambda) ran offset \(offset) although an upstream did not succeed")
                    }
                }
            }
        }
        let d = lambdaStreams["d"]!.rawValue
        var counts: [String: Int] = [:]
        for event in (accepted[lambdaStreams["e"]!.rawValue] ?? [:]).values where event >= 1000 * 1 { counts["\(event)", default: 0] += 1 }
        var isEmitted: [UInt64: Int] = [:]
        let e = lambdaStreams["e"]!
        var position = journal.start(of: e)
        while position < journal.end(of: e) {
            for batch in try journal.read(e, from: position, maximumBytes: 1 << 20) {
                for index in 0..<batch.count where batch.records.view(index).idText.hasPrefix("emit-") {
                    isEmitted[batch.records.view(index).payloadSection.loadUnaligned(as: UInt64.self), default: 0] += 1
                }
                position = batch.end
            }
        }
        for (offset, event) in accepted[d] ?? [:] {
            let succeeded = ledger.succeeded.contains(Ledger.EventKey(lambda: "a", domain: d, offset: offset))
            let isDead = dead.contains(Ledger.EventKey(lambda: "a", domain: d, offset: offset))
            for index in 0..<script.emits(event: event) {
                let count = isEmitted[event &* 1000 &+ UInt64(index), default: 0]
                // A success that a crash of the host cut off before its commit and that later died may leave none.
                if succeeded && !isDead && count != 1 { throw fail("emit \(index) of event \(event) is in the journal \(count) times") }
                if !succeeded && count != 0 { throw fail("emit \(index) of event \(event), which never succeeded, is in the journal") }
            }
        }
        for route in scheduler.routes where route.isActive {
            if route.counts.succeeded > successResults[route.lambda, default: 0] { throw fail("\(route.lambda) counts more successes than there were") }
        }
    }

    private func deadKeys() throws -> Set<Ledger.EventKey> {
        var query = RowQuery()
        query.limit = 1_000_000
        var keys: Set<Ledger.EventKey> = []
        for letter in try journal.deadLetters(query) {
            let header = letter.records.view(0).header.pointee
            let state = try journal.routes().first { $0.id == letter.route }!
            keys.insert(Ledger.EventKey(lambda: state.lambda, domain: header.domain, offset: header.offset))
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
