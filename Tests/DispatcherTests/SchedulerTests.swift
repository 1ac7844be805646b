import Journal
import Routing
import Testing
import WorkerProtocol

@testable import Dispatcher

/// Single rules of SEMANTICS.md, moved by hand.
@Suite struct SchedulerTests {
    @Test func severalOfOneSubjectAreQueuedInOneWorker() throws {
        let stage = try Stage(workers: 2)
        try stage.accept(["s", "s", "s"])
        #expect(stage.inbox.values.map(\.count).sorted() == [0, 3])
        #expect(try stage.runAll().map(\.event) == [0, 1, 2])
        #expect(stage.status.watermark == 3)
        #expect(stage.scheduler.lanes.allSatisfy { !$0.isLive })
    }

    @Test func othersGoOnWhileOneHangs() throws {
        let stage = try Stage(workers: 2)
        stage.scheduler.limits.waitingBytesMax = 300
        try stage.accept(["slow"] + Array(repeating: "slow", count: 20) + (0..<20).map { "s\($0)" })
        let worker = stage.inbox.keys.sorted().first { stage.inbox[$0]!.first?.subject == "slow" }!
        let hung = try stage.begin(worker)
        try stage.wait(millis: 100)
        // What waited behind it in its worker was given back; its followers wait or are on disk; the others run.
        #expect(stage.inbox[worker]!.isEmpty)
        var others: [Stage.Run] = []
        for _ in 0..<10 {
            others += try stage.runAll()
            try stage.wait(millis: 100)
        }
        #expect(Set(others.map(\.subject)) == Set((0..<20).map { "s\($0)" }))
        // One more than may wait in memory: they go onto disk.
        try stage.accept(["slow"])
        #expect(stage.status.waiting == 0)
        #expect(stage.status.watermark == 42)
        try stage.end(hung, .success)
        #expect(try stage.runAll().map(\.event) == Array(1...20) + [41])
        #expect(stage.status.deferredBytes == 0)
    }

    @Test func aFailedSubjectIsSetAsideWithItsFollowers() throws {
        let stage = try Stage()
        try stage.accept(["s", "s", "t", "s"])
        let ran = try stage.runAll { $0.event == 0 ? .retry : .success }
        #expect(ran.map(\.event) == [0, 2])
        #expect(stage.status.watermark == 4)
        #expect(try stage.blocked().map(\.events) == [1, 2])
        try stage.wait(millis: 200)
        let again = try stage.runAll()
        #expect(again.map(\.event) == [0, 1, 3])
        #expect(again[0].attempt == 2 && again[1].attempt == 1)
        #expect(try stage.blocked().isEmpty)
        #expect(stage.status.deferredBytes == 0)
    }

    @Test func attemptsRunOutAndALetterIsRedriven() throws {
        let stage = try Stage()
        try stage.accept(["s", "s"])
        for _ in 0..<30 {
            try stage.runAll { $0.event == 0 ? .retry : .success }
            try stage.wait(millis: 100)
        }
        let letters = try stage.deadLetters()
        #expect(letters.map(\.reason) == ["attempts"])
        #expect(letters[0].history.attempts == 3)
        #expect(stage.status.counts.succeeded == 1)
        #expect(stage.redrive(letters).isEmpty)
        // A second click on what the journal still shows does nothing.
        #expect(stage.redrive(letters) == [letters[0].id])
        try stage.settle()
        try stage.wait(millis: 100)
        #expect(try stage.runAll().map(\.event) == [0])
        #expect(try stage.deadLetters().isEmpty)
        #expect(try stage.blocked().isEmpty)
    }

