public import Journal
import Routing
import WorkerProtocol

// Lambdas and routes come, change and go with the routing file.

extension Scheduler {
    /// Brings pools and routes in line with a routing file. Lambdas and routes that are not named are drained and go.
    ///
    /// Routes that are already known keep their progress and everything in flight; `state`, `streamEnd` and `heads` of their spec are not looked at.
    /// Workers of changed lambdas are the caller's to retire.
    public mutating func apply(pools poolSpecs: [PoolSpec], routes routeSpecs: [RouteSpec]) {
        for spec in poolSpecs {
            let filter = spec.lambda.filter.isEmpty ? nil : CompiledFilter(spec.lambda.filter)
            if let place = poolByLambda[spec.lambda.name] {
                let index = Int(place)
                let isNew = pools[index].version != spec.version
                pools[index].lambda = spec.lambda
                pools[index].version = spec.version
                pools[index].filter = filter
                pools[index].isPaused = pools[index].isPausedByOperator || !spec.lambda.enabled
                if isNew {
                    pools[index].hasPending = false
                    endHold(place)
                    retryParked(pool: place)
                }
            } else {
                var slot = PoolSlot(lambda: spec.lambda, version: spec.version, filter: filter)
                slot.isPaused = !spec.lambda.enabled
                pools.append(slot)
                poolByLambda[spec.lambda.name] = Int32(pools.count - 1)
            }
        }
        let named = Set(routeSpecs.map(\.state.id))
        for index in routes.indices where routes[index].isActive && !named.contains(routes[index].id) { deactivate(Int32(index)) }
        for spec in routeSpecs {
            guard let pool = poolByLambda[spec.state.lambda] else { continue }
            if let place = routeByID[spec.state.id], routes[Int(place)].isActive {
                routes[Int(place)].dependents = spec.dependents
            } else {
                activate(spec, pool: pool)
            }
        }
        pumpAll()
    }

    private mutating func activate(_ spec: RouteSpec, pool: Int32) {
        let place = Int32(routes.count)
        let done = DoneSet(watermark: spec.state.watermark, ranges: spec.state.ranges)
        routes.append(
            RouteSlot(
                id: spec.state.id, lambda: spec.state.lambda, domain: spec.state.domain, stream: spec.state.stream,
                domainStream: spec.domainStream, pool: pool, dependents: spec.dependents, done: done, cursor: done.watermark,
                streamEnd: spec.streamEnd, loadFrom: done.watermark))
        routeByID[spec.state.id] = place
        pools[Int(pool)].routes.append(place)
        for head in spec.heads {
            let lane = makeLane(route: place, hash: head.subjectHash)
            lanes[Int(lane)].rowsUnloaded = Int32(clamping: head.rows)
            lanes[Int(lane)].isParked = head.state == .parked
            lanes[Int(lane)].isOnProbation = head.state != .open
            let wait = max(0, min(head.dueMillis - wallMillis, 86_400_000))
            lanes[Int(lane)].dueMicros = head.state == .deferred ? now &+ UInt64(wait) * 1000 : now
            routes[Int(place)].deferredBytes += head.bytes
            routes[Int(place)].laneAsideCount += 1
            schedule(lane)
        }
    }

    /// The route takes nothing more, and forgets what it has in hand: that is still in the journal.
    private mutating func deactivate(_ place: Int32) {
        let index = Int(place)
        routes[index].isActive = false
        routeByID[routes[index].id] = nil
        pools[Int(routes[index].pool)].routes.removeAll { $0 == place }
        for batch in routes[index].batches[routes[index].batchAt...] { unpin(batch) }
        routes[index].batches = []
        routes[index].batchAt = 0
        routes[index].loadedBytes = 0
        if pools[Int(routes[index].pool)].routes.isEmpty {
            for worker in pools[Int(routes[index].pool)].workers { retire(worker: worker) }
        }
    }

    private mutating func retryParked(pool: Int32) {
        for route in pools[Int(pool)].routes {
            for lane in routes[Int(route)].lanes.lanes where lanes[Int(lane)].isParked && lanes[Int(lane)].count == 0 {
                lanes[Int(lane)].isParked = false
                lanes[Int(lane)].dueMicros = now
                schedule(lane)
            }
        }
    }

    /// Stops or goes on giving events to a lambda, on an operator's word. What runs goes on.
    public mutating func setPaused(lambda: String, _ paused: Bool) {
        guard let place = poolByLambda[lambda] else { return }
        pools[Int(place)].isPausedByOperator = paused
        pools[Int(place)].isPaused = paused || !pools[Int(place)].lambda.enabled
        if paused {
            for worker in pools[Int(place)].workers { requestWithdrawal(worker) }
        } else {
            pump(pool: place)
        }
    }

    /// What a route is doing, for status pages.
    public func status(of route: RouteID) -> RouteStatus? {
        guard let place = routeByID[route] else { return nil }
        let slot = routes[Int(place)]
        let pool = pools[Int(slot.pool)]
        var inFlight = 0
        for worker in pool.workers { inFlight += workers[Int(worker)].inFlight }
        return RouteStatus(
            counts: slot.counts, watermark: slot.done.watermark, cursor: slot.cursor, streamEnd: slot.streamEnd, inFlight: inFlight,
            waiting: slot.waitingItems, deferredBytes: slot.deferredBytes, lanes: slot.lanes.count, isHolding: pool.isHolding,
            isPaused: pool.isPaused, workers: pool.workers.count)
    }

    /// Ids of the routes that take events.
    public var activeRoutes: [RouteID] { routes.filter(\.isActive).map(\.id) }

    /// Events at workers, all together.
    public var inFlight: Int { workers.reduce(0) { $0 + ($1.isLive ? $1.inFlight : 0) } }
}

/// What a route is doing.
public struct RouteStatus: Sendable, Equatable {
    /// Counters since the host started.
    public var counts: RouteCounts
    /// Everything below is done.
    public var watermark: UInt64
    /// The next position to take.
    public var cursor: UInt64
    /// The first position that is not yet written.
    public var streamEnd: UInt64
    /// Events at the lambda's workers (of all its domains).
    public var inFlight: Int
    /// Events that wait in memory.
    public var waiting: Int
    /// Bytes of deferred rows.
    public var deferredBytes: Int
    /// Subjects in hand.
    public var lanes: Int
    /// Whether the cursor holds because everything fails.
    public var isHolding: Bool
    /// Whether an operator, or `enabled: false`, holds it.
    public var isPaused: Bool
    /// Workers that take events.
    public var workers: Int
}
