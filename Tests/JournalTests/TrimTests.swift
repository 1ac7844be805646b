import Journal
import Testing
import WorkerProtocol

@Suite("Keeping and refusing") struct TrimTests {
    private func fill(_ fixture: Fixture, _ stream: StreamID, groups: Int, id: Bool = false) async throws {
        let from = Int(fixture.journal.end(of: stream)) / 10
        for group in from..<from + groups {
            _ = try await fixture.journal.append(stream, numbered(group * 10..<group * 10 + 10, id: id))
        }
    }

    private func done(_ fixture: Fixture, _ route: RouteState, _ watermark: UInt64) async throws {
        try await fixture.journal.commit { $0.progress = [RouteProgress(route: route.id, watermark: watermark, ranges: [])] }
    }

    @Test("Trimming follows the slowest live route, then retention", arguments: JournalKind.allCases)
    func slowest(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.retentionSeconds = 100
        fixture.journal.configure(stream, settings)
        let fast = try fixture.journal.route(lambda: "fast", domain: "orders", stream: stream, start: .beginning)
        let slow = try fixture.journal.route(lambda: "slow", domain: "orders", stream: stream, start: .beginning)
        try await fill(fixture, stream, groups: 10)
        fixture.clock.advance(seconds: 101)
        try await fill(fixture, stream, groups: 10)
        try await done(fixture, fast, 200)
        try await done(fixture, slow, 55)
        // Nobody has said who is live: all is kept.
        try fixture.reopen()
        fixture.journal.configure(stream, settings)
        #expect(fixture.journal.start(of: stream) == 0)
        fixture.journal.setLive([fast.id, slow.id])
        #expect(try await eventually { fixture.journal.start(of: stream) == 50 })
        #expect(try fixture.journal.read(stream, from: 0, maximumBytes: 1).first?.base == 50)
        #expect(try fixture.journal.events(stream).map(\.position) == Array(50..<200))
        let figures = try #require(fixture.journal.figures().streams[stream])
        #expect(figures.start == 50 && figures.end == 200)
        #expect(try figures.bytes == UInt64(fixture.journal.read(stream, from: 0, maximumBytes: .max).reduce(0) { $0 + $1.size }))
        // A route that is not live holds nothing; what is younger than the retention stays.
        fixture.journal.setLive([fast.id])
        #expect(try await eventually { fixture.journal.start(of: stream) == 100 })
        try fixture.reopen()
        #expect(fixture.journal.start(of: stream) == 100)
        #expect(try fixture.journal.route(lambda: "old", domain: "orders", stream: stream, start: .beginning).watermark == 100)
        #expect(try fixture.journal.route(lambda: "older", domain: "orders", stream: stream, start: .position(3)).watermark == 100)
        #expect(try await fixture.journal.append(stream, numbered(200..<201)).firstOffset == 200)
    }

    @Test("Retention is bounded in bytes too", arguments: JournalKind.allCases)
    func bytes(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        let route = try fixture.journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        try await fill(fixture, stream, groups: 10)
        let size = try #require(fixture.journal.cached(stream, at: 99)).size
        var settings = StreamSettings()
        settings.retentionBytesMax = UInt64(size * 3)
        fixture.journal.configure(stream, settings)
        try await done(fixture, route, 100)
        fixture.journal.setLive([route.id])
        #expect(try await eventually { fixture.journal.start(of: stream) == 70 })
    }

