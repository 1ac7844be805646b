import WorkerProtocol

/// Decides what operations mean and has it written: the part of a journal that is the same whatever the storage is.
///
/// One thread at a time; SQLiteJournal runs it on its writer thread, MemoryJournal under its lock.
final class JournalWriter {
    let storage: any JournalStorage
    let view: JournalView
    private let hasher: IDHasher
    private let now: @Sendable () -> Int64
    private var ledgers: [StreamID: StreamLedger] = [:]
    private(set) var routes: [RouteID: RouteState] = [:]
    /// Routes that hold the log; nil until somebody has said so, and until then all of it is kept.
    private var live: Set<RouteID>?
    private var nextStream: UInt32
    private var nextRoute: UInt32

    /// Loads what is stored.
    ///
    /// - Parameter now: milliseconds since 1970.
    init(
        storage: any JournalStorage, view: JournalView, hasher: IDHasher, now: @escaping @Sendable () -> Int64
    ) throws(JournalError) {
        self.storage = storage
        self.view = view
        self.hasher = hasher
        self.now = now
        let stored = try storage.load()
        nextStream = stored.nextStream
        nextRoute = stored.nextRoute
        for stream in stored.streams {
            let ledger = StreamLedger(stream)
            ledgers[ledger.id] = ledger
            view.publish(ledger)
        }
        for route in stored.routes { routes[route.id] = route }
    }

    // MARK: Groups

    /// Writes operations as one group and publishes it. The answers are to be given by the caller, with the error if there is one.
    func write(_ operations: [JournalOperation]) -> GroupOutcome {
        let began = ContinuousClock.now
        var builder = GroupBuilder(hasher: hasher, storage: storage, nowMillis: now())
        for operation in operations {
            do throws(JournalError) {
                switch operation {
                case .append(let request): builder.add(request, to: try admit(request))
                case .commit(let commit, let completion):
                    builder.add(commit, ledgers: try check(commit), completion: completion)
                }
            } catch {
                builder.refuse(operation, error)
            }
        }
        builder.finish()
        var failure = builder.failure
        if failure == nil, !builder.group.isEmpty {
            do throws(JournalError) { try storage.write(builder.group) } catch { failure = error }
        }
        if failure != nil {
            for ledger in builder.touched { ledger.groupFailed() }
        } else {
            for ledger in builder.touched { ledger.groupWritten() }
            for commit in builder.group.commits {
                for progress in commit.progress {
                    routes[progress.route]?.watermark = progress.watermark
                    routes[progress.route]?.ranges = progress.ranges
                }
            }
            let micros = (ContinuousClock.now - began).components
            view.publish(
                builder.touched, builder.group, events: builder.events,
                micros: UInt64(micros.seconds) * 1_000_000 + UInt64(micros.attoseconds / 1_000_000_000_000))
        }
        return GroupOutcome(answers: builder.answers, failure: failure, ends: failure == nil ? builder.group.ends : [])
    }

    /// The ledger of an append that may be taken.
    private func admit(_ request: AppendRequest) throws(JournalError) -> StreamLedger {
        let ledger = try ledger(request.stream, for: "append")
        guard ledger.description.kind == .domain else {
            throw JournalError(.unknown, "stream '\(ledger.description.name)' is no domain's; events are appended to domains")
        }
        try loadWindow(ledger)
        let size = UInt64(request.records.size)
        try checkBacklog(ledger, adding: size)
        return ledger
    }

    /// The ledgers of a commit's appends, once all that it names is known to exist.
    private func check(_ commit: JournalCommit) throws(JournalError) -> [StreamLedger] {
        for progress in commit.progress where routes[progress.route] == nil { throw unknownRoute(progress.route) }
        for change in commit.deferred {
            if case .insert(let row) = change, routes[row.route] == nil { throw unknownRoute(row.route) }
        }
        for letter in commit.dead where routes[letter.route] == nil { throw unknownRoute(letter.route) }
        var found: [StreamLedger] = []
        for append in commit.appends {
            let ledger = try ledger(append.stream, for: "commit")
            try loadWindow(ledger)
            found.append(ledger)
        }
        return found
    }

