public import Journal
import Routing
import WorkerProtocol

// Lambdas and routes come, change and go with the routing file.

extension Scheduler {
    /// Brings pools and routes in line with a routing file. Lambdas and routes that are not named are drained and go.
    ///
    /// Routes that are already known, also those that were gone for a while, keep their progress and everything in flight; `state` and `heads` of
    /// their spec are not looked at.
    /// Workers of changed lambdas are the caller's to retire.
    public mutating func apply(pools poolSpecs: [PoolSpec], routes routeSpecs: [RouteSpec]) {
        for spec in poolSpecs {
            if let place = poolByLambda[spec.lambda.name] {
                let isNew = pools[Int(place)].version != spec.version
                pools[Int(place)].adopt(spec.lambda)
                pools[Int(place)].version = spec.version
                if isNew {
                    pools[Int(place)].hasPending = false
                    endHold(place)
                    retry(pool: place, hash: nil, onlyParked: true)
                }
            } else {
                pools.append(PoolSlot(lambda: spec.lambda, version: spec.version))
                poolByLambda[spec.lambda.name] = Int32(pools.count - 1)
            }
        }
        let named = Set(routeSpecs.map(\.state.id))
        for index in routes.indices where routes[index].isActive && !named.contains(routes[index].id) { deactivate(Int32(index)) }
        for spec in routeSpecs {
            guard let pool = poolByLambda[spec.state.lambda] else { continue }
            if let place = routeByID[spec.state.id] {
                routes[Int(place)].dependents = spec.dependents
                if !routes[Int(place)].isActive { reactivate(place, streamEnd: spec.streamEnd) }
            } else {
                activate(spec, pool: pool)
            }
        }
        sortJoins()
        pumpAll()
    }

    private mutating func activate(_ spec: RouteSpec, pool: Int32) {
        let place = Int32(routes.count)
        let done = DoneSet(watermark: spec.state.watermark, ranges: spec.state.ranges)
        let watermark = done.watermark
        routes.append(
            RouteSlot(
                id: spec.state.id, lambda: spec.state.lambda, domain: spec.state.domain, stream: spec.state.stream,
                domainStream: spec.domainStream, pool: pool, dependents: spec.dependents, done: done, cursor: watermark,
                streamEnd: spec.streamEnd, loadFrom: watermark))
        routeByID[spec.state.id] = place
        join(place)
        for head in spec.heads where head.rows > 0 {
            let lane = makeLane(route: place, hash: head.subjectHash)
            lanes[Int(lane)].rowsUnloaded = Int32(clamping: head.rows)
            lanes[Int(lane)].isParked = head.state == .parked
            lanes[Int(lane)].isOnProbation = head.state != .open
            let wait = max(0, min(head.dueMillis - wallMillis, 86_400_000))
            lanes[Int(lane)].dueMicros = head.state == .deferred ? now &+ UInt64(wait) * 1000 : now
            routes[Int(place)].deferredBytes += head.bytes
            schedule(lane)
        }
    }

    /// The route becomes one of its pool's.
    private mutating func join(_ place: Int32) {
        let index = Int(place)
        pools[Int(routes[index].pool)].routes.append(place)
        // The lambda may have read another stream until now, with its place in the topology. What runs of that goes first.
        routes[index].waitsFor = -1
        for other in routes.indices
        where other != index && !routes[other].isActive && routes[other].inFlight > 0 && routes[other].lambda == routes[index].lambda
            && routes[other].domain == routes[index].domain
        {
            routes[index].waitsFor = Int32(other)
        }
    }

    /// The route takes nothing more. What waits goes onto disk, what runs finishes.
    private mutating func deactivate(_ place: Int32) {
        let index = Int(place)
        let pool = Int(routes[index].pool)
        routes[index].isActive = false
        pools[pool].routes.removeAll { $0 == place }
        for batch in routes[index].batches[routes[index].batchAt...] { unpin(batch) }
        routes[index].batches = []
        routes[index].batchAt = 0
        routes[index].loadedBytes = 0
        routes[index].isLoading = false
        routes[index].loadFrom = routes[index].cursor
        for laneIndex in routes[index].lanes.lanes {
            let lane = Int(laneIndex)
            if lanes[lane].isLoading {
                // The answer, should it come, is for a lane that has another serial by then.
                laneSerial &+= 1
                lanes[lane].serial = laneSerial
                lanes[lane].isLoading = false
                pools[pool].rowLoads -= 1
            }
            dequeue(laneIndex)
            if lanes[lane].sent == 0 && lanes[lane].count > 0 { setAside(laneIndex) }
        }
        if routes[index].inFlight > 0 {
            for worker in pools[pool].workers { requestWithdrawal(worker) }
        }
        if pools[pool].routes.isEmpty {
            for worker in pools[pool].workers { retire(worker: worker) }
        }
    }

    /// The route is back. It goes on where it was: what was in hand then is in rows, at a worker, or done.
    private mutating func reactivate(_ place: Int32, streamEnd: UInt64) {
        let index = Int(place)
        routes[index].isActive = true
        routes[index].streamEnd = max(routes[index].streamEnd, streamEnd)
        join(place)
        for laneIndex in routes[index].lanes.lanes {
            let lane = Int(laneIndex)
            if lanes[lane].sent > 0 || lanes[lane].count > 0 || lanes[lane].rowsUnloaded == 0 { continue }
            schedule(laneIndex)
        }
    }

    /// A route that is not active was dropped from the journal; its number is never used again.
    public mutating func forget(route id: RouteID) {
        guard let place = routeByID[id], !routes[Int(place)].isActive, routes[Int(place)].inFlight == 0 else { return }
        for lane in routes[Int(place)].lanes.lanes { freeLane(lane) }
        routes[Int(place)].isDirty = false
        routeByID[id] = nil
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
        guard let place = routeByID[route], routes[Int(place)].isActive else { return nil }
        let slot = routes[Int(place)]
        let pool = pools[Int(slot.pool)]
        return RouteStatus(
            counts: slot.counts, watermark: slot.done.watermark, cursor: slot.cursor, streamEnd: slot.streamEnd, inFlight: slot.inFlight,
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
    /// Events at the lambda's workers.
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
