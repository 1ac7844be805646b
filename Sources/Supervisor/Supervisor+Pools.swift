internal import CLinux
internal import CWorkerProtocol
internal import Glibc
internal import Logging
internal import Routing
internal import WorkerProtocol

extension Supervisor {
    // MARK: keeping the number of workers

    /// Starts what a lambda lacks.
    func maintain(_ pool: Pool, nowMillis: Int64) {
        if let candidate = pool.candidate { maintain(candidate, of: pool, nowMillis: nowMillis) }
        maintain(pool.current, of: pool, nowMillis: nowMillis)
    }

    private func maintain(_ target: PoolTarget, of pool: Pool, nowMillis: Int64) {
        guard target.failure == nil else { return }
        if target.policy.isTroubled {
            if target.takeSuccess() { target.policy.succeeded() }
            target.policy.tick(nowMillis: nowMillis)
            if let change = target.policy.nextChangeMillis() { wake(at: change) }
            // A success does not call: look for it.
            if target.policy.isTroubled, target.workers.contains(where: { $0.state == .ready }) { wake(at: nowMillis + 100) }
            if target.isBroken, target.policy.breaker == .closed {
                target.isBroken = false
                for worker in target.workers { worker.isProbe = false }
                logger.notice("lambda \(pool.lambda) works again")
                tell(.poolMended(lambda: pool.lambda))
            }
        }
        let allowed = target.policy.allowed(of: target.spec.route.workers)
        sayWhoIsSurplus(target)
        while target.lastingCount < allowed {
            let notBefore = max(target.policy.notBeforeMillis, target.loadNotBeforeMillis, resources.untilMillis)
            guard notBefore <= nowMillis else { return wake(at: notBefore) }
            guard let keeper = keeper(for: target, nowMillis: nowMillis), keeper.state == .ready else { return }
            // Each that has started brings us back here.
            guard keeper.startsAsked < Keeper.startsAskedMax else { return }
            guard budget.take(nowMillis: nowMillis) else { return wake(at: nowMillis + budget.millisToNext) }
            do {
                try startWorker(target, keeper: keeper, nowMillis: nowMillis)
                if target.wasEverReady, !target.workers.contains(where: { $0.recycling != nil }) { pool.restarts += 1 }
                resources.worked()
                resourceFaultSaid = nil
            } catch {
                return resourceFault(error, nowMillis: nowMillis)
            }
        }
    }

    /// A smaller number of workers is wanted than before.
    private func sayWhoIsSurplus(_ target: PoolTarget) {
        var surplus = target.lastingCount - target.spec.route.workers
        guard surplus > 0 else { return }
        for worker in target.workers.reversed() where surplus > 0 && worker.state == .ready && worker.recycling == nil {
            surplus -= 1
            if worker.surplusSaid { continue }
            worker.surplusSaid = true
            tell(.workerSurplus(worker))
        }
    }

    /// Memory, descriptors or processes are short: later. Said once, until something works again.
    func resourceFault(_ error: SystemCallError, nowMillis: Int64) {
        resources.failed(nowMillis: nowMillis)
        wake(at: resources.untilMillis)
        if resourceFaultSaid != error.description {
            resourceFaultSaid = error.description
            logger.error("cannot start workers at the moment, trying again: \(error)")
        }
    }

    /// The keeper that serves a target, started now if there is none; nil: not now.
    private func keeper(for target: PoolTarget, nowMillis: Int64) -> Keeper? {
        let key = KeeperKey(target.spec)
        for keeper in keepers.values where keeper.key == key && (keeper.state == .ready || keeper.state == .loading) { return keeper }
        guard keeperNotBeforeMillis <= nowMillis else {
            wake(at: keeperNotBeforeMillis)
            return nil
        }
        guard budget.take(nowMillis: nowMillis) else {
            wake(at: nowMillis + budget.millisToNext)
            return nil
        }
        let keeper: Keeper
        var group: ControlGroup?
        do {
            group = try groups?.take(key.groupLimits)
            keeper = try Keeper.start(executable: workerExecutable, id: newID(), spec: target.spec, group: group, nowMillis: nowMillis)
        } catch {
            if let group { groups?.release(group) }
            if error.code == ENOENT || error.code == EACCES {
                // Not a shortage: the generation's copy, or the worker's executable, is gone.
                loadFailed(key: key, generation: target.spec.generation, reason: error.description, nowMillis: nowMillis)
            } else {
                resourceFault(error, nowMillis: nowMillis)
            }
            return nil
        }
        do {
            try poller.add(keeper.socket, tag: PollTag(.keeperSocket, keeper.id).rawValue)
            try poller.add(keeper.pidfd, tag: PollTag(.keeperProcess, keeper.id).rawValue)
            try poller.add(keeper.outputPipe, tag: PollTag(.keeperOutput, keeper.id).rawValue)
            try poller.add(keeper.errorPipe, tag: PollTag(.keeperError, keeper.id).rawValue)
        } catch {
            // Without the poller its end would never be seen: take it back at once and wait for it, which is short after SIGKILL.
            discard(keeper)
            resourceFault(error, nowMillis: nowMillis)
            return nil
        }
        spawns += 1
        keepers[keeper.id] = keeper
        wake(at: keeper.deadlineMillis)
        return keeper
    }

