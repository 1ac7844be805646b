import CWorkerProtocol
public import Journal
import Routing
import WorkerProtocol

// From the stream into lanes.

extension Scheduler {
    /// A stream has grown up to `end`.
    public mutating func streamAdvanced(_ stream: StreamID, end: UInt64) {
        for index in routes.indices where routes[index].stream == stream && routes[index].isActive {
            if end > routes[index].streamEnd {
                routes[index].streamEnd = end
                pump(pool: routes[index].pool)
            }
        }
    }

    /// The answer to a `load`: batches that follow one another, the first holding the position or beginning above it. Empty: nothing was there.
    public mutating func loaded(route: Int32, position: UInt64, batches loaded: [EventBatch]) {
        let index = Int(route)
        guard routes[index].isLoading, routes[index].loadFrom == position else { return }
        routes[index].isLoading = false
        for batch in loaded where batch.end > routes[index].loadFrom {
            let place = makeBatch(batch)
            pin(place)
            routes[index].batches.append(place)
            routes[index].loadedBytes += batch.size
            routes[index].loadFrom = batch.end
        }
        pump(pool: routes[index].pool)
    }

    /// A load failed; it is asked for again with the next tick.
    public mutating func loadFailed(route: Int32) { routes[Int(route)].isLoading = false }

    mutating func loadAhead(_ route: Int32) {
        let index = Int(route)
        guard !routes[index].isLoading, routes[index].isActive, !isStalled, routes[index].loadedBytes < Self.loadBytesMax / 2,
            routes[index].loadFrom < routes[index].streamEnd
        else { return }
        routes[index].isLoading = true
        actions.append(.load(route: route, position: routes[index].loadFrom))
    }

    /// Whether a route may take events at all at the moment.
    func canTake(_ route: Int32) -> Bool {
        let slot = routes[Int(route)]
        return slot.isActive && !slot.isPaused && slot.deferredBytes < Self.deferredBytesMax
            && (joins.count < Self.joinsMax || !slot.dependents.contains { $0.upstreams.count > 1 })
    }

    /// What became of an attempt to take the next event.
    enum Intake {
        /// It is in a lane; look on.
        case taken
        /// There is none, or it has not been loaded.
        case empty
        /// It has to wait until its lane has moved on.
        case full
    }

