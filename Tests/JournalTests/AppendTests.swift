import Journal
import Synchronization
import Testing
import WorkerProtocol

@Suite("Accepting events") struct AppendTests {
    @Test("Offsets follow one another and sequences are the offsets", arguments: JournalKind.allCases)
    func contiguous(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let other = try fixture.journal.stream(.domain, named: "files")
        var answers: [Answer<AppendReceipt>] = []
        for group in 0..<20 {
            answers.append(fixture.journal.start(stream, numbered(group * 7..<group * 7 + 7)))
            answers.append(fixture.journal.start(other, numbered(group..<group + 1)))
        }
        for (index, answer) in answers.enumerated() {
            let receipt = try await answer.get()
            #expect(receipt.firstOffset == UInt64(index % 2 == 0 ? index / 2 * 7 : index / 2))
            #expect(receipt.entries.isEmpty)
        }
        let events = try fixture.journal.events(stream)
        #expect(events.map(\.position) == Array(0..<140))
        #expect(events.allSatisfy { $0.offset == $0.position && $0.sequence == $0.position })
        #expect(events.map(\.payload) == (0..<140).map { "p\($0)" })
        #expect(fixture.journal.end(of: stream) == 140)
        #expect(fixture.journal.end(of: other) == 20)

        try fixture.reopen()
        #expect(try fixture.journal.stream(.domain, named: "orders") == stream)
        #expect(try await fixture.journal.append(stream, numbered(140..<142)).firstOffset == 140)
        #expect(try fixture.journal.events(stream).map(\.payload) == (0..<142).map { "p\($0)" })
    }

    @Test("An empty append is answered and takes no offset", arguments: JournalKind.allCases)
    func empty(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let receipt = try await fixture.journal.append(stream, [])
        #expect(receipt == AppendReceipt(firstOffset: 0, count: 0))
        #expect(fixture.journal.end(of: stream) == 0)
        #expect(try fixture.journal.read(stream, from: 0, maximumBytes: 100).isEmpty)
    }

    @Test("What is not there is refused", arguments: JournalKind.allCases)
    func unknown(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let input = try fixture.journal.stream(.input, named: "orders/receipt")
        await #expect(throws: JournalError.self) { try await fixture.journal.append(StreamID(rawValue: 99), numbered(0..<1)) }
        await #expect(throws: JournalError.self) { try await fixture.journal.append(input, numbered(0..<1)) }
        fixture.journal.close()
        let error = await #expect(throws: JournalError.self) { try await fixture.journal.append(input, numbered(0..<1)) }
        #expect(error?.code == .closed)
    }

    @Test("A known id is a duplicate with its first offset", arguments: JournalKind.allCases)
    func duplicates(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        _ = try await fixture.journal.append(stream, numbered(0..<3, id: true))
        let receipt = try await fixture.journal.append(
            stream, [SampleEvent(id: "new"), SampleEvent(id: "id-1"), SampleEvent(), SampleEvent(id: "new"), SampleEvent(id: "id-2")])
        #expect(
            receipt.entries == [
                .accepted(offset: 3), .duplicate(offset: 1), .accepted(offset: 4), .duplicate(offset: 3), .duplicate(offset: 2),
            ])
        #expect(fixture.journal.end(of: stream) == 5)
        // Another domain knows nothing of it.
        let other = try fixture.journal.stream(.domain, named: "files")
        #expect(try await fixture.journal.append(other, numbered(0..<3, id: true)).entries.isEmpty)

