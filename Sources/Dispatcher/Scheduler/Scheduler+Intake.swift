import CWorkerProtocol
public import Journal
import Routing
import WorkerProtocol

// From the stream into lanes.

extension Scheduler {
    /// A stream has grown up to `end`.
    public mutating func streamAdvanced(_ stream: StreamID, end: UInt64) {
        for index in routes.indices where routes[index].stream == stream && end > routes[index].streamEnd {
            routes[index].streamEnd = end
            if routes[index].isActive { pump(pool: routes[index].pool) }
        }
    }

    /// The answer to a `load`: batches that follow one another, the first holding the position or beginning above it. Empty: nothing was there; it is
    /// asked for again with the next tick.
    public mutating func loaded(route: Int32, position: UInt64, batches loaded: [EventBatch]) {
        let index = Int(route)
        guard routes[index].isActive, routes[index].isLoading, routes[index].loadFrom == position else { return }
        routes[index].isLoading = false
        for batch in loaded where batch.end > routes[index].loadFrom {
            let place = makeBatch(batch)
            pin(place)
            routes[index].batches.append(place)
            routes[index].loadedBytes += batch.size
            routes[index].loadFrom = batch.end
        }
        if routes[index].loadFrom != position { pump(pool: routes[index].pool) }
    }

    /// A load failed; it is asked for again with the next tick.
    public mutating func loadFailed(route: Int32) { routes[Int(route)].isLoading = false }

    mutating func loadAhead(_ route: Int32) {
        let index = Int(route)
        guard !routes[index].isLoading, routes[index].isActive, !isStalled, routes[index].loadedBytes < limits.loadBytesMax / 2,
            routes[index].loadFrom < routes[index].streamEnd
        else { return }
        routes[index].isLoading = true
        actions.append(.load(route: route, position: routes[index].loadFrom))
    }

    /// Whether a route may take events at all at the moment.
    func canTake(_ route: Int32) -> Bool {
        let index = Int(route)
        return routes[index].isActive && routes[index].deferredBytes < limits.deferredBytesMax && commitBytes < limits.commitBytesMax
            && !isHeldBack(index)
            && (joins.count < limits.joinsMax || !routes[index].dependents.contains { $0.upstreams.count > 1 })
    }

    /// Whether events of the lambda that came by another stream, before it changed places in the topology, still run.
    func isHeldBack(_ route: Int) -> Bool {
        let other = Int(routes[route].waitsFor)
        return other >= 0 && routes[other].inFlight > 0 && !routes[other].isActive
    }

    /// What became of an attempt to take the next event.
    enum Intake {
        /// It is in a lane, at a worker or on disk; look on.
        case taken
        /// There is none, or it has not been loaded.
        case empty
        /// It has to wait until its lane has moved on.
        case full
    }