    /// Takes the next event of a route's window into its lane, or past it.
    mutating func takeNext(_ route: Int32) -> Intake {
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
                routes[index].isDirty = true
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
            let view = batch.records.view(recordIndex)
            let pool = Int(routes[index].pool)
            if let filter = pools[pool].filter,
                !filter.matches(type: view.type, subject: view.subject, header: { view.header(named: $0) })
            {
                routes[index].counts.filtered += 1
                finishUnhandled(route: route, position: position, view: view)
                routes[index].cursor += 1
                continue
            }
            let hash = pools[pool].lambda.order == .none ? Self.ownHash(view) : view.header.pointee.subject_hash
            var lane = routes[index].lanes.find(hash)
            let bytes = view.header.pointee.size
            if lane >= 0 {
                let entry = lanes[Int(lane)]
                let isAside = entry.rowsUnloaded > 0
                if isAside && !faults.contains(.overtakeRows) {
                    spill(place, recordIndex, position, view, lane: lane)
                    routes[index].cursor += 1
                    return .taken
                }
                if entry.count > 0, routes[index].waitingBytes >= Self.waitingBytesMax || routes[index].waitingItems >= 16384 {
                    // Many followers wait already. If what they wait for moves on soon, wait too; else put them on disk and let others by.
                    if entry.hasFailed { return .full }
                    let workMicros = Double(entry.count) * pools[pool].handlerMicros
                    if workMicros < 50_000 && !entry.isBlocked { return .full }
                    spillWaiting(lane)
                    spill(place, recordIndex, position, view, lane: lane)
                    routes[index].cursor += 1
                    return .taken
                }
            } else {
                lane = makeLane(route: route, hash: hash)
            }
            let item = makeItem(Item(batch: place, index: Int32(recordIndex), position: position, lane: lane, bytes: bytes))
            append(item, to: lane)
            routes[index].cursor += 1
            offer(lane)
            return .taken
        }
    }

    /// With `order: none` each event has a lane of its own, found again by where the event lies in its domain.
    static func ownHash(_ view: RecordView) -> UInt64 {
        var mix = SplitMix(state: view.header.pointee.offset ^ UInt64(view.header.pointee.domain) << 48)
        return mix.next()
    }

    /// Passes an event that the lambda does not get; what comes after it does not either.
    mutating func finishUnhandled(route: Int32, position: UInt64, view: RecordView) {
        skipDependents(route: route, view: view)
        routes[Int(route)].done.insert(position)
        routes[Int(route)].isDirty = true
    }

    /// Puts one event of a window straight onto disk, behind the rows of its lane.
    mutating func spill(_ batch: Int32, _ recordIndex: Int, _ position: UInt64, _ view: RecordView, lane: Int32) {
        reserveRowIDs(lane)
        let route = Int(lanes[Int(lane)].route)
        if let last = spillRow(lane: lane, bytes: Int(view.header.pointee.size)) {
            last.append(copying: view.header)
        }
        routes[route].deferredBytes += Int(view.header.pointee.size)
        routes[route].done.insert(position)
        routes[route].isDirty = true
    }

    /// Events of the window that are still in memory come before anything that is put on disk now. Should they need rows later, those must have
    /// smaller ids.
    mutating func reserveRowIDs(_ laneIndex: Int32) {
        let lane = lanes[Int(laneIndex)]
        guard lane.rowsUnloaded == 0, lane.count > 0, items[Int(lane.tail)].row < 0 || items[Int(lane.head)].row < 0 else { return }
        let count = Int64(lane.count) * 2 + 16
        lanes[Int(laneIndex)].reservedRowID = nextRowID
        lanes[Int(laneIndex)].reservedRowEnd = nextRowID + count
        nextRowID += count
    }

    /// The id for a row that holds events of the window which are in memory.
    mutating func takeRowID(lane: Int32) -> Int64 {
        let index = Int(lane)
        guard lanes[index].reservedRowID < lanes[index].reservedRowEnd else { return takeRowID() }
        defer { lanes[index].reservedRowID += 1 }
        return lanes[index].reservedRowID
    }

    /// The records of the row of followers that is being collected for a lane in the present commit, or those of a new one.
    private mutating func spillRow(lane: Int32, bytes: Int) -> RecordBuffer? {
        let route = Int(lanes[Int(lane)].route)
        let key = SpillKey(lane: lane, serial: lanes[Int(lane)].serial)
        if let at = spilling[key], case .insert(let row) = commit.deferred[at], row.records.count < Self.rowEventsMax,
            row.records.size + bytes < Self.rowLoadBytes
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

    /// Puts those items of a lane onto disk that wait and come from the window, so that their memory is free.
    mutating func spillWaiting(_ lane: Int32) {
        let route = Int(lanes[Int(lane)].route)
        // The list is cut before the first window item that waits; those are always the last ones.
        var previous: Int32 = -1
        var at = lanes[Int(lane)].head
        while at >= 0 {
            let item = items[Int(at)]
            if item.state == .waiting && item.row < 0 && !item.isSuspect && at != lanes[Int(lane)].head { break }
            previous = at
            at = item.next
        }
        guard at >= 0, previous >= 0 else { return }
        let firstCut = at
        while at >= 0 {
            let item = items[Int(at)]
            let view = record(item)
            spill(item.batch, Int(item.index), item.position, view, lane: lane)
            routes[route].waitingItems -= 1
            routes[route].waitingBytes -= Int(item.bytes)
            lanes[Int(lane)].count -= 1
            freeItem(at)
            at = item.next
        }
        items[Int(previous)].next = -1
        lanes[Int(lane)].tail = previous
        if lanes[Int(lane)].firstWaiting == firstCut { lanes[Int(lane)].firstWaiting = -1 }
    }
}

/// A lane whose followers are being collected into a row of the present commit.
struct SpillKey: Hashable {
    var lane: Int32
    var serial: UInt32
}
