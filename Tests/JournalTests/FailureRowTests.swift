import CWorkerProtocol
import Journal
import Testing
import WorkerProtocol

@Suite("Deferred rows and dead letters") struct FailureRowTests {
    /// A journal with two routes and some deferred rows: subject 1 has rows 1 and 4, subject 2 row 2, subject 3 (other route) row 3.
    private func prepared(_ kind: JournalKind) async throws -> (Fixture, [RouteState], StreamID) {
        let fixture = try Fixture(kind)
        let stream = try fixture.journal.stream(.domain, named: "orders")
        _ = try await fixture.journal.append(stream, numbered(0..<20))
        let routes = try ["charge", "audit"].map {
            try fixture.journal.route(lambda: $0, domain: "orders", stream: stream, start: .beginning)
        }
        let source = try fixture.journal.read(stream, from: 0, maximumBytes: .max)[0].records
        func row(
            _ id: Int64, _ route: Int, subject: UInt64, _ range: Range<Int>, _ state: DeferredState, due: Int64 = 0, error: String = ""
        ) -> DeferredChange {
            let copy = RecordBuffer()
            copy.append(copying: source, range)
            var history = FailureHistory()
            history.attempts = UInt32(id)
            history.error = error
            return .insert(
                DeferredRow(
                    id: id, route: routes[route].id, subjectHash: subject, records: copy, state: state, dueMillis: due, history: history))
        }
        try await fixture.journal.commit {
            $0.deferred = [
                row(4, 0, subject: 1, 1..<6, .behind), row(1, 0, subject: 1, 0..<1, .deferred, due: 99, error: "no connection to db-1"),
                row(2, 0, subject: 2, 6..<8, .parked, error: "bad input"), row(3, 1, subject: .max, 8..<9, .open),
            ]
        }
        return (fixture, routes, stream)
    }

    @Test("Heads, rows and counts", arguments: JournalKind.allCases)
    func heads(_ kind: JournalKind) async throws {
        let (fixture, routes, _) = try await prepared(kind)
        for _ in 0..<2 {
            let heads = try fixture.journal.deferredHeads(routes[0].id)
            #expect(heads.map(\.id) == [1, 2])
            #expect(heads.map(\.subjectHash) == [1, 2])
            #expect(heads.map(\.state) == [.deferred, .parked])
            #expect(heads.map(\.dueMillis) == [99, 0])
            #expect(heads.map(\.rows) == [2, 1])
            #expect(heads.map(\.events) == [6, 2])
            let rows = try fixture.journal.deferredRows(routes[0].id, subjectHash: 1, after: 0, maximumBytes: .max)
            #expect(rows.map(\.id) == [1, 4])
            #expect(rows.map(\.records.count) == [1, 5])
            #expect(heads[0].bytes == rows.reduce(0) { $0 + $1.records.size })
            #expect(rows[0].history.attempts == 1 && rows[0].history.error == "no connection to db-1")
            #expect((0..<5).map { rows[1].records.record($0).pointee.offset } == [1, 2, 3, 4, 5])
            #expect(try fixture.journal.deferredRows(routes[0].id, subjectHash: 1, after: 1, maximumBytes: 1).map(\.id) == [4])
            #expect(try fixture.journal.deferredRows(routes[0].id, subjectHash: 1, after: 0, maximumBytes: 1).map(\.id) == [1])
            #expect(try fixture.journal.deferredRows(routes[1].id, subjectHash: 1, after: 0, maximumBytes: 1).isEmpty)
            #expect(try fixture.journal.deferredHeads(routes[1].id).map(\.subjectHash) == [.max])
            let counts = try fixture.journal.rowCounts()
            #expect(counts[routes[0].id]?.deferred == 6 && counts[routes[0].id]?.parked == 2)
            #expect(counts[routes[1].id]?.deferred == 1 && counts[routes[1].id]?.parked == 0)
            #expect(try fixture.journal.nextRowID() == 5)
            try fixture.reopen()
        }
    }

