import Journal
import Synchronization
import Testing
import WorkerProtocol

@Suite("Commits") struct CommitTests {
    @Test("Progress of routes lasts", arguments: JournalKind.allCases)
    func progress(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        _ = try await fixture.journal.append(stream, numbered(0..<100))
        let charge = try fixture.journal.route(lambda: "charge", domain: "orders", stream: stream, start: .beginning)
        let audit = try fixture.journal.route(lambda: "audit", domain: "orders", stream: stream, start: .end)
        let late = try fixture.journal.route(lambda: "late", domain: "orders", stream: stream, start: .position(1000))
        let middle = try fixture.journal.route(lambda: "middle", domain: "orders", stream: stream, start: .position(40))
        #expect([charge, audit, late, middle].map(\.watermark) == [0, 100, 100, 40])
        #expect(charge.isNew && audit.isNew)
        let ranges: [Range<UInt64>] = [12..<13, 20..<90, 91..<100]
        try await fixture.journal.commit {
            $0.progress = [
                RouteProgress(route: charge.id, watermark: 5, ranges: [7..<9]),
                RouteProgress(route: charge.id, watermark: 10, ranges: ranges),
                RouteProgress(route: audit.id, watermark: 100, ranges: []),
            ]
        }
        for _ in 0..<2 {
            let again = try fixture.journal.route(lambda: "charge", domain: "orders", stream: stream, start: .end)
            #expect(again == RouteState(id: charge.id, lambda: "charge", domain: "orders", stream: stream, watermark: 10, ranges: ranges))
            #expect(try fixture.journal.routes().map(\.lambda) == ["charge", "audit", "late", "middle"])
            #expect(try fixture.journal.routes().map(\.watermark) == [10, 100, 100, 40])
            try fixture.reopen()
        }
        try fixture.journal.forget(late.id)
        #expect(try fixture.journal.routes().map(\.lambda) == ["charge", "audit", "middle"])
        fixture.journal.setLive([charge.id])
        #expect(throws: JournalError.self) { try fixture.journal.forget(charge.id) }
        #expect(throws: JournalError.self) { try fixture.journal.forget(late.id) }
        let new = try fixture.journal.route(lambda: "late", domain: "orders", stream: stream, start: .beginning)
        #expect(new.isNew && new.id != late.id && new.watermark == 0)
    }

    @Test("A commit is all or nothing, and others of its group go on", arguments: JournalKind.allCases)
    func atomic(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let journal = fixture.journal
        let stream = try journal.stream(.domain, named: "orders")
        let route = try journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        let good = records(stream, numbered(0..<3), hash: journal.subjectHash)
        var bad = JournalCommit()
        bad.progress = [
            RouteProgress(route: route.id, watermark: 1, ranges: []), RouteProgress(route: RouteID(rawValue: 99), watermark: 1, ranges: []),
        ]
        bad.appends = [StreamAppend(stream: stream, records: good)]
        bad.deferred = [
            .insert(DeferredRow(id: 1, route: route.id, subjectHash: 1, records: good, state: .deferred, dueMillis: 0, history: .init()))
        ]
        let answers = [Answer<Void>(), Answer<Void>()]
        let order = Mutex<[Int]>([])
        journal.commit(bad) {
            answers[0].set($0); order.withLock { $0.append(0) }
        }
        var fine = JournalCommit()
        fine.progress = [RouteProgress(route: route.id, watermark: 2, ranges: [])]
        journal.commit(fine) {
            answers[1].set($0); order.withLock { $0.append(1) }
        }
        let error = await #expect(throws: JournalError.self) { try await answers[0].get() }
        #expect(error?.code == .unknown)
        try await answers[1].get()
        #expect(order.withLock { $0 } == [0, 1])
        #expect(journal.end(of: stream) == 0)
        #expect(try journal.deferredHeads(route.id).isEmpty)
        #expect(try journal.routes().map(\.watermark) == [2])
        // The same may be tried again, mended.
        bad.progress.removeLast()
        let again = Answer<Void>()
        journal.commit(bad) { again.set($0) }
        try await again.get()
        #expect(try journal.events(stream).count == 3)
        #expect(try journal.deferredHeads(route.id).count == 1)
    }