    /// Takes the next event of a route's window into its lane, or past it. It may go to `worker`, which has room.
    mutating func takeNext(_ route: Int32, for worker: Int32) -> Intake {
        let index = Int(route)
        while true {
            guard routes[index].batchAt < routes[index].batches.count else {
                loadAhead(route)
                return .empty
            }
            let place = routes[index].batches[routes[index].batchAt]
            let batch = batches[Int(place)].unsafelyUnwrapped
            let position = routes[index].cursor
            if position < batch.base {
                // What lies between is no longer kept.
                routes[index].counts.missed += batch.base - position
                routes[index].done.insert(position..<batch.base)
                routes[index].cursor = batch.base
                markDirty(route: index)
                continue
            }
            if position >= batch.end {
                routes[index].loadedBytes -= batch.size
                routes[index].batchAt += 1
                unpin(place)
                if routes[index].batchAt >= 32 || routes[index].batchAt == routes[index].batches.count {
                    routes[index].batches.removeFirst(routes[index].batchAt)
                    routes[index].batchAt = 0
                }
                loadAhead(route)
                continue
            }
            if routes[index].done.contains(position) {
                routes[index].cursor += 1
                continue
            }
            let recordIndex = Int(position - batch.base)
            let pool = Int(routes[index].pool)
            if pools[pool].filter != nil, !passesFilter(pool, batch.records.view(recordIndex)) {
                routes[index].counts.filtered += 1
                skipDependents(route: route, view: batch.records.view(recordIndex))
                finish(position: position, route: index)
                routes[index].cursor += 1
                continue
            }
            let header = UnsafePointer(batch.records.record(recordIndex))
            let hash = pools[pool].isOrdered ? header.pointee.subject_hash : Self.ownHash(header)
            var lane = routes[index].lanes.find(hash)
            if lane < 0 {
                lane = makeLane(route: route, hash: hash)
            } else {
                if lanes[Int(lane)].rowsUnloaded > 0 && !faults.contains(.overtakeRows) {
                    // A lambda that holds copies nothing more out: its rows are probes enough. Those of a parked subject are not.
                    if pools[pool].isHolding && !lanes[Int(lane)].isParked { return .full }
                    spill(header, position: position, lane: lane)
                    routes[index].cursor += 1
                    return .taken
                }
                if lanes[Int(lane)].count > 0,
                    routes[index].waitingBytes >= limits.waitingBytesMax || routes[index].waitingItems >= limits.waitingItemsMax
                {
                    // Many followers wait already. If this subject moves on soon, wait too; else put them on disk and let others by.
                    if pools[pool].isHolding || movesOnSoon(lane, pool: pool) { return .full }
                    spillWaiting(lane)
                    spill(header, position: position, lane: lane)
                    routes[index].cursor += 1
                    return .taken
                }
            }
            let item = makeItem(Item(batch: place, index: Int32(recordIndex), position: position, lane: lane, bytes: header.pointee.size))
            append(item, to: lane)
            routes[index].cursor += 1
            if lanes[Int(lane)].count == 1 && lanes[Int(lane)].queued == .none { send(lane: lane, worker: worker) } else { offer(lane) }
            return .taken
        }
    }

    private func passesFilter(_ pool: Int, _ view: RecordView) -> Bool {
        guard let filter = pools[pool].filter else { return true }
        return filter.matches(type: view.type, subject: view.subject, header: { view.header(named: $0) })
    }

    private func movesOnSoon(_ lane: Int32, pool: Int) -> Bool {
        let entry = lanes[Int(lane)]
        return Double(entry.count) * pools[pool].handlerMicros < Double(limits.followMicros)
            && now &- items[Int(entry.head)].sentMicros < limits.followMicros
    }

    /// With `order: none` each event has a lane of its own, found again by where the event lies in its domain.
    static func ownHash(_ header: UnsafePointer<capelet_record>) -> UInt64 {
        var mix = SplitMix(state: header.pointee.offset ^ UInt64(header.pointee.domain) << 48)
        return mix.next()
    }

    /// A position of a route's stream is done with.
    @inline(__always) mutating func finish(position: UInt64, route: Int) {
        routes[route].done.insert(position)
        markDirty(route: route)
    }

    // MARK: followers that go to disk (SEMANTICS §4.1)

    /// Puts one event of a window straight onto disk, behind everything of its lane.
    private mutating func spill(_ header: UnsafePointer<capelet_record>, position: UInt64, lane: Int32) {
        if !faults.contains(.spillPastMemory) { keep(lane) }
        let route = Int(lanes[Int(lane)].route)
        let bytes = Int(header.pointee.size)
        spillRow(lane: lane, bytes: bytes).append(copying: header)
        routes[route].deferredBytes += bytes
        commitBytes += bytes
        finish(position: position, route: route)
    }

    /// The records of the row of followers that is being collected for a lane in the present commit, or those of a new one.
    private mutating func spillRow(lane: Int32, bytes: Int) -> RecordBuffer {
        let route = Int(lanes[Int(lane)].route)
        let key = SpillKey(lane: lane, serial: lanes[Int(lane)].serial)
        if let at = spilling[key], case .insert(let row) = commit.deferred[at], row.records.count < limits.rowEventsMax,
            row.records.size + bytes < limits.rowBytesMax
        {
            return row.records
        }
        let row = DeferredRow(
            id: takeRowID(), route: routes[route].id, subjectHash: lanes[Int(lane)].hash, records: RecordBuffer(capacity: bytes),
            state: .behind, dueMillis: wallMillis, history: FailureHistory())
        spilling[key] = commit.deferred.count
        commit.deferred.append(.insert(row))
        lanes[Int(lane)].rowsUnloaded += 1
        return row.records
    }

