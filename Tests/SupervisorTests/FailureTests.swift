import Foundation
import Glibc
import Routing
import Testing
import WorkerProtocol

@testable import Supervisor

/// Plugins that cannot be loaded, do not start, or die again and again; and what replaces what.
@Suite(.serialized) struct FailureTests {
    @Test func aPluginThatCannotBeLoaded() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("abort"), nowMillis: Poller.nowMillis)
        try engine.run("it is given up") { !engine.refused.isEmpty }
        #expect(engine.loadFailures.count == 3, "three tries")
        #expect(engine.loadFailures.allSatisfy { $0.contains("the constructor gives up") })
        #expect(engine.ready.isEmpty && engine.deaths.isEmpty)
        let spawns = engine.supervisor.spawns
        for _ in 0..<20 { try engine.turn() }
        #expect(engine.supervisor.spawns == spawns, "no retry until the next reload")
        #expect(engine.supervisor.status(nowMillis: 0).pools.first?.fault?.contains("could not be loaded") == true)
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        try engine.finish()
    }

    @Test func loadingThatHangs() throws {
        let engine = try TestEngine()
        var spec = try engine.spec("well")
        try Fixture.install("hang", as: "hung", in: engine.plugins)
        var route = spec.route
        route.limits.boot = .milliseconds(200)
        spec = try WorkerSpec(
            route: route,
            generation: PluginGeneration(plugin: "hung", number: 1, id: "1", directory: engine.plugins, library: "hung.so"),
            domains: [], stateDirectory: engine.data)
        engine.supervisor.setPool(spec, nowMillis: Poller.nowMillis)
        try engine.run("it is given up") { !engine.refused.isEmpty }
        #expect(engine.loadFailures.allSatisfy { $0.contains("boot time") })
        try engine.run("its keepers end") { engine.supervisor.keepers.isEmpty }
        try engine.finish()
    }

    @Test func startThatHangs() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(
            try engine.spec("well", workers: 1, config: [("start", .object([("mode", .string("hang"))]))]) {
                $0.limits.boot = .milliseconds(300)
            }, nowMillis: Poller.nowMillis)
        try engine.run("its death") { !engine.deaths.isEmpty }
        #expect(engine.deaths[0].verdict.kind == .boot)
        #expect(!engine.deaths[0].worker.wasReady)
        try engine.finish()
    }

    @Test func crashLoopOpensTheBreakerAndOneSuccessMendsIt() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(
            try engine.spec(
                "well", workers: 1, config: [("start", .object([("mode", .string("fail")), ("unless", .string("repaired"))]))]),
            nowMillis: Poller.nowMillis)
        try engine.run("the breaker", seconds: 15) { !engine.broken.isEmpty }
        #expect(engine.deaths.count == 6)
        #expect(engine.deaths.allSatisfy { $0.verdict.kind == .boot && $0.verdict.text.contains("no database today") })
        let spawns = engine.supervisor.spawns
        for _ in 0..<20 { try engine.turn() }
        #expect(engine.supervisor.spawns == spawns)
        #expect(engine.supervisor.status(nowMillis: Poller.nowMillis).pools.first?.breaker == "open")
        // The probe comes 30 s later: the clock is moved, as far as the supervisor can see.
        try Data().write(to: URL(fileURLWithPath: engine.data + "/repaired"))
        _ = engine.supervisor.tick(nowMillis: Poller.nowMillis + 31_000)
        try engine.waitForReady(1)
        #expect(engine.living[0].isProbe)
        #expect(engine.mended == 0)
        try engine.send("ok", to: engine.living[0])
        try engine.run("it is mended") { engine.mended == 1 }
        try engine.finish()
    }

    @Test func anOperatorMends() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(
            try engine.spec(
                "well", workers: 3, config: [("start", .object([("mode", .string("abort")), ("unless", .string("repaired"))]))]),
            nowMillis: Poller.nowMillis)
        try engine.run("the breaker", seconds: 15) { !engine.broken.isEmpty }
        #expect(engine.broken[0].contains("start gives up"))
        try engine.run("all are dead") { engine.supervisor.handles.isEmpty }
        #expect((3...5).contains(engine.deaths.count), "three, and those that were being started")
        let spawns = engine.supervisor.spawns
        for _ in 0..<20 { try engine.turn() }
        #expect(engine.supervisor.spawns == spawns)
        try Data().write(to: URL(fileURLWithPath: engine.data + "/repaired"))
        engine.supervisor.mend(lambda: "work", nowMillis: Poller.nowMillis)
        try engine.waitForReady(3)
        #expect(engine.mended == 1)
        try engine.finish()
    }

    @Test func aNewGenerationTakesOver() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        let old = engine.living
        engine.supervisor.setPool(try engine.spec("two"), nowMillis: Poller.nowMillis)
        try engine.run("the new workers") { engine.ready.count == 4 }
        #expect(engine.promoted.count == 2)
        #expect(old.allSatisfy { $0.state == .ready }, "they stay until they are retired")
        #expect(try engine.ask("version", old[0]) == "1")
        for worker in old { engine.supervisor.retire(worker, deadlineMillis: Poller.nowMillis + 5000, nowMillis: Poller.nowMillis) }
        try engine.run("the old ones' end, and their keeper's") { engine.deaths.count == 2 && engine.supervisor.keepers.count == 1 }
        #expect(engine.deaths.allSatisfy { $0.verdict.kind == .reload })
        for worker in engine.living {
            #expect(worker.spec.revision == engine.promoted[1] && worker.spec.generation.number == 2)
            #expect(try engine.ask("version", worker) == "2")
        }
        // The same again changes nothing.
        let spawns = engine.supervisor.spawns
        engine.supervisor.setPool(try engine.spec("two"), nowMillis: Poller.nowMillis)
        for _ in 0..<10 { try engine.turn() }
        #expect(engine.supervisor.spawns == spawns)
        try engine.finish()
    }

    @Test func aBrokenGenerationIsRefusedAndTheOldOneServes() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        engine.supervisor.setPool(try engine.spec("abort"), nowMillis: Poller.nowMillis)
        try engine.run("it is refused") { engine.refused.count == 1 }
        engine.supervisor.setPool(
            try engine.spec("well", config: [("start", .object([("mode", .string("fail"))]))]), nowMillis: Poller.nowMillis)
        try engine.run("workers that do not start are refused too") { engine.refused.count == 2 }
        #expect(engine.refused[1].contains("no database today"))
        #expect(engine.living.count == 2)
        kill(engine.living[0].pid, SIGKILL)
        try engine.run("the old spec is kept alive") { engine.ready.count == 3 }
        #expect(try engine.ask("version", engine.living[1]) == "1")
        #expect(engine.broken.isEmpty)
        try engine.finish()
    }

    @Test func moreAndFewerWorkers() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well", workers: 1), nowMillis: Poller.nowMillis)
        try engine.waitForReady(1)
        engine.supervisor.setPool(try engine.spec("well", workers: 3), nowMillis: Poller.nowMillis)
        try engine.waitForReady(3)
        #expect(Set(engine.living.map(\.index)) == [0, 1, 2])
        engine.supervisor.setPool(try engine.spec("well", workers: 1), nowMillis: Poller.nowMillis)
        try engine.run("two are too many") { engine.surplus.count == 2 }
        for worker in engine.surplus {
            engine.supervisor.retire(worker, deadlineMillis: Poller.nowMillis + 5000, nowMillis: Poller.nowMillis)
        }
        try engine.run("they end") { engine.deaths.count == 2 }
        for _ in 0..<10 { try engine.turn() }
        #expect(engine.living.count == 1 && engine.living[0].index == 0)
        engine.supervisor.removePool(lambda: "work", nowMillis: Poller.nowMillis)
        engine.supervisor.retire(engine.living[0], deadlineMillis: Poller.nowMillis + 5000, nowMillis: Poller.nowMillis)
        try engine.run("nothing is left") { engine.supervisor.keepers.isEmpty && engine.supervisor.handles.isEmpty }
        try engine.finish()
    }

    /// A keeper that does not listen for a while: what cannot be sent is a shortage like any other.
    @Test func shortageIsSurvived() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well", workers: 1), nowMillis: Poller.nowMillis)
        try engine.waitForReady(1)
        let keeper = try #require(engine.supervisor.keepers.values.first)
        kill(keeper.pid, SIGSTOP)
        var size: Int32 = 1
        setsockopt(keeper.socket, SOL_SOCKET, SO_SNDBUF, &size, 4)
        engine.supervisor.setPool(try engine.spec("well", workers: 12), nowMillis: Poller.nowMillis)
        try engine.run("a shortage") { engine.supervisor.resources.untilMillis > 0 }
        #expect(engine.supervisor.handles.count < 12)
        #expect(try engine.ask("version", engine.living[0]) == "1")
        kill(keeper.pid, SIGCONT)
        try engine.waitForReady(12)
        #expect(engine.broken.isEmpty && engine.deaths.isEmpty)
        try engine.finish()
    }

    @Test func nothingIsStartedBeforeTheEnd() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        engine.supervisor.stopStarting()
        let spawns = engine.supervisor.spawns
        for worker in engine.living {
            engine.supervisor.retire(worker, deadlineMillis: Poller.nowMillis + 5000, nowMillis: Poller.nowMillis)
        }
        try engine.run("they end") { engine.deaths.count == 2 }
        for _ in 0..<10 { try engine.turn() }
        #expect(engine.supervisor.spawns == spawns)
        try engine.finish()
    }

    @Test func startsPerSecondAreBounded() throws {
        let engine = try TestEngine(spawnsPerSecondMax: 4)
        engine.supervisor.setPool(try engine.spec("well", workers: 8), nowMillis: Poller.nowMillis)
        let begin = Poller.nowMillis
        try engine.waitForReady(8)
        #expect(Poller.nowMillis - begin > 900, "eight workers and a keeper, four at once and four per second")
        try engine.finish()
    }
}
