import Journal
import Testing

@testable import Dispatcher

/// The scheduler's building blocks against simple models.
@Suite struct StructureTests {
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func doneSetEqualsAPlainSet(seed: UInt64) {
        var random = SplitMix(state: seed)
        let start = random.next(upTo: 300)
        let span = [70, 1000, 300_000][Int(seed % 3)] as UInt64
        var set = DoneSet(watermark: start)
        var model = Set<UInt64>()
        for step in 0..<2_000 {
            let position = start + random.next(upTo: span)
            if random.next(upTo: 9) == 0 {
                let range = position..<position + random.next(upTo: 150)
                set.insert(range)
                model.formUnion(range)
            } else {
                set.insert(position)
                model.insert(position)
            }
            // In between the prefix fills up, as in service.
            if random.next(upTo: 3) == 0 {
                let watermark = set.watermark
                set.insert(watermark)
                model.insert(watermark)
            }
            let probe = start + random.next(upTo: span)
            #expect(set.contains(probe) == model.contains(probe))
            if step % 200 == 0 {
                var watermark = start
                while model.contains(watermark) { watermark += 1 }
                #expect(set.watermark == watermark)
                let above = set.ranges()
                let isSame = Set(above.joined()) == model.filter { $0 >= watermark }
                #expect(isSame)
                #expect(zip(above, above.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
                let again = DoneSet(watermark: set.watermark, ranges: above)
                #expect(again.watermark == watermark && again.ranges() == above)
            }
        }
    }

    @Test func doneSetSkipsAHugeGap() {
        var set = DoneSet(watermark: 10)
        set.insert(12)
        set.insert(10..<4_000_000_000_000)
        #expect(set.watermark == 4_000_000_000_000)
        #expect(set.ranges().isEmpty)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func laneTableEqualsADictionary(seed: UInt64) {
        var random = SplitMix(state: seed)
        // Few different keys, and among them such as share their low bits.
        let keys = (0..<[40, 400, 3000][Int(seed % 3)]).map { index in index % 3 == 0 ? UInt64(index) << 44 : random.next() }
        var table = LaneTable()
        var model: [UInt64: Int32] = [:]
        for step in 0..<10_000 {
            let key = keys[Int(random.next(upTo: UInt64(keys.count - 1)))]
            if let known = model[key] {
                #expect(table.find(key) == known)
                if random.next(upTo: 1) == 0 {
                    table.remove(key)
                    model[key] = nil
                }
            } else {
                #expect(table.find(key) == -1)
                table.insert(key, Int32(step))
                model[key] = Int32(step)
            }
        }
        #expect(table.count == model.count)
        #expect(table.lanes.sorted() == model.values.sorted())
        for key in keys { #expect(table.find(key) == model[key] ?? -1) }
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>) func dueHeapGivesTheEarliestFirst(seed: UInt64) {
        var random = SplitMix(state: seed)
        var heap = DueHeap()
        var model: [UInt64] = []
        for _ in 0..<3_000 {
            if random.next(upTo: 2) > 0 {
                let due = random.next(upTo: 1000)
                heap.push(DueHeap.Entry(dueMicros: due, lane: 0, serial: 0))
                model.append(due)
            } else {
                let least = model.min()
                #expect(heap.first?.dueMicros == least)
                #expect(heap.pop()?.dueMicros == least)
                if let least { model.remove(at: model.firstIndex(of: least)!) }
            }
            #expect(heap.count == model.count)
        }
    }

    @Test func failedJoinsKeepTheNewest() {
        var limits = SchedulerLimits()
        limits.failedJoinsMax = 10
        limits.failedJoinBytesMax = 1_000
        var random = SplitMix(state: 1)
        var joins = FailedJoins()
        var model: [(key: JoinKey, size: Int)] = []
        // Few keys, taken out and put in again and again, as when an operator redrives the same letter many times.
        for _ in 0..<5_000 {
            let key = JoinKey(stream: StreamID(rawValue: 1), offset: random.next(upTo: 14))
            let known = model.firstIndex { $0.key == key }
            #expect((joins.remove(key) != nil) == (known != nil))
            if let known { model.remove(at: known) }
            let size = Int(random.next(upTo: 200))
            let part = JoinPart(key: key, lambda: "a", succeeded: false, output: Array(repeating: 0, count: size))
            joins.insert(key, [part], limits: limits)
            model.append((key, size))
            while model.count > 10 || model.reduce(0, { $0 + $1.size }) > 1_000 { model.removeFirst() }
            #expect(joins.count == model.count)
            #expect(joins.bytes == model.reduce(0) { $0 + $1.size })
        }
    }
}