    private func ledger(_ stream: StreamID, for what: String) throws(JournalError) -> StreamLedger {
        guard let ledger = ledgers[stream] else {
            throw JournalError(.unknown, "\(what): the journal has no stream \(stream.rawValue)")
        }
        return ledger
    }

    private func unknownRoute(_ route: RouteID) -> JournalError {
        JournalError(.unknown, "commit: the journal has no route \(route.rawValue); it may have been forgotten")
    }

    /// Loads the ids that a domain's stream remembers, at its first use.
    private func loadWindow(_ ledger: StreamLedger) throws(JournalError) {
        guard ledger.window == nil, ledger.description.kind == .domain else { return }
        let since = now() - ledger.settings.deduplicateSeconds * 1000
        let countMax = ledger.settings.deduplicateCountMax
        var batches: [(base: UInt64, atMillis: Int64, ids: [IDHash], fingerprints: [IDHash])] = []
        var count = 0
        try storage.rememberedIDs(ledger.id) { base, atMillis, ids, fingerprints in
            guard atMillis >= since else { return false }
            batches.append((base, atMillis, ids, fingerprints))
            count += max(ids.count, fingerprints.count)
            return count < countMax
        }
        let window = IDWindow()
        for batch in batches.reversed() {
            for index in 0..<max(batch.ids.count, batch.fingerprints.count) {
                let offset = batch.base + UInt64(index)
                if index < batch.fingerprints.count, batch.fingerprints[index] != .none {
                    _ = window.offset(of: batch.fingerprints[index], orInsert: offset, atMillis: batch.atMillis)
                }
                if index < batch.ids.count, batch.ids[index] != .none {
                    _ = window.offset(of: batch.ids[index], orInsert: offset, atMillis: batch.atMillis)
                }
            }
        }
        window.removeOldest(countMax: countMax, sinceMillis: since)
        ledger.window = window
    }

    // MARK: Backlog

    /// Refuses events for which there is no room before the slowest live route.
    private func checkBacklog(_ ledger: StreamLedger, adding size: UInt64) throws(JournalError) {
        func estimate() -> UInt64 { ledger.backlog.bytes + (ledger.totalWithStaged - ledger.backlog.atTotal) + size }
        let limit = ledger.settings.backlogBytesMax
        if estimate() > limit {
            try measureBacklog(ledger)
            if estimate() > limit {
                let holder = ledger.holder.map { "lambda '\($0)' is \(ledger.backlog.bytes) bytes behind" } ?? "nothing reads it"
                throw JournalError(
                    .backlog,
                    "domain '\(ledger.description.name)' has a backlog of \(estimate() - size) bytes, its limit is \(limit): \(holder); "
                        + "try again later, resume the lambda or give it more workers")
            }
        }
        if let room = storage.room(), size > room {
            try measureBacklog(ledger)
            let holder = ledger.holder.map { "lambda '\($0)' holds domain '\(ledger.description.name)'" } ?? "no lambda holds it"
            throw JournalError(
                .backlog,
                "the journal fills four fifths of its disk: \(holder); try again later, make room on the disk or let the lambda catch up")
        }
    }

    /// Bytes that the slowest live route has before it. Without one, nothing is held.
    private func measureBacklog(_ ledger: StreamLedger) throws(JournalError) {
        ledger.backlog = (0, ledger.totalWithStaged)
        ledger.holder = nil
        guard let slowest = slowestRoute(of: ledger.id), slowest.watermark < ledger.next else { return }
        let before = try storage.total(of: ledger.id, before: slowest.watermark) ?? ledger.total
        ledger.backlog = (ledger.total - min(before, ledger.total), ledger.total)
        ledger.holder = slowest.lambda
    }

    private func slowestRoute(of stream: StreamID) -> RouteState? {
        var slowest: RouteState?
        for (id, route) in routes where route.stream == stream && live?.contains(id) ?? true {
            if let known = slowest, (known.watermark, known.id.rawValue) <= (route.watermark, id.rawValue) { continue }
            slowest = route
        }
        return slowest
    }

    // MARK: Trimming

