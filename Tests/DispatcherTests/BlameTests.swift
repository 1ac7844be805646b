import Journal
import Routing
import Testing
import WorkerProtocol

@testable import Dispatcher

/// Which event a worker's death is put down to (SEMANTICS §3.4, §3.5; ISOLATION rows 47, 48).
@Suite struct BlameTests {
    /// Runs everything; the worker dies whenever it runs the event 'poison' and says that it had begun what `lie` makes of it.
    /// Returns how many workers died.
    private func run(_ stage: Stage, poison: String, steps: Int = 400, lie: (Stage, Stage.Run) throws -> Void) throws -> Int {
        var deaths = 0
        for _ in 0..<steps {
            guard let worker = stage.inbox.keys.sorted().first(where: { !stage.inbox[$0]!.isEmpty }) else {
                try stage.wait(millis: 100)
                continue
            }
            guard let next = stage.inbox[worker]?.first else { continue }
            if next.subject == poison {
                try lie(stage, next)
                stage.addWorker()
                try stage.die(worker, .fault)
                deaths += 1
            } else {
                try stage.end(try stage.begin(worker), .success)
            }
        }
        return deaths
    }

    private func stage() throws -> Stage {
        let stage = try Stage()
        try stage.accept((0..<64).map { $0 == 37 ? "poison" : "s\($0)" })
        return stage
    }

    private func expectOnlyPoisonIsDead(_ stage: Stage, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let letters = try stage.deadLetters()
        #expect(letters.map { $0.records.view(0).subjectText } == ["poison"], sourceLocation: sourceLocation)
        #expect(letters.map(\.reason) == ["crashes"] && letters.first?.history.crashes == 2, sourceLocation: sourceLocation)
        #expect(stage.status.counts.succeeded == 63 && stage.status.watermark == 64, sourceLocation: sourceLocation)
        #expect(try stage.blocked().isEmpty, sourceLocation: sourceLocation)
    }

    @Test func anHonestWorker() throws {
        let stage = try stage()
        #expect(try run(stage, poison: "poison") { stage, next in _ = try stage.begin(next.worker) } == 2)
        try expectOnlyPoisonIsDead(stage)
    }

    @Test func aWorkerThatSaysItHadBegunNothing() throws {
        let stage = try stage()
        let deaths = try run(stage, poison: "poison") { _, _ in }
        #expect(deaths <= 4, "once in company, once alone without a charge, twice with one")
        try expectOnlyPoisonIsDead(stage)
    }

    @Test func aWorkerThatSaysItHadBegunEverything() throws {
        let stage = try stage()
        let deaths = try run(stage, poison: "poison") { stage, next in
            while !stage.inbox[next.worker]!.isEmpty { try stage.begin(next.worker) }
        }
        #expect(deaths == 3, "once in company, twice alone")
        try expectOnlyPoisonIsDead(stage)
    }

    @Test func aWorkerThatDiesOfWhatItHasNotBegun() throws {
        let stage = try stage()
        var deaths = 0
        for _ in 0..<800 {
            guard let worker = stage.inbox.keys.sorted().first(where: { !stage.inbox[$0]!.isEmpty }) else {
                try stage.wait(millis: 100)
                continue
            }
            let hasPoison = stage.inbox[worker]!.contains { $0.subject == "poison" }
            let run = try stage.begin(worker)
            if hasPoison {
                stage.addWorker()
                try stage.die(worker, .fault)
                deaths += 1
            } else {
                try stage.end(run, .success)
            }
        }
        #expect(deaths <= 66, "at most one for each event that was sent with it, and its own")
        try expectOnlyPoisonIsDead(stage)
    }

