public import Journal
import Routing
public import Supervisor
import Telemetry
import WorkerProtocol

/// A domain as emitted events reach it.
public struct DomainTarget: Sendable {
    /// Its stream.
    public var stream: StreamID
    /// Largest payload, bytes.
    public var payloadBytesMax: Int
    /// Makes a target.
    public init(stream: StreamID, payloadBytesMax: Int) {
        self.stream = stream
        self.payloadBytesMax = payloadBytesMax
    }
}

/// Everything that the engine works from, as one routing file says it.
public struct EngineConfiguration: Sendable {
    /// Lambdas.
    public var pools: [PoolSpec]
    /// Lambdas in domains.
    public var routes: [RouteSpec]
    /// What their workers are made from. Lambdas without a plugin have none: their cursors hold.
    public var workers: [WorkerSpec]
    /// Domains by name.
    public var domains: [String: DomainTarget]
    /// How long running events may take at a reload.
    public var drainMillis: Int64
    /// Makes a configuration.
    public init(pools: [PoolSpec], routes: [RouteSpec], workers: [WorkerSpec], domains: [String: DomainTarget], drainMillis: Int64) {
        self.pools = pools
        self.routes = routes
        self.workers = workers
        self.domains = domains
        self.drainMillis = drainMillis
    }
}

/// A route's metrics and what of its counts they have been told.
struct RouteMeter {
    let lambda: String
    let metrics: LambdaMetrics
    var told = RouteCounts()
}

extension Engine {
    /// Puts a routing file into force. Returns once the scheduler works from it; workers of new generations come up after that (`Notice`).
    public func apply(_ configuration: EngineConfiguration) async {
        await query { engine in
            let nowMillis = Poller.nowMillis
            engine.drainMillis = configuration.drainMillis
            engine.domainStreams = configuration.domains
            let before = Set(engine.scheduler.lambdas)
            engine.scheduler.apply(pools: configuration.pools, routes: configuration.routes)
            let named = Set(configuration.workers.map(\.lambda))
            for lambda in before where !named.contains(lambda) {
                engine.supervisor.removePool(lambda: lambda, nowMillis: nowMillis)
                for worker in engine.workers { if let worker, worker.handle.lambda == lambda { engine.retire(worker.handle) } }
            }
            for spec in configuration.workers {
                engine.supervisor.setPool(spec, nowMillis: nowMillis)
                // An operator who reloads has looked at what was broken.
                engine.supervisor.mend(lambda: spec.lambda, nowMillis: nowMillis)
            }
            var meters: [RouteID: RouteMeter] = [:]
            for route in configuration.routes {
                meters[route.state.id] =
                    engine.routeMetrics[route.state.id]
                    ?? RouteMeter(
                        lambda: route.state.lambda, metrics: engine.metrics.lambda(route.state.lambda, domain: route.state.domain))
            }
            engine.routeMetrics = meters
        }
    }

    /// What a route is doing, and what the supervisor knows.
    public func status(routes: [RouteID]) async -> (routes: [RouteID: RouteStatus], supervisor: SupervisorStatus) {
        await query { engine in
            var result: [RouteID: RouteStatus] = [:]
            for route in routes { result[route] = engine.scheduler.status(of: route) }
            return (result, engine.supervisor.status(nowMillis: Poller.nowMillis))
        }
    }

    /// Stops or goes on giving events to a lambda.
    public func setPaused(lambda: String, _ paused: Bool) async {
        await query { engine in
            engine.scheduler.setPaused(lambda: lambda, paused)
            if !paused { engine.supervisor.mend(lambda: lambda, nowMillis: Poller.nowMillis) }
        }
    }

    /// Redrives dead letters; `parts` are what is on disk of joins of the same events. Returns when it is written.
    public func redrive(_ letters: [DeadLetter], parts: [JoinPart] = []) async {
        await query { engine in
            engine.scheduler.joinsLoaded(parts)
            engine.scheduler.redrive(letters)
        }
        await settle()
    }

    /// Drops dead letters. Returns when it is written.
    public func drop(_ ids: [(id: Int64, route: RouteID)]) async {
        await query { $0.scheduler.dropDead(ids) }
        await settle()
    }

    /// Tries parked and deferred events of a lambda at once.
    public func retryNow(lambda: String, subjectHash: UInt64?) async {
        await query { $0.scheduler.retryNow(lambda: lambda, hash: subjectHash) }
    }

    /// Returns when everything that was decided before is written.
    public func settle() async {
        let target = await query { $0.commitsTaken + ($0.scheduler.hasCommit ? 1 : 0) }
        while await query({ $0.commitsWritten < target }) { try? await Task.sleep(for: .milliseconds(2)) }
    }

    /// Forgets routes that are not in force any more. Returns when what was decided of them is written: then the journal can forget them too.
    ///
    /// - Returns: those of which something still runs; they are not forgotten.
    public func forget(_ routes: [RouteID]) async -> [RouteID] {
        let running = await query { engine in
            for route in routes { engine.scheduler.forget(route: route) }
            return routes.filter { engine.scheduler.routeByID[$0] != nil }
        }
        await settle()
        return running
    }

    /// Events at workers.
    public func inFlight() async -> Int { await query { $0.scheduler.inFlight } }

    /// Brings the metrics up to date.
    func meter() {
        for id in routeMetrics.keys {
            guard var meter = routeMetrics[id], let status = scheduler.status(of: id) else { continue }
            let counts = status.counts
            meter.metrics.started.add(counts.started &- meter.told.started)
            meter.metrics.succeeded.add(counts.succeeded &- meter.told.succeeded)
            meter.metrics.retried.add(counts.retried &- meter.told.retried)
            meter.metrics.dead.add(counts.dead &- meter.told.dead)
            meter.metrics.skipped.add((counts.skipped + counts.filtered) &- (meter.told.skipped + meter.told.filtered))
            meter.metrics.inFlight.set(Int64(status.inFlight))
            meter.metrics.waiting.set(Int64(status.waiting))
            meter.metrics.lagEvents.set(clamping: status.streamEnd - min(status.watermark, status.streamEnd))
            meter.metrics.workers.set(Int64(status.workers))
            meter.told = counts
            routeMetrics[id] = meter
        }
    }
}

extension Engine {
    /// Drops the parked event in this row, which has to be the first of its subject. Returns when it is written; false: it is not parked (any more).
    public func dropParked(lambda: String, subjectHash: UInt64, row id: Int64) async -> Bool {
        let journal = journal
        let routes = await query { $0.scheduler.activeRoutes }
        for route in routes {
            guard let row = try? journal.deferredRows(route, subjectHash: subjectHash, after: 0, maximumBytes: 1).first, row.id == id else {
                continue
            }
            guard await query({ $0.scheduler.dropFirst(route: route, hash: subjectHash) }) else { return false }
            // The row is read, its first event dropped, and that written: seen in the journal.
            let deadline = ContinuousClock.now + .seconds(10)
            while ContinuousClock.now < deadline {
                let first = try? journal.deferredRows(route, subjectHash: subjectHash, after: 0, maximumBytes: 1).first
                if first?.id != row.id || first?.done != row.done { return true }
                try? await Task.sleep(for: .milliseconds(5))
            }
            return false
        }
        return false
    }
}
