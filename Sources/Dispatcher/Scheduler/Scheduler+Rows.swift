import CWorkerProtocol
public import Journal
import Routing
import WorkerProtocol

// Deferred rows: when they are due, and back into lanes.

extension Scheduler {
    /// Asks for the rows of lanes that have become due.
    mutating func runDue(pool: Int32) {
        let index = Int(pool)
        guard !pools[index].isPaused, !isStalled, !pools[index].workers.isEmpty else { return }
        var asked = 0
        while let first = pools[index].due.first, first.dueMicros <= now, asked < 256 {
            if pools[index].isHolding {
                guard !pools[index].isProbing, now >= pools[index].probeDueMicros else { return }
                if asked > 0 { return }
            }
            _ = pools[index].due.pop()
            let lane = lanes[Int(first.lane)]
            guard lane.isLive, lane.serial == first.serial, lane.dueMicros == first.dueMicros, lane.count == 0, !lane.isParked else { continue }
            requestRows(first.lane)
            asked += 1
        }
    }

    mutating func requestRows(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        guard !lanes[lane].isLoading else { return }
        lanes[lane].isLoading = true
        actions.append(
            .loadRows(
                route: lanes[lane].route, lane: laneIndex, serial: lanes[lane].serial, hash: lanes[lane].hash,
                after: lanes[lane].loadedThrough))
    }

    /// The answer to `loadRows`.
    public mutating func rowsLoaded(lane laneIndex: Int32, serial: UInt32, rows loaded: [DeferredRow]) {
        let lane = Int(laneIndex)
        guard lanes[lane].isLive, lanes[lane].serial == serial, lanes[lane].isLoading else { return }
        lanes[lane].isLoading = false
        if lanes[lane].hasFailed || lanes[lane].isParked { return }
        let route = lanes[lane].route
        if loaded.isEmpty {
            // They are not written yet, or gone: with the next tick again, or nothing is left.
            if lanes[lane].rowsUnloaded > 0 {
                lanes[lane].dueMicros = now &+ 50_000
                schedule(laneIndex)
            } else {
                settle(laneIndex)
            }
            return
        }
        for row in faults.contains(.reverseRows) ? loaded.reversed() : loaded {
            lanes[lane].rowsUnloaded -= 1
            lanes[lane].loadedThrough = max(lanes[lane].loadedThrough, row.id)
            guard row.done < UInt32(row.records.count) else { continue }
            let batch = makeBatch(EventBatch(stream: routes[Int(route)].stream, base: 0, records: row.records))
            let place = makeRow(
                LoadedRow(
                    id: row.id, count: UInt32(row.records.count), done: row.done, bytes: row.records.size, history: row.history, route: route))
            for index in Int(row.done)..<row.records.count {
                let item = makeItem(
                    Item(
                        batch: batch, index: Int32(index), position: .max, row: place, lane: laneIndex,
                        bytes: row.records.record(index).pointee.size))
                append(item, to: laneIndex)
            }
        }
        if lanes[lane].rowsUnloaded <= 0 {
            lanes[lane].rowsUnloaded = 0
            lanes[lane].reservedRowEnd = 0
        }
        routes[Int(route)].laneAsideCount = max(0, routes[Int(route)].laneAsideCount - 1)
        settle(laneIndex)
        pump(pool: routes[Int(route)].pool)
    }

    /// A load of rows failed; it is asked for again.
    public mutating func rowsFailed(lane: Int32, serial: UInt32) { rowsLoaded(lane: lane, serial: serial, rows: []) }

    /// The first event that is left of a row has reached its end.
    mutating func finishRowEvent(_ place: Int32) {
        guard var row = rows[Int(place)] else { return }
        row.done += 1
        row.history = FailureHistory()
        if row.done == row.count {
            commit.deferred.append(.remove(id: row.id))
            routes[Int(row.route)].deferredBytes = max(0, routes[Int(row.route)].deferredBytes - row.bytes)
            if row.isDirty { dirtyRows.removeAll { $0 == place } }
            freeRow(place)
            return
        }
        rows[Int(place)] = row
        markDirty(place)
    }

    mutating func markDirty(_ place: Int32) {
        guard let row = rows[Int(place)], !row.isDirty else { return }
        rows[Int(place)]?.isDirty = true
        dirtyRows.append(place)
    }

    // MARK: an operator's hands

