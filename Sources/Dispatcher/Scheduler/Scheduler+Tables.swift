import Journal
import WorkerProtocol

// Places in the scheduler's tables, and the lists that run through them.

extension Scheduler {
    mutating func makeItem(_ item: Item) -> Int32 {
        pin(item.batch)
        if let place = freeItems.popLast() {
            items[Int(place)] = item
            return place
        }
        items.append(item)
        return Int32(items.count - 1)
    }

    mutating func freeItem(_ place: Int32) {
        unpin(items[Int(place)].batch)
        items[Int(place)].token = 0
        items[Int(place)].worker = -1
        freeItems.append(place)
    }

    mutating func makeBatch(_ batch: EventBatch) -> Int32 {
        if let place = freeBatches.popLast() {
            batches[Int(place)] = batch
            batchPins[Int(place)] = 0
            return place
        }
        batches.append(batch)
        batchPins.append(0)
        return Int32(batches.count - 1)
    }

    @inline(__always) mutating func pin(_ place: Int32) { batchPins[Int(place)] += 1 }

    @inline(__always) mutating func unpin(_ place: Int32) {
        batchPins[Int(place)] -= 1
        if batchPins[Int(place)] == 0 {
            batches[Int(place)] = nil
            freeBatches.append(place)
        }
    }

    mutating func makeRow(_ row: LoadedRow) -> Int32 {
        if let place = freeRows.popLast() {
            rows[Int(place)] = row
            return place
        }
        rows.append(row)
        return Int32(rows.count - 1)
    }

    mutating func freeRow(_ place: Int32) {
        rows[Int(place)] = nil
        freeRows.append(place)
    }

    mutating func takeRowID() -> Int64 {
        defer { nextRowID += 1 }
        return nextRowID
    }

    mutating func makeLane(route: Int32, hash: UInt64) -> Int32 {
        laneSerial &+= 1
        let lane = Lane(hash: hash, route: route, serial: laneSerial)
        let place: Int32
        if let free = freeLanes.popLast() {
            lanes[Int(free)] = lane
            place = free
        } else {
            lanes.append(lane)
            place = Int32(lanes.count - 1)
        }
        routes[Int(route)].lanes.insert(hash, place)
        return place
    }

    mutating func freeLane(_ place: Int32) {
        dequeue(place)
        routes[Int(lanes[Int(place)].route)].lanes.remove(lanes[Int(place)].hash)
        lanes[Int(place)].isLive = false
        freeLanes.append(place)
    }

    /// Puts an item at the end of its lane.
    @inline(__always) mutating func append(_ place: Int32, to laneIndex: Int32) {
        let lane = Int(laneIndex)
        if lanes[lane].tail < 0 {
            lanes[lane].head = place
        } else {
            items[Int(lanes[lane].tail)].next = place
        }
        lanes[lane].tail = place
        lanes[lane].count += 1
        if lanes[lane].firstWaiting < 0 && !lanes[lane].isBlocked { lanes[lane].firstWaiting = place }
        countWaiting(place, route: Int(lanes[lane].route))
    }

    /// Takes the first item off its lane.
    @inline(__always) mutating func popHead(_ lane: Int) {
        let place = lanes[lane].head
        let next = items[Int(place)].next
        lanes[lane].head = next
        if lanes[lane].firstWaiting == place { lanes[lane].firstWaiting = next }
        if next < 0 { lanes[lane].tail = -1 }
        lanes[lane].count -= 1
    }

    /// Takes an item out of the middle of its lane. Only deliberate faults need it.
    mutating func unlink(_ place: Int32) {
        let lane = Int(items[Int(place)].lane)
        var at = lanes[lane].head
        while at >= 0 && items[Int(at)].next != place { at = items[Int(at)].next }
        guard at >= 0 else { return }
        items[Int(at)].next = items[Int(place)].next
        if lanes[lane].tail == place { lanes[lane].tail = at }
        if lanes[lane].firstWaiting == place { lanes[lane].firstWaiting = items[Int(place)].next }
        lanes[lane].count -= 1
    }

    @inline(__always) mutating func countWaiting(_ place: Int32, route: Int) {
        routes[route].waitingItems += 1
        routes[route].waitingBytes += Int(items[Int(place)].bytes)
    }

    @inline(__always) mutating func uncountWaiting(_ place: Int32, route: Int) {
        routes[route].waitingItems -= 1
        routes[route].waitingBytes -= Int(items[Int(place)].bytes)
    }

    @inline(__always) mutating func markDirty(route: Int) {
        if !routes[route].isDirty {
            routes[route].isDirty = true
            dirtyRoutes.append(Int32(route))
        }
    }

    mutating func markDirty(row place: Int32) {
        guard let row = rows[Int(place)], !row.isDirty else { return }
        rows[Int(place)]?.isDirty = true
        dirtyRows.append(place)
    }

    // MARK: ready lists

    @inline(__always) private func list(_ queue: LaneQueue, _ owner: Int) -> LaneList {
        switch queue {
        case .none: LaneList()
        case .pool: pools[owner].ready
        case .worker: workers[owner].ready
        case .quarantine: pools[owner].quarantine
        }
    }

    @inline(__always) private mutating func setList(_ queue: LaneQueue, _ owner: Int, _ list: LaneList) {
        switch queue {
        case .none: break
        case .pool: pools[owner].ready = list
        case .worker: workers[owner].ready = list
        case .quarantine: pools[owner].quarantine = list
        }
    }

    /// Puts a lane at the end of a ready list, unless it is on it.
    mutating func enqueue(_ lane: Int32, _ queue: LaneQueue, owner: Int32) {
        if lanes[Int(lane)].queued == queue && lanes[Int(lane)].queueOwner == owner { return }
        dequeue(lane)
        var list = list(queue, Int(owner))
        lanes[Int(lane)].queued = queue
        lanes[Int(lane)].queueOwner = owner
        lanes[Int(lane)].previousReady = list.tail
        lanes[Int(lane)].nextReady = -1
        if list.tail >= 0 { lanes[Int(list.tail)].nextReady = lane } else { list.head = lane }
        list.tail = lane
        setList(queue, Int(owner), list)
    }

    /// Takes a lane off the ready list that it is on, if any.
    @inline(__always) mutating func dequeue(_ lane: Int32) {
        if lanes[Int(lane)].queued != .none { unqueue(lane) }
    }

    private mutating func unqueue(_ lane: Int32) {
        let entry = lanes[Int(lane)]
        var list = list(entry.queued, Int(entry.queueOwner))
        if entry.previousReady >= 0 { lanes[Int(entry.previousReady)].nextReady = entry.nextReady } else { list.head = entry.nextReady }
        if entry.nextReady >= 0 { lanes[Int(entry.nextReady)].previousReady = entry.previousReady } else { list.tail = entry.previousReady }
        setList(entry.queued, Int(entry.queueOwner), list)
        lanes[Int(lane)].queued = .none
        lanes[Int(lane)].queueOwner = -1
        lanes[Int(lane)].nextReady = -1
        lanes[Int(lane)].previousReady = -1
    }
}