    @Test("An input is trimmed at once, and begins anew where it ended", arguments: JournalKind.allCases)
    func input(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.input, named: "orders/l")
        let route = try fixture.journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        let some = records(stream, numbered(0..<10), hash: fixture.journal.subjectHash)
        try await fixture.journal.commit { $0.appends = [StreamAppend(stream: stream, records: some)] }
        try await done(fixture, route, 10)
        fixture.journal.setLive([route.id])
        #expect(try await eventually { fixture.journal.start(of: stream) == 10 })
        try fixture.reopen()
        #expect(fixture.journal.start(of: stream) == 10 && fixture.journal.end(of: stream) == 10)
        try await fixture.journal.commit { $0.appends = [StreamAppend(stream: stream, records: some)] }
        #expect(try fixture.journal.events(stream).map(\.position) == Array(10..<20))
    }

    @Test("Ids are known for their time although their events are gone", arguments: JournalKind.allCases)
    func ids(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.retentionSeconds = 0
        settings.deduplicateSeconds = 1000
        fixture.journal.configure(stream, settings)
        let route = try fixture.journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        try await fill(fixture, stream, groups: 10, id: true)
        try await done(fixture, route, 100)
        fixture.clock.advance(seconds: 10)
        fixture.journal.setLive([route.id])
        #expect(try await eventually { fixture.journal.start(of: stream) == 100 })
        for _ in 0..<2 {
            let receipt = try await fixture.journal.append(stream, [SampleEvent(id: "id-0"), SampleEvent(id: "id-99")])
            #expect(receipt.entries == [.duplicate(offset: 0), .duplicate(offset: 99)])
            try fixture.reopen()
            fixture.journal.configure(stream, settings)
        }
        fixture.clock.advance(seconds: 1000)
        #expect(try await fixture.journal.append(stream, [SampleEvent(id: "id-0")]).entries.isEmpty)
    }

    @Test("A full backlog refuses appends, names who holds it, and lets commits pass", arguments: JournalKind.allCases)
    func backlog(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        try await fill(fixture, stream, groups: 1)
        let size = UInt64(try #require(fixture.journal.cached(stream, at: 0)).size)
        var settings = StreamSettings()
        settings.backlogBytesMax = size * 5
        fixture.journal.configure(stream, settings)
        let slow = try fixture.journal.route(lambda: "slow", domain: "orders", stream: stream, start: .beginning)
        let fast = try fixture.journal.route(lambda: "fast", domain: "orders", stream: stream, start: .end)
        fixture.journal.setLive([slow.id, fast.id])
        try await fill(fixture, stream, groups: 4)
        let error = await #expect(throws: JournalError.self) { try await fill(fixture, stream, groups: 1) }
        #expect(error?.code == .backlog)
        #expect(error?.message.contains("'slow'") == true && error?.message.contains("'orders'") == true)
        #expect(fixture.journal.end(of: stream) == 50)
        let emitted = records(stream, numbered(50..<60), hash: fixture.journal.subjectHash)
        try await fixture.journal.commit { $0.appends = [StreamAppend(stream: stream, records: emitted)] }
        #expect(fixture.journal.end(of: stream) == 60)
        // It catches up, and there is room again.
        try await done(fixture, slow, 35)
        try await done(fixture, fast, 60)
        try await fill(fixture, stream, groups: 2)
        await #expect(throws: JournalError.self) { try await fill(fixture, stream, groups: 1) }
        // Or it is not routed any more.
        fixture.journal.setLive([fast.id])
        try await done(fixture, fast, 80)
        try await fill(fixture, stream, groups: 4)
        #expect(fixture.journal.end(of: stream) == 120)
    }

    @Test("Readers see every event in order while others append and what is done is trimmed", arguments: JournalKind.allCases)
    func readersAndTrimming(_ kind: JournalKind) async throws {
        let fixture = try Fixture(kind, cacheBytesMax: 50_000)
        let journal = fixture.journal
        let clock = fixture.clock
        let stream = try journal.stream(.domain, named: "orders")
        var settings = StreamSettings()
        settings.retentionSeconds = 0
        journal.configure(stream, settings)
        let route = try journal.route(lambda: "l", domain: "orders", stream: stream, start: .beginning)
        journal.setLive([route.id])
        let total: UInt64 = 20_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for number in 0..<100 {
                        let first = number * 50
                        _ = try await journal.append(stream, numbered(first..<first + 50, subject: "w\(writer)"))
                    }
                }
            }
            group.addTask {
                var position: UInt64 = 0
                var last = [String: Int]()
                while position < total {
                    if journal.end(of: stream) == position {
                        await Task.yield()
                        continue
                    }
                    let batch = try #require(
                        try journal.cached(stream, at: position) ?? journal.read(stream, from: position, maximumBytes: 1).first)
                    try #require(batch.base <= position && position < batch.end)
                    for index in Int(position - batch.base)..<batch.count {
                        let view = batch.records.view(index)
                        let number = Int(String(decoding: view.payloadSection, as: UTF8.self).dropFirst()) ?? -1
                        try #require(number == last[view.subjectText, default: -1] + 1)
                        last[view.subjectText] = number
                    }
                    position = batch.end
                    let watermark = position
                    clock.advance(seconds: 1)
                    try await journal.commit { $0.progress = [RouteProgress(route: route.id, watermark: watermark, ranges: [])] }
                }
            }
            group.addTask {
                // Somebody who always wants the oldest there is.
                while journal.end(of: stream) < total {
                    let batches = try journal.read(stream, from: 0, maximumBytes: 10_000)
                    for (one, next) in zip(batches, batches.dropFirst()) { try #require(one.end == next.base) }
                    await Task.yield()
                }
            }
            try await group.waitForAll()
        }
        clock.advance(seconds: 1)
        try await done(fixture, route, total)
        #expect(try await eventually { journal.start(of: stream) == total })
    }
}
