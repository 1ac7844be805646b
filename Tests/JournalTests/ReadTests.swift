import CWorkerProtocol
import Journal
import Testing
import WorkerProtocol

@Suite("Reading") struct ReadTests {
    @Test("A large append is cut into bounded rows, and reads back whole", arguments: JournalKind.allCases)
    func large(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let payload = String(repeating: "x", count: 1000)
        let small = fixture.journal.start(stream, numbered(0..<10, id: true))
        let large = fixture.journal.start(stream, numbered(10..<5000, id: true, payload: payload))
        let huge = fixture.journal.start(stream, [SampleEvent(payload: String(repeating: "y", count: 3 << 20))])
        let last = fixture.journal.start(stream, numbered(5001..<5003))
        #expect(try await small.get().firstOffset == 0)
        #expect(try await large.get().firstOffset == 10)
        #expect(try await huge.get().firstOffset == 5000)
        #expect(try await last.get().firstOffset == 5001)
        let batches = try fixture.journal.read(stream, from: 0, maximumBytes: .max)
        #expect(batches.allSatisfy { $0.size <= 1 << 20 || $0.count == 1 })
        #expect(batches.count >= 8)
        let events = try fixture.journal.events(stream)
        #expect(events.map(\.position) == Array(0..<5003))
        #expect(events[4321].payload == payload + "4321")
        try fixture.reopen()
        #expect(try fixture.journal.events(stream) == events)
        // Ids are with the rows that hold their events.
        let again = try await fixture.journal.append(stream, [SampleEvent(id: "id-4321"), SampleEvent(id: "id-3")])
        #expect(again.entries == [.duplicate(offset: 4321), .duplicate(offset: 3)])
    }

    @Test("Reading begins with the batch that holds the position and is bounded", arguments: JournalKind.allCases)
    func bounded(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        for group in 0..<10 { _ = try await fixture.journal.append(stream, numbered(group * 10..<group * 10 + 10)) }
        for position in [0, 1, 9, 10, 55, 99] as [UInt64] {
            let batches = try fixture.journal.read(stream, from: position, maximumBytes: 1)
            #expect(batches.count == 1)
            #expect(batches.first.map { $0.base <= position && position < $0.end } == true)
        }
        let two = try fixture.journal.read(stream, from: 15, maximumBytes: try #require(fixture.journal.cached(stream, at: 15)).size + 1)
        #expect(two.map(\.base) == [10, 20])
        #expect(try fixture.journal.read(stream, from: 100, maximumBytes: 1000).isEmpty)
        #expect(try fixture.journal.read(stream, from: 1_000_000, maximumBytes: 1000).isEmpty)
    }

    @Test("What is cached equals what is read, and the cache is bounded", arguments: JournalKind.allCases)
    func cache(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind, cacheBytesMax: 20_000)
        let streams = try ["a", "b"].map { try fixture.journal.stream(.domain, named: $0) }
        for group in 0..<200 { _ = try await fixture.journal.append(streams[group % 2], numbered(group * 5..<group * 5 + 5)) }
        for stream in streams {
            var cached: [EventBatch] = []
            for position in 0..<fixture.journal.end(of: stream) {
                guard let batch = fixture.journal.cached(stream, at: position) else {
                    #expect(cached.isEmpty, "a hole in the cache at \(position)")
                    continue
                }
                #expect(batch.base <= position && position < batch.end)
                if cached.last?.base != batch.base { cached.append(batch) }
            }
            let total = cached.reduce(0) { $0 + $1.size }
            #expect(total > 2_000 && total <= 20_000)
            for batch in cached {
                let read = try #require(try fixture.journal.read(stream, from: batch.base, maximumBytes: 1).first)
                #expect(read.base == batch.base && read.count == batch.count)
                #expect(read.records.bytes.elementsEqual(batch.records.bytes))
            }
            #expect(fixture.journal.cached(stream, at: fixture.journal.end(of: stream)) == nil)
            #expect(fixture.journal.cached(stream, at: 0) == nil)
        }
    }

    @Test("Payloads in files of their own stay while a row names them", arguments: JournalKind.allCases)
    func payloads(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let route = try fixture.journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        var settings = StreamSettings()
        settings.retentionSeconds = 0
        fixture.journal.configure(stream, settings)
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let kept = try bytes.withUnsafeBytes { try fixture.journal.storePayload($0) }
        let orphan = try bytes.withUnsafeBytes { try fixture.journal.storePayload($0) }
        #expect(kept != orphan)
        let event = SampleEvent(external: (number: kept, size: 300_000))
        _ = try await fixture.journal.append(stream, [event])
        #expect(try fixture.journal.externalPayload(kept) == bytes)
        try fixture.reopen()
        fixture.journal.configure(stream, settings)
        #expect(try fixture.journal.externalPayload(kept) == bytes)
        #expect(throws: JournalError.self) { try fixture.journal.externalPayload(orphan) }
        let view = try fixture.journal.read(stream, from: 0, maximumBytes: 1)[0].records.view(0)
        #expect(view.externalNumber == kept && view.header.pointee.payload_size == 300_000)

        // A deferred row and a dead letter hold it; the batch row goes.
        let copy = records(stream, [event], hash: fixture.journal.subjectHash)
        try await fixture.journal.commit {
            $0.progress = [RouteProgress(route: route.id, watermark: 1, ranges: [])]
            $0.deferred = [
                .insert(DeferredRow(id: 1, route: route.id, subjectHash: 7, records: copy, state: .parked, dueMillis: 0, history: .init()))
            ]
        }
        fixture.clock.advance(seconds: 1)
        fixture.journal.setLive([route.id])
        #expect(try await eventually { fixture.journal.start(of: stream) == 1 })
        #expect(try fixture.journal.externalPayload(kept) == bytes)
        try await fixture.journal.commit {
            $0.deferred = [.remove(id: 1)]
            $0.dead = [DeadLetter(id: 2, route: route.id, records: copy, atMillis: 1, reason: "fatal", history: .init())]
        }
        try fixture.reopen()
        #expect(try fixture.journal.externalPayload(kept) == bytes)
        try await fixture.journal.commit { $0.deadRemoved = [2] }
        #expect(throws: JournalError.self) { try fixture.journal.externalPayload(kept) }
    }

    @Test("A numbered event with its payload in a file is known when it comes again", arguments: JournalKind.allCases)
    func numberedPayloads(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.producerSequence = true
        fixture.journal.configure(stream, settings)
        func event(_ byte: UInt8) throws -> SampleEvent {
            let bytes = [UInt8](repeating: byte, count: 300_000)
            let number = try bytes.withUnsafeBytes { try fixture.journal.storePayload($0) }
            return SampleEvent(sequence: 3, external: (number: number, size: 300_000))
        }
        #expect(try await fixture.journal.append(stream, [try event(1)]).entries.isEmpty)
        for _ in 0..<2 {
            let receipt = try await fixture.journal.append(stream, [try event(1), try event(2)], atomic: false)
            #expect(receipt.entries == [.duplicate(offset: 0), .outOfOrder(last: 3)])
            try fixture.reopen()
            fixture.journal.configure(stream, settings)
        }
    }
}
