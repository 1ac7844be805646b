internal import Routing

extension Supervisor {
    /// A picture of the present. Not cheap: for status pages.
    public func status(nowMillis: Int64) -> SupervisorStatus {
        let pools = pools.values.sorted { $0.lambda < $1.lambda }.map { pool -> SupervisorStatus.Pool in
            let target = pool.current
            let key = KeeperKey(target.spec)
            let breaker: (String, Int64) =
                switch target.policy.breaker {
                case .closed: ("closed", 0)
                case .open(let until): ("open", max(0, until - nowMillis))
                case .probing: ("probing", 0)
                }
            return SupervisorStatus.Pool(
                lambda: pool.lambda, generation: target.spec.generation.label, generationNumber: target.spec.generation.number,
                plugin: target.spec.generation.plugin, candidate: pool.candidate?.spec.generation.label, wanted: target.spec.route.workers,
                ready: target.workers.count { $0.state == .ready },
                mode: self.keepers.values.first { $0.key == key && $0.threads > 0 }?.mode ?? "", breaker: breaker.0,
                probeInMillis: breaker.1,
                restarts: pool.restarts,
                recycled: Dictionary(uniqueKeysWithValues: pool.recycled.map { ($0.key.rawValue, $0.value) }),
                fault: target.failure ?? pool.fault, lastDeath: deaths.last(lambda: pool.lambda))
        }
        let workers = handles.values.sorted { $0.id < $1.id }.map { worker in
            let cpu = worker.cpuNanos()
            return SupervisorStatus.Worker(
                id: worker.id, lambda: worker.lambda, pid: worker.pid, state: worker.state, generation: worker.spec.generation.label,
                generationNumber: worker.spec.generation.number, mode: worker.keeper.mode, ageMillis: nowMillis - worker.startedMillis,
                cpuMicros: cpu < 0 ? -1 : cpu / 1000)
        }
        let keepers = self.keepers.values.sorted { $0.pid < $1.pid }.map {
            SupervisorStatus.Keeper(pid: $0.pid, generation: $0.generation.label, state: $0.state.text, workers: $0.workers.count)
        }
        return SupervisorStatus(
            pools: pools, workers: workers, keepers: keepers, deathCounts: deaths.counts, deaths: deaths.recent, spawns: spawns)
    }
}
