/// What `after:` makes of the lambdas: checks it, and puts upstreams first.
struct Topology {
    let domains: [TableReader.DomainDraft]
    let lambdas: [String: TableReader.LambdaDraft]
    let log: ProblemLog

    /// Notes unknown upstreams, upstreams that are missing in a domain, cycles; warns of lambdas that no domain lists.
    func check() {
        let byPlace = lambdas.sorted { ($0.value.at, $0.key) < ($1.value.at, $1.key) }.map(\.key)
        checkUpstreams(byPlace)
        checkCycles(byPlace)
        warnOfUnrouted(byPlace)
    }

    /// `names`, each after all of its upstreams, otherwise in the order given. There must be no cycle.
    func sorted(_ names: [String]) -> [String] {
        var waiting = names
        var sorted: [String] = []
        var placed: Set<String> = []
        while !waiting.isEmpty {
            let isReady = { (name: String) in lambdas[name]?.route.after.allSatisfy(placed.contains) ?? true }
            guard let next = waiting.firstIndex(where: isReady) else { preconditionFailure("cycles are refused before sorting") }
            let name = waiting.remove(at: next)
            placed.insert(name)
            sorted.append(name)
        }
        return sorted
    }

    private func checkUpstreams(_ names: [String]) {
        let members = domains.map { (domain: $0, names: Set($0.lambdas.map(\.name))) }
        for name in names {
            guard let draft = lambdas[name] else { continue }
            for (upstream, at) in draft.after where upstream != name {
                guard lambdas[upstream] != nil else {
                    let near = NearestName.of(upstream, among: names.filter { $0 != name })
                    let hint = near.map { "did you mean '\($0)'?" } ?? "list it in a domain of '\(name)'"
                    log.add(at, "unknown lambda \(quoted(upstream)) in 'after' of lambda '\(name)'", hint: hint)
                    continue
                }
                for (domain, listed) in members where listed.contains(name) && !listed.contains(upstream) {
                    log.add(
                        at, "lambda '\(name)' comes after '\(upstream)', which is not in domain '\(domain.route.name)'",
                        hint: "add '\(upstream)' to the lambdas of '\(domain.route.name)'")
                }
            }
        }
    }

    /// A depth-first walk against the arrows, without recursion since the file decides how deep it goes.
    private func checkCycles(_ names: [String]) {
        var finished: Set<String> = []
        for start in names where !finished.contains(start) {
            var path: [(name: String, next: Int)] = [(start, 0)]
            var onPath: [String: Int] = [start: 0]
            while let (name, next) = path.last {
                let upstreams = lambdas[name]?.after ?? []
                guard next < upstreams.count else {
                    finished.insert(name)
                    onPath[name] = nil
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let (upstream, at) = upstreams[next]
                if let begin = onPath[upstream] {
                    note(cycle: path[begin...].map(\.name), at: at)
                } else if !finished.contains(upstream), lambdas[upstream] != nil {
                    onPath[upstream] = path.count
                    path.append((upstream, 0))
                }
            }
        }
    }

    private func note(cycle: [String], at: Position) {
        if cycle.count == 1 {
            return log.add(at, "lambda '\(cycle[0])' comes after itself", hint: "remove this 'after'")
        }
        // The walk went from each lambda to what it comes after.
        var shown = cycle.prefix(10).map { "'\($0)'" }
        if cycle.count > shown.count { shown.append("\(cycle.count - shown.count) more") }
        shown.append("'\(cycle[0])'")
        log.add(at, "these lambdas wait for each other: \(shown.joined(separator: " after "))", hint: "remove one 'after' of the cycle")
    }

    private func warnOfUnrouted(_ names: [String]) {
        let listed = Set(domains.flatMap { $0.lambdas.map(\.name) })
        let undefined = names.filter { lambdas[$0]?.isDefined == false }
        for name in names where !listed.contains(name) {
            guard let draft = lambdas[name] else { continue }
            let hint = NearestName.of(name, among: undefined).map { "is it the '\($0)' that a domain lists?" }
            log.warn(draft.at, "lambda '\(name)' gets no events: no domain lists it", hint: hint)
        }
    }
}
