import Journal
import WorkerProtocol

// What the engine asks.

extension Scheduler {
    /// Forgets the actions that have been carried out.
    mutating func clearActions() { actions.removeAll(keepingCapacity: true) }

    /// The stream that a route reads; nil when there is no such route any more.
    func stream(ofRoute route: Int32) -> StreamID? {
        Int(route) < routes.count && routes[Int(route)].isActive ? routes[Int(route)].stream : nil
    }

    /// The journal's number of a route; nil when there is no such route any more.
    func routeID(_ route: Int32) -> RouteID? {
        Int(route) < routes.count && routes[Int(route)].isActive ? routes[Int(route)].id : nil
    }

    /// Names of the lambdas that have routes.
    var lambdas: [String] { poolByLambda.keys.filter { !pools[Int(poolByLambda[$0]!)].routes.isEmpty }.sorted() }

    /// Whether a worker has nothing in flight.
    func isIdle(worker: Int32) -> Bool { !workers[Int(worker)].isLive || workers[Int(worker)].inFlight == 0 }

    /// Whether a run has begun and not ended.
    func isOpen(token: UInt64, worker: Int32) -> Bool { runRecord(token: token, worker: worker) != nil }

    /// The event of a run that has begun and not ended.
    func runRecord(token: UInt64, worker: Int32) -> RecordView? {
        let place = Int(token & 0xff_ffff)
        guard place < items.count, items[place].token == token, items[place].worker == worker,
            items[place].state == .started || items[place].state == .pending
        else { return nil }
        return record(items[place])
    }
}