    // MARK: failures

    /// A generation could not be loaded under these limits.
    func loadFailed(key: KeeperKey, generation: PluginGeneration, reason: String, nowMillis: Int64) {
        logger.error("\(generation.label) could not be loaded: \(reason)")
        tell(.loadFailed(plugin: generation.plugin, generation: generation.label, reason: reason))
        isDirty = true
        for pool in pools.values {
            for target in [pool.candidate, pool.current] {
                guard let target, target.failure == nil, KeeperKey(target.spec) == key else { continue }
                if target.wasEverReady {
                    // It has been loaded before: what is wrong now is not the plugin, so it is never given up, only tried less often.
                    count(.atStart, target, of: pool, hadSuccess: target.takeSuccess(), reason: reason, nowMillis: nowMillis)
                    continue
                }
                target.loadFailures += 1
                if target.loadFailures >= Self.triesMax {
                    giveUp(target, of: pool, reason: "\(generation.label) could not be loaded: \(reason)", nowMillis: nowMillis)
                } else {
                    target.loadNotBeforeMillis = nowMillis + (target.loadFailures == 1 ? 0 : 200)
                }
            }
        }
    }

    /// A spec is given up until the next reload.
    func giveUp(_ target: PoolTarget, of pool: Pool, reason: String, nowMillis: Int64) {
        target.failure = reason
        pool.fault = reason
        logger.error("lambda \(pool.lambda): \(reason); given up until the next reload")
        tell(.poolRefused(lambda: pool.lambda, revision: target.spec.revision, reason: reason))
        if pool.candidate === target {
            pool.candidate = nil
            drop(target, nowMillis: nowMillis)
        }
    }

    /// Ends a candidate whose workers the engine has never seen.
    func drop(_ target: PoolTarget, nowMillis: Int64) {
        target.isLive = false
        for worker in target.workers { terminate(worker, .reload, nowMillis: nowMillis) }
    }

    func forgetFailures(_ target: PoolTarget) {
        let wasBroken = target.isBroken
        target.policy = RestartPolicy()
        target.loadFailures = 0
        target.startFailures = 0
        target.loadNotBeforeMillis = .min
        target.failure = nil
        target.isBroken = false
        if wasBroken { tell(.poolMended(lambda: target.spec.lambda)) }
    }

    /// A worker no longer counts for its target.
    func forget(_ worker: WorkerHandle) {
        worker.target.workers.removeAll { $0 === worker }
    }

    /// A death counts for its lambda, or not; then its place is free.
    func settle(_ worker: WorkerHandle, pinnedOnEvent: Bool, nowMillis: Int64) {
        isDirty = true
        let target = worker.target
        var hadSuccess = target.takeSuccess()
        if worker.hasSucceeded {
            hadSuccess = true
            worker.hasSucceeded = false
        }
        let counted = target.workers.contains { $0 === worker }
        forget(worker)
        guard counted, target.isLive, !isShuttingDown else { return }
        let death: RestartPolicy.Death
        switch worker.deathKind {
        case .timeout, .reload, .shutdown: death = .byHost
        case .external where worker.waitStatus == nil: death = .byHost
        case .external: death = .external
        case _ where !worker.wasReady: death = .atStart
        default: death = pinnedOnEvent ? .pinned : .unpinned
        }
        guard let pool = pools[worker.lambda] else { return }
        if death == .atStart, pool.candidate === target, !target.wasEverReady {
            target.startFailures += 1
            if target.startFailures >= Self.triesMax {
                return giveUp(target, of: pool, reason: "its workers do not start: \(worker.deathText)", nowMillis: nowMillis)
            }
        }
        // Refusing to start, in words, is not crashing: what it lacks may come.
        let isUntried = death == .atStart && !target.wasEverReady && !worker.hasRefusedToStart
        count(
            death, target, of: pool, isUntried: isUntried, hadSuccess: hadSuccess, reason: worker.deathText, nowMillis: nowMillis)
    }

    /// Tells a target's policy of a death, and the engine if that opens the breaker.
    private func count(
        _ death: RestartPolicy.Death, _ target: PoolTarget, of pool: Pool, isUntried: Bool = false, hadSuccess: Bool, reason: String,
        nowMillis: Int64
    ) {
        let jitter = Double.random(in: 0..<1, using: &random)
        guard target.policy.died(death, isUntried: isUntried, hadSuccess: hadSuccess, nowMillis: nowMillis, jitter: jitter),
            case .open(let until) = target.policy.breaker
        else { return }
        target.isBroken = true
        let seconds = RestartPolicy.probeMillis / 1000
        logger.error("lambda \(pool.lambda): its workers keep dying without a success; held, tried again in \(seconds) s. Last: \(reason)")
        tell(.poolBroken(lambda: pool.lambda, reason: reason, untilMillis: until))
    }
}
