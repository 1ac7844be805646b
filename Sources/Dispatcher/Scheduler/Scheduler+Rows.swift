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
        while let first = pools[index].due.first, first.dueMicros <= now {
            let lane = Int(first.lane)
            guard lanes[lane].isLive, lanes[lane].serial == first.serial, lanes[lane].dueMicros == first.dueMicros, lanes[lane].count == 0,
                lanes[lane].rowsUnloaded > 0, !lanes[lane].isLoading, !lanes[lane].isParked || faults.contains(.ignoreParked),
                routes[Int(lanes[lane].route)].isActive
            else {
                _ = pools[index].due.pop()
                continue
            }
            guard mayLoadRows(Int(lanes[lane].route)) else { return }
            _ = pools[index].due.pop()
            requestRows(first.lane)
        }
    }

    /// Whether there is room for what would be loaded.
    func mayLoadRows(_ route: Int) -> Bool {
        let pool = Int(routes[route].pool)
        if pools[pool].isHolding { return pools[pool].rowLoads == 0 && pools[pool].ready.head < 0 && mayProbe(pool) }
        return pools[pool].rowLoads < limits.rowLoadsMax && routes[route].waitingBytes < limits.waitingBytesMax && !isHeldBack(route)
    }

    mutating func requestRows(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        guard !lanes[lane].isLoading else { return }
        lanes[lane].isLoading = true
        pools[Int(routes[Int(lanes[lane].route)].pool)].rowLoads += 1
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
        let route = lanes[lane].route
        let pool = routes[Int(route)].pool
        pools[Int(pool)].rowLoads -= 1
        for row in faults.contains(.reverseRows) ? loaded.reversed() : loaded {
            lanes[lane].rowsUnloaded -= 1
            lanes[lane].loadedThrough = max(lanes[lane].loadedThrough, row.id)
            let count = row.records.count
            guard row.done < UInt32(count) else {
                // Nothing is left of it; it should not be there.
                commit.deferred.append(.remove(id: row.id))
                continue
            }
            let batch = makeBatch(EventBatch(stream: routes[Int(route)].stream, base: 0, records: row.records))
            let place = makeRow(LoadedRow(id: row.id, count: UInt32(count), done: row.done, history: row.history, route: route))
            for index in Int(row.done)..<count {
                let item = makeItem(
                    Item(
                        batch: batch, index: Int32(index), position: .max, row: place, lane: laneIndex,
                        bytes: row.records.record(index).pointee.size))
                if index == Int(row.done), row.history.isSuspect {
                    items[Int(item)].isSuspect = true
                    // It has been found guilty before: no second benefit of the doubt.
                    items[Int(item)].hasHidden = row.history.crashes > 0 || row.history.externalKills > 0
                }
                append(item, to: laneIndex)
            }
        }
        if lanes[lane].count > 0 {
            if lanes[lane].dropsFirst { dropHead(laneIndex) }
            settle(laneIndex)
        } else if lanes[lane].rowsUnloaded > 0 {
            // They could not be read, or are not written yet: again in a moment.
            lanes[lane].dueMicros = now &+ 50_000
            schedule(laneIndex)
        } else {
            settle(laneIndex)
        }
        pump(pool: pool)
    }

    /// A load of rows failed; it is asked for again.
    public mutating func rowsFailed(lane: Int32, serial: UInt32) { rowsLoaded(lane: lane, serial: serial, rows: []) }

    /// The first event that is left of a row has reached its end.
    mutating func finishRowEvent(_ place: Int32, bytes: Int) {
        let row = Int(place)
        guard rows[row] != nil else { return }
        routes[Int(rows[row]!.route)].deferredBytes -= bytes
        rows[row]!.done += 1
        rows[row]!.history = FailureHistory()
        if rows[row]!.done == rows[row]!.count {
            if !faults.contains(.keepFinishedRows) { commit.deferred.append(.remove(id: rows[row]!.id)) }
            freeRow(place)
        } else {
            markDirty(row: place)
        }
    }

    // MARK: an operator's hands

    /// Gives dead letters another chance: each becomes a row behind those of its subject. Part of the present commit.
    ///
    /// - Returns: ids of those that it could not be done for: their lambda has no such route any more, or it is done already.
    @discardableResult
    public mutating func redrive(_ letters: [DeadLetter]) -> [Int64] {
        var refused: [Int64] = []
        for letter in letters {
            guard let route = routeByID[letter.route], routes[Int(route)].isActive, letter.records.count == 1,
                goneLetters.insert(letter.id).inserted
            else {
                refused.append(letter.id)
                continue
            }
            // A copy: the caller may show the letter to somebody else.
            let records = RecordBuffer(capacity: letter.records.size, count: 1)
            records.append(copying: letter.records.record(0)).pointee.flags |= UInt8(CAPELET_RECORD_REDRIVEN)
            addRow(route: route, records: records)
            if !faults.contains(.keepRedrivenLetters) { commit.deadRemoved.append(letter.id) }
            hasEffects = true
        }
        return refused
    }

    /// Drops dead letters. Part of the present commit.
    public mutating func dropDead(_ ids: [(id: Int64, route: RouteID)]) {
        for entry in ids where goneLetters.insert(entry.id).inserted {
            commit.deadRemoved.append(entry.id)
            if let route = routeByID[entry.route] { routes[Int(route)].counts.dropped += 1 }
            hasEffects = true
        }
    }

    private mutating func addRow(route: Int32, records: RecordBuffer) {
        let header = records.record(0)
        let hash = pools[Int(routes[Int(route)].pool)].isOrdered ? header.pointee.subject_hash : Self.ownHash(header)
        var lane = routes[Int(route)].lanes.find(hash)
        if lane < 0 {
            lane = makeLane(route: route, hash: hash)
            lanes[Int(lane)].isOnProbation = true
        } else {
            // What is in memory already goes first: those that wait onto disk, the others get a row.
            spillWaiting(lane)
            keep(lane)
        }
        let isNew = lanes[Int(lane)].count == 0 && lanes[Int(lane)].rowsUnloaded == 0
        commit.deferred.append(
            .insert(
                DeferredRow(
                    id: takeRowID(), route: routes[Int(route)].id, subjectHash: hash, records: records, state: isNew ? .deferred : .behind,
                    dueMillis: wallMillis, history: FailureHistory())))
        // Later followers come behind it.
        spilling[SpillKey(lane: lane, serial: lanes[Int(lane)].serial)] = nil
        lanes[Int(lane)].rowsUnloaded += 1
        routes[Int(route)].deferredBytes += records.size
        commitBytes += records.size
        if isNew {
            lanes[Int(lane)].dueMicros = now
            schedule(lane)
        }
    }

    /// Parked and waiting rows of these routes are tried at once: an operator asked for it.
    public mutating func retryNow(lambda: String, hash: UInt64? = nil) {
        guard let pool = poolByLambda[lambda] else { return }
        retry(pool: pool, hash: hash, onlyParked: false)
        pump(pool: pool)
    }

    /// Parked subjects get one more attempt; with `onlyParked` false those that wait for their next try do not wait any longer either.
    mutating func retry(pool: Int32, hash: UInt64?, onlyParked: Bool) {
        for route in pools[Int(pool)].routes {
            for laneIndex in routes[Int(route)].lanes.lanes {
                let lane = Int(laneIndex)
                guard hash == nil || lanes[lane].hash == hash, lanes[lane].isParked || !onlyParked else { continue }
                lanes[lane].isParked = false
                if lanes[lane].hasFailed {
                    lanes[lane].dueMicros = now
                } else if lanes[lane].count == 0 && lanes[lane].rowsUnloaded > 0 {
                    lanes[lane].dueMicros = now
                    schedule(laneIndex)
                }
            }
        }
    }

    /// Drops the first event of a subject that waits or is parked, as an operator wants it; those behind it go on. Part of a later commit.
    ///
    /// - Returns: false when the subject has no such event: nothing is deferred, or it runs right now.
    public mutating func dropFirst(route: RouteID, hash: UInt64) -> Bool {
        guard let place = routeByID[route], routes[Int(place)].isActive else { return false }
        let lane = routes[Int(place)].lanes.find(hash)
        guard lane >= 0, lanes[Int(lane)].count == 0, lanes[Int(lane)].rowsUnloaded > 0 else { return false }
        lanes[Int(lane)].dropsFirst = true
        lanes[Int(lane)].isParked = false
        lanes[Int(lane)].dueMicros = now
        requestRows(lane)
        return true
    }

    private mutating func dropHead(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        let route = Int(lanes[lane].route)
        let place = lanes[lane].head
        lanes[lane].dropsFirst = false
        routes[route].counts.dropped += 1
        skipDependents(route: Int32(route), view: record(items[Int(place)]))
        uncountWaiting(place, route: route)
        finish(place)
        hasEffects = true
    }
}
