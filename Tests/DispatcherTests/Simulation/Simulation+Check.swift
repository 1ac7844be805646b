import Journal
import Routing
import WorkerProtocol

@testable import Dispatcher

// The scheduler's own books: every list, count and pin agrees with every other.
extension Simulation {
    private func fail(_ text: String) -> Violation { Violation(description: text) }

    /// What the lanes say that a worker or a route has.
    private struct Tally {
        var inFlight = 0
        var open = 0
        var bytes = 0
        var lanes = 0
        var waitingItems = 0
        var waitingBytes = 0
    }

    func check() throws {
        var byWorker = Array(repeating: Tally(), count: scheduler.workers.count)
        var byRoute = Array(repeating: Tally(), count: scheduler.routes.count)
        var loads = Array(repeating: 0, count: scheduler.pools.count)
        var pins = Array(repeating: Int32(0), count: scheduler.batches.count)
        var itemsSeen = 0
        for index in scheduler.lanes.indices where scheduler.lanes[index].isLive {
            try check(lane: index, &byWorker, &byRoute, &pins)
            itemsSeen += Int(scheduler.lanes[index].count)
            if scheduler.lanes[index].isLoading { loads[Int(scheduler.routes[Int(scheduler.lanes[index].route)].pool)] += 1 }
        }
        for index in scheduler.workers.indices where scheduler.workers[index].isLive {
            let worker = scheduler.workers[index]
            let tally = byWorker[index]
            if worker.inFlight != tally.inFlight { throw fail("worker \(index): \(worker.inFlight) in flight, really \(tally.inFlight)") }
            if worker.open.count != tally.open { throw fail("worker \(index): \(worker.open.count) open, really \(tally.open)") }
            if worker.bytesInFlight != tally.bytes { throw fail("worker \(index): bytes in flight are wrong") }
            if worker.freeLanes.count + tally.lanes != Scheduler.slotCount { throw fail("worker \(index) has lost lane numbers") }
            if worker.isQuarantine && worker.hasSuspect && worker.inFlight > 1 { throw fail("worker \(index) runs more than its suspect") }
            if worker.isQuarantine != (scheduler.pools[Int(worker.pool)].quarantineWorker == Int32(index)) {
                throw fail("worker \(index) is kept for suspects and its pool does not know")
            }
            if worker.open.enumerated().contains(where: { scheduler.items[Int($1)].openAt != Int32($0) }) {
                throw fail("worker \(index): its open list is torn")
            }
        }
        for index in scheduler.pools.indices {
            if scheduler.pools[index].rowLoads != loads[index] {
                throw fail("\(scheduler.pools[index].lambda.name): row loads are miscounted")
            }
            let running = scheduler.workers.contains { $0.isLive && $0.pool == Int32(index) && $0.inFlight > 0 }
            if scheduler.pools[index].isProbing && !running {
                throw fail("\(scheduler.pools[index].lambda.name) waits for a probe that does not run")
            }
        }
        try checkRoutes(byRoute, &pins)
        if scheduler.items.count - scheduler.freeItems.count != itemsSeen {
            throw fail("items are lost: \(scheduler.items.count - scheduler.freeItems.count) in use, \(itemsSeen) in lanes")
        }
        for index in scheduler.batches.indices where scheduler.batches[index] != nil && scheduler.batchPins[index] != pins[index] {
            throw fail("batch \(index) is pinned \(scheduler.batchPins[index]) times, really \(pins[index])")
        }
    }

