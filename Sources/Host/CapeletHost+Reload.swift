import Dispatcher
import Foundation
import Frontend
import Journal
import Logging
import Routing
import Supervisor
import Synchronization

// SIGHUP and `capelet reload` (SEMANTICS §6).

extension CapeletHost {
    func reload() async throws -> ReloadReport {
        guard state.withLock({ $0.state == "running" }) else { throw ControlError(.unavailable, "the host is starting or ending") }
        return await reloads.run { await self.reloadOnce() }
    }

    private func reloadOnce() async -> ReloadReport {
        let begin = ContinuousClock.now
        let old = state.withLock { $0 }
        func refuse(_ errors: [String]) -> ReloadReport {
            for error in errors { logger.error("reload refused, the old state serves on: \(error)") }
            finish(accepted: false, message: errors.joined(separator: "\n"))
            return ReloadReport(accepted: false, generation: old.generation, errors: errors, millis: millis(since: begin))
        }

        let table: RouteTable
        do { table = try RoutingFile.load(path: configPath) } catch { return refuse(error.problems.map { "\($0)" }) }
        if table.data != old.table.data {
            return refuse(["`data:` cannot change while the host runs (\(old.table.data) to \(table.data)): restart"])
        }
        if table.plugins != old.table.plugins {
            return refuse(["`plugins:` cannot change while the host runs (\(old.table.plugins) to \(table.plugins)): restart"])
        }
        let tokens: TokenBook
        do { tokens = try TokenBook(table) } catch { return refuse(["\(error)"]) }
        if tokens.isEmpty, old.listen.isReachable {
            return refuse([
                "without `tokens:` everybody could reach \(old.listen.http ?? "the listener"), which stays open until the host is restarted: "
                    + "keep tokens, or restart"
            ])
        }
        var plan: HostPlan
        do {
            let scan = try store.scan(inUse: old.plan.inUse, table: table)
            plan = HostPlan(table: table, scan: scan, rollbacks: Array(old.plan.rollbacks.values), kept: kept)
            plan.confine(by: planner, table: table)
        } catch {
            return refuse(["the plugins cannot be read: \(error)"])
        }
        guard plan.missing.isEmpty else {
            return refuse(plan.missing.sorted { $0.key < $1.key }.map { "\($0.key) cannot be served: \($0.value)" })
        }
        var changes = table.changes(from: old.table).map(\.description)
        for (lambda, generation) in plan.generations.sorted(by: { $0.key < $1.key }) {
            if let before = old.plan.generations[lambda] {
                if before.id != generation.id { changes.append("lambda \(lambda): \(before.label) is replaced by \(generation.label)") }
            } else if old.plan.missing[lambda] != nil {
                changes.append("lambda \(lambda): it was missing; \(generation.label) serves it")
            }
        }
        for (rollback, reason) in plan.endedRollbacks {
            changes.append("lambda \(rollback.lambda): its rollback to #\(rollback.toNumber) has ended: \(reason)")
        }
        if tokens != old.tokens { changes.append("tokens have changed") }
        var warnings = table.warnings + plan.unreadable
        if table.listen != old.listen { warnings.append("`listen:` has changed: it takes effect when the host is started anew") }

        let made: Made
        do { made = try await takeOver(table: table, plan: plan, from: old) } catch { return refuse(error.reasons) }
        let removedSources = old.table.domains.filter { name, domain in
            domain.source != nil && table.domains[name]?.source != domain.source
        }
        stopSources(Array(removedSources.keys))
        state.withLock {
            $0.table = table
            $0.plan = plan
            $0.configuration = made.configuration
            $0.streams = made.streams
            $0.routes = made.routes
            $0.tokens = tokens
            $0.generation += 1
        }
        frontend.withLock { $0 }?.replaceTokens(tokens)
        remember(plan)
        startSources(table)
        for warning in warnings { logger.warning("\(warning)") }
        logger.notice("reloaded: \(changes.isEmpty ? "nothing changed" : changes.joined(separator: "; "))")
        finish(accepted: true, message: changes.isEmpty ? "nothing changed" : changes.joined(separator: "\n"))
        return ReloadReport(
            accepted: true, generation: old.generation + 1, changes: changes, warnings: warnings, millis: millis(since: begin))
    }

    /// Why a state cannot serve.
    struct Refusal: Error { var reasons: [String] }

    /// Starts what a plan needs beside what serves, and waits until it serves. If it cannot, what served before serves on.
    ///
    /// - Parameter required: a lambda that has to serve even if it did not before.
    func takeOver(table: RouteTable, plan: HostPlan, from old: State, required: String? = nil) async throws(Refusal) -> Made {
        let made: Made
        do {
            made = try configuration(table: table, plan: plan, known: Set(old.routes.map(\.id)))
        } catch {
            journal.setLive(old.routes.map(\.id))
            throw Refusal(reasons: ["\(error)"])
        }
        state.withLock {
            $0.refused = [:]
            $0.broken = $0.broken.filter { old.plan.generations[$0.key] != nil && $0.key != required }
            $0.streams = made.streams.merging(old.streams) { new, _ in new }
        }
        await engine.apply(made.configuration)
        let failures = await waitForWorkers(table: table, plan: plan, old: old, required: required)
        if !failures.isEmpty {
            await goBack(to: old)
            throw Refusal(reasons: failures)
        }
        return made
    }

    /// What cannot serve does not: back to what did.
    func goBack(to old: State) async {
        journal.setLive(old.routes.map(\.id))
        await engine.apply(old.configuration)
        state.withLock { $0.streams = old.streams }
    }

    func millis(since begin: ContinuousClock.Instant) -> Int64 { Int64((ContinuousClock.now - begin) / .milliseconds(1)) }

    private func finish(accepted: Bool, message: String) {
        state.withLock {
            $0.lastReload = LastReload(atMillis: Int64(Date().timeIntervalSince1970 * 1000), ok: accepted, message: message)
        }
    }

    /// Waits until every lambda whose workers are made anew has one that is ready, or was given up. Returns why, for those.
    private func waitForWorkers(table: RouteTable, plan: HostPlan, old: State, required: String?) async -> [String] {
        let boot = plan.generations.keys.compactMap { table.lambdas[$0]?.limits.boot }.max() ?? .seconds(10)
        let deadline = ContinuousClock.now + boot * 4 + .seconds(2)
        func refusals() -> [String] {
            state.withLock { $0.refused }.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        }
        while true {
            let supervisor = await engine.status(routes: []).supervisor
            let refused = refusals()
            if !refused.isEmpty { return refused }
            let waiting = supervisor.pools.filter { pool in
                let isNew = old.plan.generations[pool.lambda] == nil || pool.lambda == required
                return pool.candidate != nil || (isNew && pool.ready == 0 && pool.wanted > 0)
            }
            if waiting.isEmpty {
                // A candidate that was given up is gone at once, and why is told in the engine's same turn, but later: ask in its next one.
                _ = await engine.status(routes: [])
                return refusals()
            }
            // A lambda without an old state to go back to is not given up by the supervisor; that its breaker opens says that it does not come up.
            let broken = state.withLock { $0.broken }
            let failures = waiting.compactMap { pool in broken[pool.lambda].map { "\(pool.lambda): \($0)" } }
            if !failures.isEmpty { return failures }
            if ContinuousClock.now > deadline {
                return waiting.map { "\($0.lambda): no worker was ready in time: \($0.fault ?? "see the log")" }
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
