import Foundation
import Frontend
import Logging
import Routing
import Supervisor
import Synchronization

// `capelet rollback`: a lambda runs an earlier generation of its plugin than the plugins folder has. See `Rollback`, `GenerationHistory`.

extension CapeletHost {
    func rollback(lambda: String, undo: Bool) async throws -> RollbackReport {
        guard state.withLock({ $0.state == "running" }) else { throw ControlError(.unavailable, "the host is starting or ending") }
        try require(lambda)
        return try await reloads.change { try await self.rollbackOnce(lambda, undo: undo) }
    }

    private func rollbackOnce(_ lambda: String, undo: Bool) async throws -> RollbackReport {
        let begin = ContinuousClock.now
        let old = state.withLock { $0 }
        if let function = old.table.lambdas[lambda]?.function {
            throw ControlError(
                .conflict,
                "\(lambda) is a function of \(function.libraryName), not of a plugin: put the earlier library in its place, and reload")
        }
        let (target, rollback) = try undo ? undoing(lambda, in: old.plan) : goingBack(lambda, in: old)
        var plan = old.plan
        plan.generations[lambda] = target
        plan.missing[lambda] = nil
        plan.rollbacks[lambda] = rollback
        plan.confine(by: planner, table: old.table)
        if let reason = plan.missing[lambda] { throw ControlError(.conflict, "\(target.label) cannot serve: \(reason)") }
        let made: Made
        do {
            made = try await takeOver(table: old.table, plan: plan, from: old, required: lambda)
        } catch {
            let reasons = error.reasons.joined(separator: "; ")
            logger.error("rollback of \(lambda) refused, what served before serves on: \(reasons)")
            throw ControlError(.conflict, "\(target.label) cannot serve, what served before serves on: \(reasons)")
        }
        do {
            try rollbackFile.write(Array(plan.rollbacks.values))
        } catch {
            // What a restart would forget is not done.
            await goBack(to: old)
            throw ControlError(.unavailable, "it cannot be written down, what served before serves on: \(error)")
        }
        state.withLock {
            $0.plan = plan
            $0.configuration = made.configuration
            $0.streams = made.streams
            $0.routes = made.routes
        }
        let from = rollback?.fromNumber ?? target.number
        if let rollback {
            logger.notice("lambda \(lambda) is \(rollback.words) of \(rollback.plugin): \(target.label) serves it")
        } else {
            logger.notice("the rollback of lambda \(lambda) is taken back: \(target.label) serves it")
        }
        return RollbackReport(
            lambda: lambda, plugin: target.plugin, from: from, to: target.number, undone: undo, millis: millis(since: begin))
    }

    private func undoing(_ lambda: String, in plan: HostPlan) throws -> (PluginGeneration, Rollback?) {
        guard let rollback = plan.rollbacks[lambda] else { throw ControlError(.conflict, "\(lambda) is not rolled back") }
        guard let latest = plan.latest[lambda] else {
            throw ControlError(
                .conflict, "\(rollback.plugin) is not in the plugins folder, or cannot be loaded: put it there, and reload")
        }
        return (latest, nil)
    }

    private func goingBack(_ lambda: String, in old: State) throws -> (PluginGeneration, Rollback?) {
        guard let serving = old.plan.generations[lambda] else {
            throw ControlError(.conflict, "\(lambda) is not served: \(old.plan.missing[lambda] ?? "its plugin is missing")")
        }
        guard let id = store.previous(of: serving) else {
            throw ControlError(
                .conflict,
                "no generation of \(serving.plugin) that served before #\(serving.number) is kept; "
                    + "`limits: { generations: \(old.table.limits.generationsKept) }` says how many are")
        }
        let target: PluginGeneration
        do {
            target = try store.generation(plugin: serving.plugin, id: id)
        } catch {
            throw ControlError(.conflict, "the generation before cannot be loaded: \(error)")
        }
        let entry = old.table.lambdas[lambda]?.entry ?? lambda
        guard target.lambdas.contains(where: { $0.name == entry }) else {
            let names = target.lambdas.map(\.name).joined(separator: ", ")
            throw ControlError(.conflict, "\(target.label) has no lambda '\(entry)'; it has: \(names)")
        }
        var rollback = old.plan.rollbacks[lambda] ?? Rollback(lambda: lambda, from: serving, to: target)
        rollback.toID = target.id
        rollback.toNumber = target.number
        return (target, rollback)
    }

    /// The generation that a rollback leads to.
    func kept(_ rollback: Rollback) -> Result<PluginGeneration, PluginFailure> {
        Result { () throws(PluginFailure) in try store.generation(plugin: rollback.plugin, id: rollback.toID) }
    }

    /// Writes down what serves since a start or a reload: in which order contents came to serve, and which rollbacks hold.
    ///
    /// A failure is logged only: a rollback that has ended ends again at the next start, since the plugins folder says so.
    func remember(_ plan: HostPlan) {
        do {
            // Of a library of the system there are no copies to be put in order.
            try store.cameToServe(plan.latest.values.filter { $0.kind != .system }, inUse: plan.inUse)
            guard !plan.endedRollbacks.isEmpty else { return }
            for (rollback, reason) in plan.endedRollbacks {
                logger.notice("the rollback of lambda \(rollback.lambda) to #\(rollback.toNumber) has ended: \(reason)")
            }
            try rollbackFile.write(Array(plan.rollbacks.values))
        } catch {
            logger.error("cannot write down what serves: \(error)")
        }
    }

    /// A lambda that is forgotten has no rollback any more.
    func forgetRollback(_ lambda: String) {
        let rollbacks = state.withLock { state -> [Rollback]? in
            guard state.plan.rollbacks.removeValue(forKey: lambda) != nil else { return nil }
            return Array(state.plan.rollbacks.values)
        }
        guard let rollbacks else { return }
        do { try rollbackFile.write(rollbacks) } catch {
            logger.error("cannot write down that \(lambda) has no rollback any more: \(error)")
        }
    }
}