    @Test func afterACrashAnEventRunsAloneAlsoInTheNextLifeOfTheHost() throws {
        let stage = try Stage()
        try stage.accept(["a", "b", "c"])
        try stage.begin()
        stage.addWorker()
        try stage.die(0, .fault)
        #expect(try stage.runAll().map(\.subject) == ["b", "c"])
        try stage.accept(["d", "e"])
        try stage.restart()
        stage.addWorker()
        // Its time comes while others are at the worker: it waits until they are gone, and then nothing comes beside it.
        try stage.wait(millis: 500)
        let worker = try #require(stage.inbox.keys.max())
        try stage.accept(["f"])
        var together: Set<String> = []
        for _ in 0..<10 where !stage.inbox[worker]!.isEmpty {
            let subjects = stage.inbox[worker]!.map(\.subject)
            if subjects.contains("a") { together.formUnion(subjects) }
            try stage.end(try stage.begin(worker), .success)
        }
        #expect(together == ["a"])
        #expect(stage.status.watermark == 6)
    }

    @Test func suspicionOutlivesTheHost() throws {
        let stage = try Stage { $0.concurrency = 8 }
        try stage.accept(["a", "b", "c"])
        for _ in 0..<3 { try stage.end(try stage.begin(), .pending) }
        try stage.die(0, .fault)
        #expect(try stage.blocked().count == 3, "each is kept as suspect")
        #expect(try stage.blocked().allSatisfy { $0.history.attempts == 0 && $0.history.crashes == 0 })
        try stage.restart()
        let worker = stage.addWorker()
        try stage.wait(millis: 100)
        for _ in 0..<3 {
            #expect(stage.inbox[worker]!.count == 1, "one by one")
            let run = try stage.begin(worker)
            #expect(run.attempt == 1)
            try stage.end(run, .success)
            try stage.wait(millis: 50)
        }
        #expect(try stage.blocked().isEmpty && stage.status.watermark == 3)
    }

    @Test func cpuTimeIsPutDownToTheRunsThatWereOpenThen() throws {
        let stage = try Stage(workers: 1)
        try stage.accept(["a", "b"])
        let spinning = try stage.begin()
        stage.scheduler.overCPU(worker: 0)
        // It ends in the moment before the kill, and the worker begins the next one.
        try stage.end(spinning, .success)
        try stage.begin()
        stage.addWorker()
        try stage.die(0, .fault)
        try stage.wait(millis: 50)
        let again = try stage.runAll()
        #expect(again.map(\.subject) == ["b"] && again.map(\.attempt) == [1])
        #expect(try stage.deadLetters().isEmpty && stage.blocked().isEmpty)

        try stage.accept(["c"])
        let worker = stage.inbox.keys.sorted().first { !stage.inbox[$0]!.isEmpty }!
        try stage.begin(worker)
        stage.scheduler.overCPU(worker: worker)
        stage.addWorker()
        try stage.die(worker, .fault)
        #expect(try stage.blocked().map(\.history.crashes) == [1])
    }

    @Test func severalKillsFromOutsideMakeSuspectsNotDeadLetters() throws {
        let stage = try Stage { $0.concurrency = 8 }
        try stage.accept(["a", "b", "killer", "d"])
        var kills = 0
        for _ in 0..<100 {
            guard let worker = stage.inbox.keys.sorted().first(where: { !stage.inbox[$0]!.isEmpty }) else {
                try stage.wait(millis: 50)
                continue
            }
            var open: [Stage.Run] = []
            while !stage.inbox[worker]!.isEmpty {
                let run = try stage.begin(worker)
                open.append(run)
                try stage.end(run, .pending)
            }
            if open.contains(where: { $0.subject == "killer" }) {
                stage.addWorker()
                try stage.die(worker, .external)
                kills += 1
            } else {
                for run in open { try stage.end(run, .success) }
            }
        }
        #expect(kills == 5)
        let letters = try stage.deadLetters()
        #expect(letters.map(\.reason) == ["external-kills"] && letters.first?.records.view(0).subjectText == "killer")
        #expect(stage.status.counts.succeeded == 3)
    }

    @Test func withoutADeadlineNothingTimesOutAndHeartbeatsChangeNothing() throws {
        let stage = try Stage { $0.limits.timeout = nil }
        try stage.accept(["s"])
        let run = try stage.begin()
        stage.scheduler.extended(worker: 0, token: run.token, millis: 10)
        try stage.wait(millis: 100_000)
        #expect(stage.cancelled.isEmpty && stage.killed.isEmpty)
        try stage.end(run, .success)
        #expect(stage.status.watermark == 1)
    }
}