    @Test("Updates and removals", arguments: JournalKind.allCases)
    func changes(_ kind: JournalKind) async throws {
        let (fixture, routes, _) = try await prepared(kind)
        let sizes = try fixture.journal.deferredRows(routes[0].id, subjectHash: 1, after: 1, maximumBytes: .max)[0].records
        var history = FailureHistory()
        history.attempts = 3
        history.crashes = 2
        history.externalKills = 1
        history.sinceMillis = 11
        history.lastMillis = 12
        history.error = "it's \"broken\" – naïve"
        history.isSuspect = true
        try await fixture.journal.commit {
            $0.deferred = [
                .remove(id: 1), .update(id: 4, done: 2, state: .deferred, dueMillis: 1234, history: history), .remove(id: 77),
                .update(id: 78, done: 0, state: .open, dueMillis: 0, history: history),
            ]
        }
        for _ in 0..<2 {
            let rows = try fixture.journal.deferredRows(routes[0].id, subjectHash: 1, after: 0, maximumBytes: .max)
            #expect(rows.map(\.id) == [4] && rows[0].done == 2 && rows[0].records.count == 5)
            #expect(rows[0].state == .deferred && rows[0].dueMillis == 1234 && rows[0].history == history)
            let head = try #require(try fixture.journal.deferredHeads(routes[0].id).first { $0.subjectHash == 1 })
            #expect(
                head
                    == DeferredHead(
                        id: 4, subjectHash: 1, state: .deferred, dueMillis: 1234, rows: 1, events: 3,
                        bytes: sizes.size - Int(sizes.positions[2])))
            let blocked = try fixture.journal.blocked(RowQuery())
            #expect(blocked.map(\.id) == [2, 3, 4])
            #expect(
                blocked[2]
                    == BlockedEvent(
                        id: 4, lambda: "charge", domain: "orders", subject: "s", offset: 3, events: 3, state: .deferred, dueMillis: 1234,
                        history: history))
            try fixture.reopen()
        }
        try await fixture.journal.commit { $0.deferred = [.update(id: 4, done: 4, state: .open, dueMillis: 0, history: history)] }
        #expect(try fixture.journal.blocked(RowQuery()).last?.offset == 5)
        #expect(try fixture.journal.rowCounts()[routes[0].id]?.deferred == 1)
        try fixture.journal.forget(routes[0].id)
        #expect(try fixture.journal.blocked(RowQuery()).map(\.id) == [3])
        try await fixture.journal.commit { $0.deferred = [.remove(id: 3)] }
        #expect(try fixture.journal.rowCounts().isEmpty)
        #expect(try fixture.journal.nextRowID() == 5)
    }

    @Test("What operators ask of blocked events", arguments: JournalKind.allCases)
    func blocked(_ kind: JournalKind) async throws {
        let (fixture, _, _) = try await prepared(kind)
        func ids(_ change: (inout RowQuery) -> Void) throws -> [Int64] {
            var query = RowQuery()
            change(&query)
            return try fixture.journal.blocked(query).map(\.id)
        }
        #expect(try ids { _ in } == [1, 2, 3, 4])
        #expect(try ids { $0.limit = 2 } == [1, 2])
        #expect(try ids { $0.lambda = "audit" } == [3])
        #expect(try ids { $0.domain = "files" } == [])
        #expect(try ids { $0.subject = "s" } == [1, 2, 3, 4])
        #expect(try ids { $0.error = "db-1" } == [1])
        #expect(try ids { $0.id = 2 } == [2])
    }

    @Test("Dead letters outlive their route", arguments: JournalKind.allCases)
    func dead(_ kind: JournalKind) async throws {
        let (fixture, routes, stream) = try await prepared(kind)
        let subjects = ["a", "b", "a"]
        let letters = subjects.enumerated().map { index, subject in
            var history = FailureHistory()
            history.attempts = 20
            history.error = "error \(index)"
            return DeadLetter(
                id: Int64(10 + index), route: routes[index % 2].id,
                records: records(stream, [SampleEvent(subject: subject, payload: "dead \(index)")], hash: fixture.journal.subjectHash),
                atMillis: Int64(1000 + index), reason: index == 0 ? "fatal" : "attempts", history: history)
        }
        try await fixture.journal.commit { $0.dead = letters }
        try fixture.reopen()
        #expect(try fixture.journal.nextRowID() == 13)
        #expect(try fixture.journal.rowCounts()[routes[0].id]?.dead == 2)
        try fixture.journal.forget(routes[0].id)
        let all = try fixture.journal.deadLetters(RowQuery())
        #expect(all.map(\.id) == [12, 11, 10])
        #expect(all[2].reason == "fatal" && all[2].atMillis == 1000 && all[2].history == letters[0].history && all[2].route == routes[0].id)
        #expect(all[2].records.bytes.elementsEqual(letters[0].records.bytes))
        func ids(_ change: (inout RowQuery) -> Void) throws -> [Int64] {
            var query = RowQuery()
            change(&query)
            return try fixture.journal.deadLetters(query).map(\.id)
        }
        #expect(try ids { $0.lambda = "charge" } == [12, 10])
        #expect(
            try ids {
                $0.subject = "a"; $0.limit = 1
            } == [12])
        #expect(try ids { $0.error = "error 1" } == [11])
        #expect(try ids { $0.id = 10 } == [10])
        #expect(try ids { $0.lambda = "nobody" } == [])
        try await fixture.journal.commit { $0.deadRemoved = [10, 11, 99] }
        #expect(try fixture.journal.deadLetters(RowQuery()).map(\.id) == [12])
        #expect(try fixture.journal.nextRowID() == 13)
    }
}