    private func checkRoutes(_ tallies: [Tally], _ pins: inout [Int32]) throws {
        for index in scheduler.routes.indices {
            let route = scheduler.routes[index]
            for batch in route.batches[route.batchAt...] { pins[Int(batch)] += 1 }
            if route.waitingItems != tallies[index].waitingItems {
                throw fail("\(route.lambda): \(route.waitingItems) waiting, really \(tallies[index].waitingItems)")
            }
            if route.waitingBytes != tallies[index].waitingBytes { throw fail("\(route.lambda): waiting bytes are wrong") }
            if route.inFlight != tallies[index].inFlight { throw fail("\(route.lambda): in flight are miscounted") }
            if route.deferredBytes < 0 { throw fail("\(route.lambda): deferred bytes are negative") }
            // One record too many, what rows bring in, and what workers have given back.
            let workers = 2 + scheduler.workers.count
            let bound = limits.waitingBytesMax + limits.rowLoadsMax * (512 + limits.rowBytesMax) + workers * (limits.inboxBytesMax + 512)
            if route.waitingBytes > bound { throw fail("\(route.lambda): \(route.waitingBytes) bytes wait in memory, \(bound) may") }
        }
    }

    private func check(lane index: Int, _ byWorker: inout [Tally], _ byRoute: inout [Tally], _ pins: inout [Int32]) throws {
        let lane = scheduler.lanes[index]
        let route = Int(lane.route)
        func name() -> String { "lane \(index) of \(scheduler.routes[route].lambda)" }
        var at = lane.head
        var count: Int32 = 0
        var sent: Int32 = 0
        var last: Int32 = -1
        var hasWaiting = false
        var lastRow: Int64 = 0
        var hasWindow = false
        while at >= 0 {
            let item = scheduler.items[Int(at)]
            if item.lane != Int32(index) { throw fail("\(name()) holds an item of another lane") }
            count += 1
            pins[Int(item.batch)] += 1
            if item.row >= 0 {
                guard let row = scheduler.rows[Int(item.row)] else { throw fail("\(name()): an item's row is gone") }
                if hasWindow || row.id < lastRow { throw fail("\(name()): its rows are out of order") }
                lastRow = row.id
                if item.position != .max { throw fail("\(name()): an item is in a row and in the window") }
            } else {
                hasWindow = true
            }
            switch item.state {
            case .sent, .started, .pending:
                if hasWaiting && !lane.isBlocked { throw fail("\(name()): an item is at a worker behind one that is not") }
                if item.worker != lane.worker { throw fail("\(name()): an item is at worker \(item.worker), the lane at \(lane.worker)") }
                sent += 1
                byWorker[Int(item.worker)].inFlight += 1
                byWorker[Int(item.worker)].bytes += Int(item.bytes)
                byRoute[route].inFlight += 1
                if item.state != .sent { byWorker[Int(item.worker)].open += 1 }
            case .waiting:
                hasWaiting = true
                byRoute[route].waitingItems += 1
                byRoute[route].waitingBytes += Int(item.bytes)
            case .failed:
                if !lane.hasFailed { throw fail("\(name()): a failed item in a lane that goes on") }
            }
            last = at
            at = item.next
        }
        if count != lane.count || sent != lane.sent || last != lane.tail {
            throw fail("\(name()): counts \(lane.count)/\(lane.sent), really \(count)/\(sent)")
        }
        if hasWindow && lane.rowsUnloaded > 0 { throw fail("\(name()): later events are on disk than some that are only in memory") }
        if lane.sent == 0 && lane.count > 0 && !scheduler.routes[route].isActive {
            throw fail("\(name()) is gone and still has events that wait")
        }
        if lane.sent == 0 && lane.worker >= 0 { throw fail("\(name()) is bound without items") }
        if lane.worker >= 0 { byWorker[Int(lane.worker)].lanes += 1 }
        if scheduler.routes[route].lanes.find(lane.hash) != Int32(index) { throw fail("\(name()) cannot be found by its subject") }
        if lane.count == 0 && lane.rowsUnloaded == 0 && !lane.isLoading { throw fail("\(name()) is empty and live") }
        if lane.queued != .none && lane.firstWaiting < 0 { throw fail("\(name()) waits for a worker with nothing to run") }
        if lane.sent == 0 && scheduler.isSendable(index) && lane.queued == .none { throw fail("\(name()) could run and nobody knows") }
        if lane.queued == .worker && lane.queueOwner != lane.worker { throw fail("\(name()) waits for a worker that is not its own") }
    }
}
