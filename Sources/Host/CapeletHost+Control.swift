import CWorkerProtocol
import Dispatcher
import Foundation
import Frontend
import Journal
import Logging
import Routing
import Synchronization
import Telemetry
import WorkerProtocol

// What operators ask and order.

extension CapeletHost {
    func routes() -> RouteTable { state.withLock { $0.table } }

    func stream(ofDomain domain: String) -> StreamID? { state.withLock { $0.streams[domain] } }

    func closedReason() -> String? { state.withLock { $0.closedReason } }

    func notReadyReason() -> String? {
        if let reason = closedReason() { return reason }
        let figures = journal.figures()
        if let fault = figures.fault { return "the journal cannot be written: \(fault)" }
        let data = state.withLock { $0.table.data }
        if let warning = diskWarning(data, journalBytes: max(figures.databaseBytes, figures.walBytes)) { return warning }
        return state.withLock { state in
            if let (lambda, reason) = state.plan.missing.min(by: { $0.key < $1.key }) { return "\(lambda) is not served: \(reason)" }
            return nil
        }
    }

    func metrics() async -> String {
        refreshGauges()
        return metrics.registry.exposition()
    }

    private func refreshGauges() {
        let figures = journal.figures()
        let (table, streams, routes) = state.withLock { ($0.table, $0.streams, $0.routes) }
        for name in table.domains.keys {
            guard let stream = streams[name], let sizes = figures.streams[stream] else { continue }
            let domain = metrics.domain(name)
            domain.start.set(clamping: sizes.start)
            domain.end.set(clamping: sizes.end)
            domain.bytes.set(clamping: sizes.bytes)
        }
        guard let counts = try? journal.rowCounts() else { return }
        for route in routes {
            let lambda = metrics.lambda(route.lambda, domain: route.domain)
            lambda.deferred.set(Int64(counts[route.id]?.deferred ?? 0))
            lambda.parked.set(Int64(counts[route.id]?.parked ?? 0))
        }
    }

    func deaths(lambda: String?, limit: Int) async throws -> [WorkerDeath] {
        deathLog.newest(lambda: lambda, limit: limit)
    }

    // MARK: rows

    func redrive(_ selection: RowSelection) async throws -> RowsChanged {
        var changed = RowsChanged(changed: 0)
        let active = Set(state.withLock { $0.routes.map(\.id) })
        var seen: Set<Int64> = []
        for query in try queries(selection) {
            let letters = try journal.deadLetters(query).filter { seen.insert($0.id).inserted }
            let served = letters.filter { active.contains($0.route) }
            for letter in letters where !active.contains(letter.route) {
                changed.refused.append("\(letter.id): its lambda is not in the routing file")
            }
            var parts: [JoinPart] = []
            for letter in served { parts += try joinParts(letter) }
            await engine.redrive(served, parts: parts)
            changed.changed += served.count
            for blocked in try journal.blocked(query) where blocked.state == .parked && seen.insert(blocked.id).inserted {
                await engine.retryNow(lambda: blocked.lambda, subjectHash: journal.subjectHash(blocked.subject))
                changed.changed += 1
            }
        }
        for id in selection.ids where !seen.contains(id) { changed.refused.append("\(id): no dead letter and no parked event has this id") }
        return changed
    }

    private func joinParts(_ letter: DeadLetter) throws -> [JoinPart] {
        let dependents = state.withLock { $0.configuration.routes.first { $0.state.id == letter.route }?.dependents ?? [] }
        let offset = letter.records.view(0).header.pointee.offset
        return try dependents.filter { $0.upstreams.count > 1 }.flatMap { try journal.joinParts($0.stream, position: offset) }
            .filter(\.succeeded)
    }