    /// Gives dead letters another chance: each becomes a row behind those of its subject. Part of the present commit.
    public mutating func redrive(_ letters: [DeadLetter]) {
        for letter in letters {
            guard let route = routeByID[letter.route], routes[Int(route)].isActive else { continue }
            let view = letter.records.view(0)
            letter.records.record(0).pointee.flags |= 1 << 1
            addRow(route: route, view: view, records: letter.records)
            commit.deadRemoved.append(letter.id)
        }
        hasEffects = true
    }

    /// Drops dead letters. Part of the present commit.
    public mutating func dropDead(_ ids: [(id: Int64, route: RouteID)]) {
        for entry in ids {
            commit.deadRemoved.append(entry.id)
            if let route = routeByID[entry.route] { routes[Int(route)].counts.dropped += 1 }
        }
        hasEffects = true
    }

    private mutating func addRow(route: Int32, view: RecordView, records: RecordBuffer) {
        let pool = Int(routes[Int(route)].pool)
        let hash = pools[pool].lambda.order == .none ? Self.ownHash(view) : view.header.pointee.subject_hash
        var lane = routes[Int(route)].lanes.find(hash)
        if lane < 0 {
            lane = makeLane(route: route, hash: hash)
            lanes[Int(lane)].isOnProbation = true
        } else {
            // Rows come before whatever is taken later, but what already waits in memory goes first: onto disk with it, in order.
            spillWaiting(lane)
            reserveRowIDs(lane)
        }
        let row = DeferredRow(
            id: takeRowID(), route: routes[Int(route)].id, subjectHash: hash, records: records, state: .deferred, dueMillis: wallMillis,
            history: FailureHistory())
        commit.deferred.append(.insert(row))
        spilling[SpillKey(lane: lane, serial: lanes[Int(lane)].serial)] = nil
        lanes[Int(lane)].rowsUnloaded += 1
        routes[Int(route)].deferredBytes += records.size
        if lanes[Int(lane)].count == 0 && !lanes[Int(lane)].isParked && !lanes[Int(lane)].isLoading {
            lanes[Int(lane)].dueMicros = min(max(lanes[Int(lane)].dueMicros, 1), now)
            schedule(lane)
        }
    }

    /// Parked and waiting rows of these routes are tried at once: an operator asked for it, or the lambda's generation or configuration is new.
    public mutating func retryNow(lambda: String, hash: UInt64? = nil) {
        for index in routes.indices where routes[index].lambda == lambda && routes[index].isActive {
            for lane in routes[index].lanes.lanes where hash == nil || lanes[Int(lane)].hash == hash {
                guard lanes[Int(lane)].count == 0, lanes[Int(lane)].rowsUnloaded > 0, !lanes[Int(lane)].isLoading else { continue }
                lanes[Int(lane)].isParked = false
                lanes[Int(lane)].dueMicros = now
                schedule(lane)
            }
        }
    }
}

extension Scheduler {
    /// Drops the parked event at the head of a subject's rows, if nothing of the subject runs: it ends as dropped, and the subject goes on.
    ///
    /// - Returns: false when the subject is not parked any more.
    public mutating func dropParked(lambda: String, hash: UInt64, row: DeferredRow) -> Bool {
        for index in routes.indices where routes[index].lambda == lambda && routes[index].isActive && routes[index].id == row.route {
            let lane = routes[index].lanes.find(hash)
            guard lane >= 0, lanes[Int(lane)].isParked, lanes[Int(lane)].count == 0, !lanes[Int(lane)].isLoading else { continue }
            skipDependents(route: Int32(index), view: row.records.view(Int(row.done)))
            if row.done + 1 >= UInt32(row.records.count) {
                commit.deferred.append(.remove(id: row.id))
                lanes[Int(lane)].rowsUnloaded -= 1
                routes[index].deferredBytes = max(0, routes[index].deferredBytes - row.records.size)
            } else {
                commit.deferred.append(
                    .update(id: row.id, done: row.done + 1, state: .deferred, dueMillis: wallMillis, history: FailureHistory()))
            }
            routes[index].counts.dropped += 1
            hasEffects = true
            lanes[Int(lane)].isParked = false
            lanes[Int(lane)].dueMicros = now
            if lanes[Int(lane)].rowsUnloaded > 0 {
                schedule(lane)
            } else {
                settle(lane)
            }
            return true
        }
        return false
    }
}