    @Test func suspectsRunAloneAndTheInnocentKeepTheirAttempt() throws {
        let stage = try Stage(workers: 1) { $0.concurrency = 8 }
        try stage.accept(["a", "b", "c"])
        for _ in 0..<3 { try stage.end(try stage.begin(), .pending) }
        stage.addWorker()
        try stage.die(0, .fault)
        var alone: [Stage.Run] = []
        for worker in stage.inbox.keys { #expect(stage.inbox[worker]!.count <= 1) }
        while let worker = stage.inbox.keys.sorted().first(where: { !stage.inbox[$0]!.isEmpty }) {
            let run = try stage.begin(worker)
            #expect(stage.inbox.values.allSatisfy { $0.isEmpty })
            alone.append(run)
            if run.subject == "b" {
                stage.addWorker()
                try stage.die(worker, .fault)
            } else {
                try stage.end(run, .success)
            }
        }
        #expect(alone.map(\.subject).sorted() == ["a", "b", "c"])
        #expect(alone.allSatisfy { $0.attempt == 1 })
        #expect(try stage.blocked().map(\.history.crashes) == [1])
        // Nobody is kept for suspects any more.
        try stage.accept(["d"])
        #expect(try stage.runAll().map(\.subject) == ["d"])
    }

    @Test func aTimedOutRunIsCancelledThenKilled() throws {
        let stage = try Stage(workers: 2)
        try stage.accept(["s"])
        let worker = stage.inbox.keys.sorted().first { !stage.inbox[$0]!.isEmpty }!
        let run = try stage.begin(worker)
        try stage.wait(millis: 1900)
        #expect(stage.cancelled.isEmpty)
        try stage.wait(millis: 200)
        #expect(stage.cancelled == [run.token] && stage.killed.isEmpty)
        try stage.wait(millis: 1000)
        #expect(stage.killed == [worker])
        try stage.die(worker, .timeout)
        try stage.wait(millis: 200)
        #expect(try stage.runAll().map(\.attempt) == [2])
    }

    @Test func aWorkerThatNoticesTheCancellationLivesOn() throws {
        let stage = try Stage()
        try stage.accept(["s"])
        let run = try stage.begin()
        try stage.wait(millis: 2100)
        try stage.end(run, .retry)
        try stage.wait(millis: 1500)
        #expect(stage.killed.isEmpty)
        #expect(try stage.runAll().map(\.attempt) == [2])
    }

    @Test func heartbeatsExtendTheDeadlineUpToAMaximum() throws {
        let stage = try Stage { $0.limits.timeoutMax = .seconds(5) }
        try stage.accept(["s"])
        let run = try stage.begin()
        for _ in 0..<4 {
            try stage.wait(millis: 1000)
            stage.scheduler.extended(worker: 0, token: run.token, millis: 60_000)
        }
        #expect(stage.cancelled.isEmpty)
        try stage.wait(millis: 1100)
        #expect(stage.cancelled == [run.token])
    }

    @Test func anOutageHoldsTheCursorAndTheFirstSuccessEndsIt() throws {
        let stage = try Stage { $0.retry.attempts = 5 }
        try stage.accept((0..<200).map { "s\($0)" })
        var failures = 0
        for _ in 0..<20 {
            failures += try stage.runAll { _ in .retry }.count
            try stage.wait(millis: 200)
        }
        #expect(stage.status.isHolding)
        #expect(failures < 100)
        #expect(stage.status.cursor < 120)
        #expect(try stage.deadLetters().isEmpty)
        var ended = 0
        for _ in 0..<20 {
            ended += try stage.runAll().count
            try stage.wait(millis: 200)
        }
        #expect(!stage.status.isHolding)
        #expect(ended == 200 && stage.status.watermark == 200)
        #expect(try stage.blocked().isEmpty)
    }

    @Test func twoSubjectsThatFailAreNotAnOutage() throws {
        let stage = try Stage { $0.retry.attempts = 100 }
        try stage.accept(["a", "b"])
        for _ in 0..<60 {
            try stage.runAll { _ in .retry }
            try stage.wait(millis: 200)
        }
        #expect(!stage.status.isHolding)
    }

    @Test func aParkedSubjectWaitsForANewVersionOrAnOperator() throws {
        let stage = try Stage {
            $0.exhausted = .park
            $0.retry.attempts = 1
        }
        try stage.accept(["s", "s", "t"])
        #expect(try stage.runAll { $0.event == 0 ? .retry : .success }.map(\.event) == [0, 2])
        try stage.accept(["s"])
        try stage.wait(millis: 5000)
        #expect(stage.inbox[0]!.isEmpty)
        #expect(try stage.blocked().first?.state == .parked)
        // One more attempt, not a new count.
        stage.version = 2
        try stage.apply()
        #expect(try stage.runAll { _ in .retry }.map(\.event) == [0])
        try stage.wait(millis: 5000)
        #expect(stage.inbox[0]!.isEmpty)
        #expect(stage.dropFirst("s"))
        try stage.settle()
        #expect(try stage.runAll().map(\.event) == [1, 3])
        #expect(stage.status.counts.dropped == 1)
        #expect(!stage.dropFirst("s"))
        #expect(try stage.blocked().isEmpty)
    }

    @Test func aRemovedRouteGoesOnWhereItWas() throws {
        let stage = try Stage()
        try stage.accept(["s", "s", "t"])
        let run = try stage.begin()
        try stage.apply(isRouted: false)
        #expect(stage.inbox[0]!.isEmpty && stage.retired.isEmpty)
        try stage.end(run, .success)
        #expect(stage.retired == [0])
        try stage.die(0, .host)
        try stage.accept(["u"])
        try stage.apply()
        stage.addWorker()
        try stage.wait(millis: 100)
        #expect(try stage.runAll().map(\.event).sorted() == [1, 2, 3])
        #expect(stage.status.watermark == 4)
    }

    @Test func liesAreFoundAndCostNobodyAnything() throws {
        let stage = try Stage(workers: 2)
        try stage.accept(["s", "s", "t", "u"])
        let worker = stage.inbox.keys.sorted().first { !stage.inbox[$0]!.isEmpty }!
        let unclaimed = stage.inbox[worker]!.last!
        stage.scheduler.result(worker: worker, token: unclaimed.token, status: .success)
        stage.scheduler.result(worker: worker, token: unclaimed.token, status: .success)
        try stage.settle()
        #expect(stage.liars == ["answered an event that it had not taken"])
        stage.scheduler.result(worker: worker, token: 12345, status: .success)
        try stage.die(worker, .fault)
        stage.addWorker()
        try stage.wait(millis: 100)
        let ran = try stage.runAll()
        #expect(ran.count == 4 && ran.allSatisfy { $0.attempt == 1 })
    }

    @Test func withoutOrderOneSubjectRunsInSeveralWorkers() throws {
        let stage = try Stage(workers: 2) { $0.order = .none }
        try stage.accept(Array(repeating: "s", count: 20))
        #expect(stage.inbox.values.allSatisfy { !$0.isEmpty })
        #expect(try stage.runAll { $0.event == 3 ? .retry : .success }.count == 20)
        try stage.wait(millis: 300)
        #expect(try stage.runAll().map(\.event) == [3])
        #expect(stage.scheduler.lanes.allSatisfy { !$0.isLive })
    }

    @Test func killsFromOutsideCountFromTheFifth() throws {
        let stage = try Stage()
        try stage.accept(["s"])
        for kill in 1...5 as ClosedRange<UInt32> {
            let worker = stage.inbox.keys.sorted().first { !stage.inbox[$0]!.isEmpty }!
            let run = try stage.begin(worker)
            #expect(run.attempt == 1)
            stage.addWorker()
            try stage.die(worker, .external)
            if kill < 5 { #expect(try stage.blocked().first?.history.externalKills == kill) }
        }
        #expect(try stage.deadLetters().map(\.reason) == ["external-kills"])
    }

    @Test func aLongRunDoesNotHoldTheWatermark() throws {
        let stage = try Stage { $0.limits.timeout = .seconds(60) }
        try stage.accept(["s", "s"])
        let run = try stage.begin()
        try stage.wait(millis: 11_000)
        #expect(stage.status.watermark == 2)
        #expect(try stage.blocked().map(\.state).first == .open)
        try stage.end(run, .success)
        #expect(try stage.runAll().map(\.event) == [1])
        #expect(try stage.blocked().isEmpty)
        #expect(stage.status.deferredBytes == 0)
    }
}