    /// Puts those items of a lane onto disk that come last, wait and are in no row, so that their memory is free.
    mutating func spillWaiting(_ lane: Int32) {
        let route = Int(lanes[Int(lane)].route)
        var last = lanes[Int(lane)].head
        var at = last
        while at >= 0 {
            if items[Int(at)].state != .waiting || items[Int(at)].row >= 0 || items[Int(at)].isSuspect { last = at }
            at = items[Int(at)].next
        }
        guard last >= 0 else { return }
        let cut = items[Int(last)].next
        guard cut >= 0 else { return }
        items[Int(last)].next = -1
        lanes[Int(lane)].tail = last
        if lanes[Int(lane)].firstWaiting == cut { lanes[Int(lane)].firstWaiting = -1 }
        at = cut
        while at >= 0 {
            let item = items[Int(at)]
            lanes[Int(lane)].count -= 1
            uncountWaiting(at, route: route)
            spill(record(item).header, position: item.position, lane: lane)
            freeItem(at)
            at = item.next
        }
        if lanes[Int(lane)].firstWaiting < 0 && lanes[Int(lane)].queued != .none && lanes[Int(lane)].sent > 0 { dequeue(lane) }
    }

    /// Gives everything of a lane that is in memory, and only there, a row: before a row comes about that holds later events of the lane. Otherwise those would come
    /// first if the host died now. What runs goes on.
    mutating func keep(_ laneIndex: Int32) {
        let lane = Int(laneIndex)
        // Items without a row are the last ones.
        guard lanes[lane].tail >= 0, items[Int(lanes[lane].tail)].row < 0 else { return }
        var at = lanes[lane].head
        while at >= 0, items[Int(at)].row >= 0 { at = items[Int(at)].next }
        keep(from: at, count: Int(lanes[lane].count), lane: laneIndex, history: FailureHistory())
    }

    /// Makes sure that a row keeps a lane's first item while it goes on in memory, with this history.
    mutating func keepHead(_ place: Int32, history: FailureHistory) {
        let row = items[Int(place)].row
        if row >= 0 {
            rows[Int(row)]?.history = history
            markDirty(row: row)
            return
        }
        keep(from: place, count: 1, lane: items[Int(place)].lane, history: history)
    }

    private mutating func keep(from first: Int32, count: Int, lane laneIndex: Int32, history: FailureHistory) {
        let lane = Int(laneIndex)
        let route = Int(lanes[lane].route)
        let id = takeRowID()
        let copy = RecordBuffer(capacity: Int(items[Int(first)].bytes), count: count)
        let batch = makeBatch(EventBatch(stream: routes[route].stream, base: 0, records: copy))
        let row = makeRow(LoadedRow(id: id, count: 0, done: 0, history: history, route: Int32(route), isOpen: true))
        var at = first
        var kept: UInt32 = 0
        while at >= 0, Int(kept) < count {
            let index = Int(at)
            copy.append(copying: record(items[index]).header)
            finish(position: items[index].position, route: route)
            // The records now lie in a batch of their own, so that they do not pin that of the window.
            pin(batch)
            unpin(items[index].batch)
            items[index].batch = batch
            items[index].index = Int32(kept)
            items[index].position = .max
            items[index].row = row
            kept += 1
            at = items[index].next
        }
        rows[Int(row)]?.count = kept
        routes[route].deferredBytes += copy.size
        commitBytes += copy.size
        lanes[lane].loadedThrough = max(lanes[lane].loadedThrough, id)
        commit.deferred.append(
            .insert(
                DeferredRow(
                    id: id, route: routes[route].id, subjectHash: lanes[lane].hash, records: copy, state: .open, dueMillis: wallMillis,
                    history: history)))
    }
}

/// A lane whose followers are being collected into a row of the present commit.
struct SpillKey: Hashable {
    var lane: Int32
    var serial: UInt32
}