    /// Removes a small step of what may go from every stream; returns whether there is more.
    func trim(bytes: Int) throws(JournalError) -> Bool {
        guard live != nil else { return false }
        var hasMore = false
        for ledger in ledgers.values where ledger.start < ledger.next {
            guard let plan = try trimPlan(ledger, bytes: bytes) else { continue }
            let result = try storage.trim(plan)
            guard result.removed > 0 else { continue }
            ledger.start = result.start ?? ledger.next
            ledger.trimmed += result.removed
            view.publish(ledger)
            hasMore = hasMore || result.hasMore
        }
        return hasMore
    }

    private func trimPlan(_ ledger: StreamLedger, bytes: Int) throws(JournalError) -> TrimPlan? {
        let below = slowestRoute(of: ledger.id).map { min($0.watermark, ledger.next) } ?? ledger.next
        guard below > ledger.start else { return nil }
        let time = now()
        var plan = TrimPlan(
            stream: ledger.id, below: below, beforeMillis: .max, upToTotal: .max, idsSinceMillis: .max, idsFrom: nil, bytes: bytes)
        guard ledger.description.kind == .domain else { return plan }
        plan.beforeMillis = time - ledger.settings.retentionSeconds * 1000
        let reached = below >= ledger.next ? ledger.total : try storage.total(of: ledger.id, before: below) ?? ledger.total
        plan.upToTotal = reached > ledger.settings.retentionBytesMax ? reached - ledger.settings.retentionBytesMax : 0
        try loadWindow(ledger)
        plan.idsSinceMillis = time - ledger.settings.deduplicateSeconds * 1000
        plan.idsFrom = ledger.window?.oldestOffset
        return plan
    }

    // MARK: Streams and routes

    func stream(_ kind: StreamKind, named name: String) throws(JournalError) -> StreamID {
        if let known = ledgers.values.first(where: { $0.description.kind == kind && $0.description.name == name }) { return known.id }
        let description = StreamDescription(id: StreamID(rawValue: nextStream), kind: kind, name: name)
        try storage.addStream(description)
        nextStream += 1
        let ledger = StreamLedger(StoredState.Stream(description: description, start: 0, next: 0, total: 0, trimmed: 0))
        ledgers[ledger.id] = ledger
        view.publish(ledger)
        return ledger.id
    }

    func configure(_ stream: StreamID, _ settings: StreamSettings) {
        guard let ledger = ledgers[stream] else { return }
        let before = ledger.settings
        ledger.settings = settings
        if settings.deduplicateSeconds > before.deduplicateSeconds || settings.deduplicateCountMax > before.deduplicateCountMax {
            // What the wider window remembers is stored; it is loaded at the next use.
            ledger.window = nil
        }
    }

    func route(lambda: String, domain: String, stream: StreamID, start: RouteStart) throws(JournalError) -> RouteState {
        let ledger = try ledger(stream, for: "route")
        if let known = routes.values.first(where: { $0.lambda == lambda && $0.domain == domain && $0.stream == stream }) { return known }
        let watermark =
            switch start {
            case .end: ledger.next
            case .beginning: ledger.start
            case .position(let position): min(max(position, ledger.start), ledger.next)
            }
        var route = RouteState(
            id: RouteID(rawValue: nextRoute), lambda: lambda, domain: domain, stream: stream, watermark: watermark, ranges: [])
        try storage.addRoute(route)
        nextRoute += 1
        routes[route.id] = route
        route.isNew = true
        return route
    }

    func setLive(_ routes: [RouteID]) {
        live = Set(routes)
        for ledger in ledgers.values { ledger.backlog = (ledger.settings.backlogBytesMax, ledger.total) }
    }

    func forget(_ route: RouteID) throws(JournalError) {
        guard let state = routes[route] else { throw unknownRoute(route) }
        if live?.contains(route) ?? false {
            throw JournalError(
                .failed,
                "lambda '\(state.lambda)' is routed in domain '\(state.domain)'; take it out of the file and reload before forgetting it")
        }
        try storage.removeRoute(route)
        routes[route] = nil
    }
}

/// What became of a group.
struct GroupOutcome {
    /// Who is to be told what.
    var answers: [PendingAnswer]
    /// Why nothing was written; nil: it was.
    var failure: JournalError?
    /// Streams that grew.
    var ends: [(stream: StreamID, next: UInt64, total: UInt64)]

    /// Tells everybody.
    func give() {
        for answer in answers { answer.give(failure: failure) }
    }
}
