import WorkerProtocol

/// The newest batches of every stream, up to a number of bytes in all. Any thread, behind its owner's lock.
struct RecentBatches {
    /// Batches of one stream, ascending and contiguous; those before `first` are gone.
    private struct Lane {
        var batches: [EventBatch] = []
        var first = 0
    }

    private var lanes: [StreamID: Lane] = [:]
    /// Streams in the order in which their batches came: the oldest batch of all is the first of the first one's lane.
    private var order: [StreamID] = []
    private var orderFirst = 0
    private var bytes = 0
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Adds the newest batch of its stream, and drops the oldest ones of all that have no room any more.
    mutating func append(_ batch: EventBatch) {
        lanes[batch.stream, default: Lane()].batches.append(batch)
        order.append(batch.stream)
        bytes += batch.heldBytes
        while bytes > bytesMax, order.count - orderFirst > 1 { dropOldest() }
    }

    /// The batch that holds `position`.
    func batch(_ stream: StreamID, at position: UInt64) -> EventBatch? {
        guard let lane = lanes[stream], lane.first < lane.batches.count, let last = lane.batches.last, position < last.end else {
            return nil
        }
        var low = lane.first
        var high = lane.batches.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if lane.batches[middle].base <= position { low = middle } else { high = middle - 1 }
        }
        let found = lane.batches[low]
        return found.base <= position && position < found.end ? found : nil
    }

    private mutating func dropOldest() {
        let stream = order[orderFirst]
        orderFirst += 1
        if orderFirst > 1024, orderFirst * 2 > order.count {
            order.removeFirst(orderFirst)
            orderFirst = 0
        }
        guard let index = lanes.index(forKey: stream) else { return }
        bytes -= lanes.values[index].batches[lanes.values[index].first].heldBytes
        lanes.values[index].first += 1
        let first = lanes.values[index].first
        if first == lanes.values[index].batches.count {
            lanes.values[index] = Lane()
        } else if first > 64, first * 2 > lanes.values[index].batches.count {
            lanes.values[index].batches.removeFirst(first)
            lanes.values[index].first = 0
        } else {
            // Let go of the memory at once.
            lanes.values[index].batches[first - 1] = EventBatch.gone
        }
    }
}

extension EventBatch {
    /// Memory that it holds, about.
    fileprivate var heldBytes: Int { records.allocatedBytes + 160 }

    /// Takes the place of a batch that was dropped.
    fileprivate static let gone = EventBatch(stream: StreamID(rawValue: 0), base: 0, records: .init(capacity: 0, count: 0))
}
