import Dispatcher
import EventSources
import Foundation
import Frontend
import Journal
import Routing
import Supervisor
import Synchronization
import Telemetry

// The state of everything, for `capelet status` and the Frontend.

extension CapeletHost {
    func status() async throws -> HostStatus {
        let now = state.withLock { $0 }
        let (routes, supervisor) = await engine.status(routes: now.routes.map(\.id))
        let figures = journal.figures()
        let counts = try journal.rowCounts()
        var status = HostStatus(
            version: Host.version, pid: getpid(), startedAtMillis: startedMillis,
            uptimeSeconds: (ContinuousClock.now - started).components.seconds,
            state: now.state, configPath: URL(fileURLWithPath: configPath).path, dataPath: now.table.data, generation: now.generation,
            listening: now.listening,
            lastReload: now.lastReload)
        status.journal.groups = figures.groups
        status.journal.events = figures.events
        status.journal.lastGroupMicros = figures.lastGroupMicros
        status.journal.databaseBytes = figures.databaseBytes
        status.journal.walBytes = figures.walBytes
        status.journal.fault = figures.fault
        for (name, domain) in now.table.domains.sorted(by: { $0.key < $1.key }) {
            let sizes = now.streams[name].flatMap { figures.streams[$0] } ?? StreamFigures()
            status.domains.append(
                DomainStatus(
                    name: name, start: sizes.start, end: sizes.end, bytes: sizes.bytes, accepted: sizes.end, ids: sizes.ids,
                    deduplicate: "\(domain.deduplicate.components.seconds)s or \(domain.deduplicateCountMax) ids"))
        }
        let order = now.table.domains.sorted { $0.key < $1.key }.flatMap { domain in domain.value.lambdas.map { (domain.key, $0) } }
        for (domain, lambda) in order {
            guard let route = now.routes.first(where: { $0.lambda == lambda && $0.domain == domain }) else { continue }
            status.lambdas.append(
                self.status(of: route, in: now, route: routes[route.id], supervisor: supervisor, counts: counts[route.id] ?? RowCounts()))
        }
        status.sources = sourceStatus(now)
        status.warnings = now.table.warnings + now.plan.unreadable + now.refused.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        if let warning = diskWarning(now.table.data, journalBytes: max(figures.databaseBytes, figures.walBytes)) {
            status.warnings.append(warning)
        }
        return status
    }

    /// What to say when the disk has so little room left that the journal refuses events, or soon will: from four fifths on (Docs/SEMANTICS.md).
    func diskWarning(_ folder: String, journalBytes: UInt64) -> String? {
        var disk = statvfs()
        guard statvfs(folder, &disk) == 0 else { return nil }
        let free = UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
        guard journalBytes / 4 >= free else { return nil }
        return "the disk of \(folder) has \(free >> 10) KiB left for a journal of \(journalBytes >> 10) KiB: "
            + "new events are refused (429) or soon will be; make room on it, or lower `retention:`"
    }

    private func status(
        of route: RouteState, in now: State, route status: RouteStatus?, supervisor: SupervisorStatus, counts: RowCounts
    ) -> LambdaStatus {
        let pool = supervisor.pools.first { $0.lambda == route.lambda }
        let generation = now.plan.generations[route.lambda]
        let function = now.table.lambdas[route.lambda]?.function
        var result = LambdaStatus(
            name: route.lambda, domain: route.domain,
            plugin: generation?.plugin ?? function?.libraryName ?? now.table.lambdas[route.lambda]?.plugin ?? "",
            generation: pool?.generationNumber ?? generation?.number ?? 0)
        if let sandbox = now.plan.sandboxes[route.lambda] {
            result.sandbox = SandboxStatus(tier: sandbox.tier.rawValue, mechanisms: sandbox.mechanisms, lacks: sandbox.lacks)
        }
        result.rolledBackFrom = now.plan.rollbacks[route.lambda]?.fromNumber
        result.function = function?.function
        if let reason = now.plan.missing[route.lambda] {
            result.state = .missing
            result.reason = reason
        } else if now.paused.contains(route.lambda) || now.table.lambdas[route.lambda]?.enabled == false {
            result.state = .paused
            result.reason = now.paused.contains(route.lambda) ? "paused by an operator" : "`enabled: false`"
        } else if let reason = now.broken[route.lambda] ?? pool?.fault, pool?.ready ?? 0 == 0 {
            result.state = .broken
            result.reason = reason
        } else if status?.isHolding == true {
            result.state = .holding
            result.reason = "different subjects failed one after another: it probes until one succeeds"
        } else if let pool, pool.wanted > 0, pool.ready == 0 {
            let last = deathLog.last(lambda: route.lambda).map { "; the last: \($0.message)" } ?? ""
            result.reason = "no worker is ready\(last)"
        }
        result.workers = supervisor.workers.filter { $0.lambda == route.lambda }.map { worker in
            WorkerStatus(
                id: Int(truncatingIfNeeded: worker.id), pid: worker.pid, state: worker.state.rawValue,
                restarts: Int(truncatingIfNeeded: pool?.restarts ?? 0), mode: worker.mode, generation: worker.generationNumber)
        }
        if let status {
            result.watermark = status.watermark
            result.lag = status.streamEnd - min(status.watermark, status.streamEnd)
            result.inFlight = status.inFlight
            result.waiting = status.waiting
            result.started = status.counts.started
            result.succeeded = status.counts.succeeded
            result.retried = status.counts.retried
            result.skipped = status.counts.skipped + status.counts.filtered
        }
        result.deferred = counts.deferred
        result.parked = counts.parked
        result.dead = counts.dead
        let metrics = metrics.lambda(route.lambda, domain: route.domain)
        result.crashes = metrics.crashCounts().filter { $0.value > 0 }
        result.recycled = pool?.recycled ?? [:]
        result.startMicros = Self.quantiles(metrics.startLatency)
        result.doneMicros = Self.quantiles(metrics.doneLatency)
        return result
    }

    private static func quantiles(_ histogram: LatencyHistogram) -> Quantiles {
        let snapshot = histogram.snapshot()
        return Quantiles(p50: snapshot.quantile(0.5), p99: snapshot.quantile(0.99), max: snapshot.maxMicros, count: snapshot.count)
    }

    /// What is wrong with a source that runs; nil: nothing.
    private static func complaint(_ status: EventSources.SourceStatus) -> String? {
        if let error = status.lastError { return error }
        if !status.detail.isEmpty { return status.detail }
        let unreadable = status.lastScan?.unreadable ?? 0
        if unreadable == 0 { return nil }
        return "\(unreadable) \(unreadable == 1 ? "folder" : "folders") below it cannot be read: the log names the first ones"
    }

    private func sourceStatus(_ now: State) -> [Frontend.SourceStatus] {
        now.table.domains.sorted { $0.key < $1.key }.compactMap { name, domain in
            guard case .directory(let settings)? = domain.source else { return nil }
            guard let source = now.sources[name] else {
                return Frontend.SourceStatus(domain: name, path: settings.path, state: "stopped", error: now.sourceErrors[name])
            }
            let status = source.status()
            return Frontend.SourceStatus(
                domain: name, path: settings.path, state: status.state.rawValue, entries: status.files, events: status.announced,
                lastScanMillis: status.lastScan?.endedMillis, error: Self.complaint(status))
        }
    }
}