        try fixture.reopen()
        let again = try await fixture.journal.append(stream, numbered(0..<4, id: true))
        #expect(again.entries == [.duplicate(offset: 0), .duplicate(offset: 1), .duplicate(offset: 2), .accepted(offset: 5)])
        let all = try await fixture.journal.append(stream, numbered(0..<4, id: true))
        #expect(all.entries == [.duplicate(offset: 0), .duplicate(offset: 1), .duplicate(offset: 2), .duplicate(offset: 5)])
        #expect(try fixture.journal.events(stream).count == 6)
    }

    @Test("Many appends of the same ids at once are accepted once", arguments: JournalKind.allCases)
    func duplicatesInFlight(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let answers = (0..<50).map { _ in fixture.journal.start(stream, numbered(0..<10, id: true)) }
        var accepted = 0
        for answer in answers {
            let receipt = try await answer.get()
            if receipt.entries.isEmpty { accepted += 1 } else { #expect(receipt.entries == (0..<10).map { .duplicate(offset: $0) }) }
        }
        #expect(accepted == 1)
        #expect(fixture.journal.end(of: stream) == 10)
    }

    @Test("Ids are forgotten by number and by age", arguments: JournalKind.allCases)
    func window(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.deduplicateCountMax = 5
        settings.deduplicateSeconds = 60
        fixture.journal.configure(stream, settings)
        _ = try await fixture.journal.append(stream, numbered(0..<8, id: true))
        #expect(fixture.journal.figures().streams[stream]?.ids == 5)
        #expect(try await fixture.journal.append(stream, [SampleEvent(id: "id-3")]).entries == [.duplicate(offset: 3)])
        #expect(try await fixture.journal.append(stream, [SampleEvent(id: "id-2")]).entries.isEmpty)
        fixture.clock.advance(seconds: 61)
        #expect(try await fixture.journal.append(stream, [SampleEvent(id: "id-2")]).entries.isEmpty)
        try fixture.reopen()
        fixture.journal.configure(stream, settings)
        #expect(try await fixture.journal.append(stream, [SampleEvent(id: "id-2")]).entries == [.duplicate(offset: 9)])
        #expect(try await fixture.journal.append(stream, [SampleEvent(id: "id-7")]).entries.isEmpty)
    }

    @Test("Producers' sequences", arguments: JournalKind.allCases)
    func sequences(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.producerSequence = true
        fixture.journal.configure(stream, settings)
        func event(_ sequence: UInt64, _ payload: String = "p", subject: String = "a", id: String = "") -> SampleEvent {
            SampleEvent(subject: subject, id: id, payload: payload, sequence: sequence)
        }
        _ = try await fixture.journal.append(stream, [event(5), event(7), event(1, subject: "b"), event(9, id: "nine")])
        for _ in 0..<2 {
            let receipt = try await fixture.journal.append(
                stream,
                [
                    event(9, id: "nine"), event(9, "p"), event(9, "other"), event(7), event(7, "other"), event(6), event(8),
                    event(1, subject: "b"), event(3, "x", id: "nine"),
                ], atomic: false)
            #expect(
                receipt.entries == [
                    .duplicate(offset: 3), .duplicate(offset: 3), .outOfOrder(last: 9), .duplicate(offset: 1), .outOfOrder(last: 9),
                    .outOfOrder(last: 9), .outOfOrder(last: 9), .duplicate(offset: 2), .duplicate(offset: 3),
                ])
            try fixture.reopen()
            fixture.journal.configure(stream, settings)
        }
        #expect(try fixture.journal.events(stream).map(\.sequence) == [5, 7, 1, 9])
        let mixed = try await fixture.journal.append(stream, [event(10), event(10, "other"), event(11)], atomic: false)
        #expect(mixed.entries == [.accepted(offset: 4), .outOfOrder(last: 10), .accepted(offset: 5)])
    }

    @Test("An atomic append is refused whole, and leaves no trace", arguments: JournalKind.allCases)
    func atomic(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.producerSequence = true
        fixture.journal.configure(stream, settings)
        _ = try await fixture.journal.append(stream, [SampleEvent(subject: "a", sequence: 5)])
        let batch = [
            SampleEvent(subject: "b", id: "one", sequence: 1), SampleEvent(subject: "a", id: "two", sequence: 6),
            SampleEvent(subject: "a", id: "three", sequence: 4),
        ]
        let error = await #expect(throws: JournalError.self) { try await fixture.journal.append(stream, batch) }
        #expect(error?.code == .outOfOrder)
        #expect(error?.message.contains("event 3 of 3") == true)
        #expect(error?.message.contains("'a'") == true)
        #expect(fixture.journal.end(of: stream) == 1)
        // Neither ids nor sequences of it are known.
        #expect(try await fixture.journal.append(stream, Array(batch.prefix(2))).entries.isEmpty)
    }

    @Test("A source's state moves with its events", arguments: JournalKind.allCases)
    func sourceState(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "files")
        func state() throws -> [[UInt8]: [UInt8]] {
            var state: [[UInt8]: [UInt8]] = [:]
            var keys: [[UInt8]] = []
            try fixture.journal.sourceState("files") {
                state[Array($0)] = Array($1)
                keys.append(Array($0))
            }
            #expect(keys == keys.sorted { $0.lexicographicallyPrecedes($1) })
            return state
        }
        _ = try await fixture.journal.append(
            stream, numbered(0..<1), source: "files",
            changes: [.put(key: [1, 255], value: [1]), .put(key: [1], value: []), .put(key: [0, 200], value: [3])])
        _ = try await fixture.journal.append(
            stream, numbered(1..<2), source: "files", changes: [.remove(key: [1]), .put(key: [0, 200], value: [4]), .remove(key: [9])])
        _ = try await fixture.journal.append(stream, [], source: "files", changes: [.put(key: [7], value: [7])])
        _ = try await fixture.journal.append(stream, [], source: "other", changes: [.put(key: [7], value: [8])])
        #expect(try state() == [[1, 255]: [1], [0, 200]: [4], [7]: [7]])
        try fixture.reopen()
        #expect(try state() == [[1, 255]: [1], [0, 200]: [4], [7]: [7]])
        // Refused events leave the state as it was.
        await #expect(throws: JournalError.self) {
            try await fixture.journal.append(StreamID(rawValue: 77), numbered(0..<1), source: "files", changes: [.remove(key: [7])])
        }
        #expect(try state().count == 3)
    }

    @Test("The observer hears of streams that grew, after they did", arguments: JournalKind.allCases)
    func observer(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let seen = Mutex<[StreamAdvance]>([])
        let journal = fixture.journal
        journal.setObserver { advances in
            seen.withLock { $0.append(contentsOf: advances) }
            for advance in advances { #expect(journal.end(of: advance.stream) >= advance.end) }
        }
        for index in 0..<5 { _ = try await fixture.journal.append(stream, numbered(index..<index + 1)) }
        #expect(try await eventually { seen.withLock { $0.last == StreamAdvance(stream: stream, end: 5) } })
        #expect(seen.withLock { $0.map(\.end) } == [1, 2, 3, 4, 5])
        journal.setObserver { _ in }
    }

    @Test("Relaxed appends are there too", arguments: JournalKind.allCases)
    func relaxed(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        for index in 0..<20 { _ = try await fixture.journal.append(stream, numbered(index..<index + 1), relaxed: index % 3 != 0) }
        try fixture.reopen()
        #expect(try fixture.journal.events(stream).map(\.payload) == (0..<20).map { "p\($0)" })
    }
}