    func drop(_ selection: RowSelection) async throws -> RowsChanged {
        var changed = RowsChanged(changed: 0)
        var seen: Set<Int64> = []
        for query in try queries(selection) {
            let letters = try journal.deadLetters(query).filter { seen.insert($0.id).inserted }
            await engine.drop(letters.map { ($0.id, $0.route) })
            changed.changed += letters.count
            for blocked in try journal.blocked(query) where blocked.state == .parked && seen.insert(blocked.id).inserted {
                if await engine.dropParked(lambda: blocked.lambda, subjectHash: journal.subjectHash(blocked.subject), row: blocked.id) {
                    changed.changed += 1
                } else {
                    changed.refused.append("\(blocked.id): it is running or no longer parked")
                }
            }
        }
        for id in selection.ids where !seen.contains(id) { changed.refused.append("\(id): no dead letter and no parked event has this id") }
        return changed
    }

    private func queries(_ selection: RowSelection) throws -> [RowQuery] {
        if selection.isEmpty { throw ControlError(.invalid, "say which: ids, --lambda, --domain, --subject, --error, or --all") }
        var query = RowQuery()
        query.lambda = selection.lambda
        query.domain = selection.domain
        query.subject = selection.subject
        query.error = selection.error
        query.limit = 100_000
        guard !selection.ids.isEmpty else { return [query] }
        return selection.ids.map { id in
            var one = query
            one.id = id
            return one
        }
    }

    // MARK: lambdas

    func require(_ lambda: String) throws {
        let names = Set(state.withLock { $0.routes.map(\.lambda) })
        guard names.contains(lambda) else {
            throw ControlError(.unknown, "no domain names a lambda '\(lambda)'; there are: \(names.sorted().joined(separator: ", "))")
        }
    }

    func pause(lambda: String) async throws {
        try require(lambda)
        _ = state.withLock { $0.paused.insert(lambda) }
        await engine.setPaused(lambda: lambda, true)
        logger.notice("\(lambda) is paused")
    }

    func resume(lambda: String) async throws {
        try require(lambda)
        _ = state.withLock { $0.paused.remove(lambda) }
        await engine.setPaused(lambda: lambda, false)
        logger.notice("\(lambda) goes on")
    }

    func forget(lambda: String) async throws -> ForgetReport {
        let active = Set(state.withLock { $0.routes.map(\.id) })
        let routes = try journal.routes().filter { $0.lambda == lambda }
        if routes.isEmpty { throw ControlError(.unknown, "nothing is known of a lambda '\(lambda)'") }
        let gone = routes.filter { !active.contains($0.id) }
        if gone.isEmpty {
            throw ControlError(
                .conflict, "lambda '\(lambda)' is in use by domain '\(routes[0].domain)': take it out of the routing file and reload first")
        }
        guard await engine.forget(gone.map(\.id)).isEmpty else {
            throw ControlError(.conflict, "events of lambda '\(lambda)' still run: try again when they have ended")
        }
        let counts = try journal.rowCounts()
        var deferred = 0
        for route in gone {
            deferred += (counts[route.id]?.deferred ?? 0) + (counts[route.id]?.parked ?? 0)
            try journal.forget(route.id)
        }
        if !state.withLock({ $0.routes.contains { $0.lambda == lambda } }) {
            try await reloads.change { self.forgetRollback(lambda) }
        }
        logger.notice("\(lambda) is forgotten in \(gone.map(\.domain).joined(separator: ", "))")
        return ForgetReport(lambda: lambda, domains: gone.map(\.domain), deferred: deferred)
    }

    func logs(lambda: String?, tail: Int, follow: Bool) async throws -> AsyncStream<LogLine> {
        if let lambda { try require(lambda) }
        return book.read(lambda: lambda, tail: tail, follow: follow)
    }

    /// Writes a summary to the log (SIGUSR1).
    func logSummary() async {
        guard let status = try? await status() else { return }
        for domain in status.domains {
            logger.notice("domain \(domain.name): offsets \(domain.start) to \(domain.end), \(domain.bytes) bytes")
        }
        for lambda in status.lambdas {
            logger.notice(
                "lambda \(lambda.name) in \(lambda.domain): \(lambda.state.rawValue), lag \(lambda.lag), in flight \(lambda.inFlight), deferred \(lambda.deferred), parked \(lambda.parked), dead \(lambda.dead), succeeded \(lambda.succeeded)"
            )
        }
    }
}