    @Test("Emitted events get offsets, known ids are left out, handed-on events stay as they are", arguments: JournalKind.allCases)
    func appends(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let journal = fixture.journal
        let orders = try journal.stream(.domain, named: "orders")
        let receipts = try journal.stream(.domain, named: "receipts")
        let input = try journal.stream(.input, named: "orders/receipt")
        #expect(try journal.stream(.input, named: "orders") != orders)
        var settings = StreamSettings()
        settings.producerSequence = true
        journal.configure(receipts, settings)
        _ = try await journal.append(orders, numbered(0..<10, id: true))
        _ = try await journal.append(receipts, [SampleEvent(subject: "a", sequence: 41)])
        let source = try journal.read(orders, from: 0, maximumBytes: .max)[0].records
        let handed = RecordBuffer()
        handed.append(copying: source.view(4).header)
        handed.append(copying: source.view(2).header)
        for _ in 0..<2 {
            try await journal.commit {
                $0.appends = [
                    StreamAppend(stream: input, records: handed),
                    StreamAppend(
                        stream: orders,
                        records: records(
                            orders, [SampleEvent(id: "id-3"), SampleEvent(id: "emit"), SampleEvent(payload: "q")], hash: journal.subjectHash
                        )),
                    StreamAppend(
                        stream: receipts,
                        records: records(
                            receipts,
                            [
                                SampleEvent(subject: "a", id: "e1"), SampleEvent(subject: "b", id: "e2"),
                                SampleEvent(subject: "a", id: "e3"),
                            ],
                            hash: journal.subjectHash)),
                ]
            }
        }
        #expect(try journal.events(input).map(\.position) == [0, 1, 2, 3])
        #expect(try journal.events(input).map(\.offset) == [4, 2, 4, 2])
        #expect(try journal.events(orders).map(\.offset) == Array(0..<13))
        #expect(try journal.events(orders).suffix(3).map(\.payload) == ["payload", "q", "q"])
        #expect(try journal.events(receipts).map(\.sequence) == [41, 42, 1, 43])
        // A producer goes on above what was emitted.
        let error = await #expect(throws: JournalError.self) {
            try await journal.append(receipts, [SampleEvent(subject: "a", sequence: 43)])
        }
        #expect(error?.code == .outOfOrder)
        try fixture.reopen()
        #expect(try fixture.journal.events(input).map(\.offset) == [4, 2, 4, 2])
        #expect(fixture.journal.streams().map(\.name) == ["orders", "receipts", "orders/receipt", "orders"])
    }

    @Test("Joins keep their parts until they are complete", arguments: JournalKind.allCases)
    func joins(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.input, named: "orders/index")
        let parts = [
            JoinPart(key: JoinKey(stream: stream, offset: 7), lambda: "a", succeeded: true, output: [1, 2, 3]),
            JoinPart(key: JoinKey(stream: stream, offset: 7), lambda: "b", succeeded: false, output: []),
            JoinPart(key: JoinKey(stream: stream, offset: 9), lambda: "a", succeeded: true, output: []),
        ]
        try await fixture.journal.commit { $0.joins = parts }
        // Told twice is told once.
        try await fixture.journal.commit { $0.joins = [parts[2]] }
        try fixture.reopen()
        #expect(try fixture.journal.joinParts(stream, position: 7) == Array(parts.prefix(2)))
        #expect(try fixture.journal.joinParts(stream, position: 8).isEmpty)
        #expect(try fixture.journal.allJoins() == parts)
        try await fixture.journal.commit { $0.joinsRemoved = [JoinKey(stream: stream, offset: 7)] }
        #expect(try fixture.journal.allJoins() == [parts[2]])
    }
}
