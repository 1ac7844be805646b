import CLinux
import CWorkerProtocol
import Glibc
import Routing
import Testing
import WorkerProtocol

@testable import Supervisor

/// Real processes: keepers, templates, workers, and how they end.
@Suite(.serialized) struct WorkerLifeTests {
    @Test func aPoolStartsWorksAndEnds() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well", config: [("answer", .int(42))]), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        #expect(Set(engine.living.map(\.index)) == [0, 1])
        #expect(engine.promoted.count == 1)
        let worker = engine.living[0]
        #expect(try engine.ask("version", worker) == "1")
        #expect(try engine.ask("config answer", worker) == "42")
        #expect(try engine.ask("environment HOME", worker) == engine.data)
        #expect(try engine.ask("environment LANG", worker) == "C.UTF-8")
        #expect(try engine.ask("environment USER", worker) == nil)
        let token = try engine.send("size", to: worker, size: 500_000)
        try engine.run("a large event") { engine.results[token] != nil }
        #expect(engine.outputs[token] == "500000")
        for _ in 0..<1000 { try engine.send("ok", to: engine.living[1]) }
        try engine.run("a thousand events") { engine.open.values.allSatisfy(\.isEmpty) }
        #expect(engine.results.values.allSatisfy { $0 == 0 })
        let status = engine.supervisor.status(nowMillis: Poller.nowMillis)
        #expect(status.pools.first?.ready == 2 && status.pools.first?.mode == "fork" && status.workers.count == 2)
        try engine.finish()
        #expect(engine.deaths.count == 2)
        #expect(engine.deaths.allSatisfy { $0.verdict.kind == .shutdown })
    }

    /// More workers than fit into a keeper's socket at a time: they come one after another, and nothing is short.
    @Test func manyWorkersStart() throws {
        var most: UInt64 = 0
        try #require(capelet_linux_allow_descriptors(4096, &most) == 0)
        let engine = try TestEngine(spawnsPerSecondMax: 10_000)
        engine.supervisor.setPool(try engine.spec("well", workers: 400), nowMillis: Poller.nowMillis)
        try engine.run("400 workers ready", seconds: 60) {
            #expect(engine.supervisor.keepers.values.allSatisfy { $0.startsAsked <= Keeper.startsAskedMax })
            #expect(engine.supervisor.resources == ResourceBackoff(), "nothing is short")
            return engine.living.count >= 400
        }
        #expect(engine.deaths.isEmpty)
        try engine.finish()
    }

    @Test func killedFromOutside() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        let victim = engine.living[0]
        let killed = Poller.nowNanos
        kill(victim.pid, SIGKILL)
        try engine.run("its death") { !engine.deaths.isEmpty }
        let known = Double(Poller.nowNanos - killed) / 1e6
        #expect(known < 1000, "milliseconds until the death was known")
        #expect(engine.deaths[0].verdict.kind == .external)
        #expect(engine.deaths[0].worker === victim)
        try engine.waitForReady(2)
        #expect(engine.living.allSatisfy { $0 !== victim })
        #expect(try engine.ask("version", engine.living[1]) == "1")
        try engine.finish()
        #expect(engine.deaths.count == 3, "one record for each")
    }

    @Test func waysToDie() throws {
        let engine = try TestEngine()
        engine.pinned = true
        engine.supervisor.setPool(
            try engine.spec("well", workers: 1) { $0.limits.fileBytes = 100_000 }, nowMillis: Poller.nowMillis)
        for (payload, kind, word) in [
            ("exit 0", Verdict.Kind.exit, "exited with code 0"), ("exit 3", .exit, "exited with code 3"), ("null", .signal, "SIGSEGV"),
            ("abort", .signal, "SIGABRT"), ("file", .fileSize, "SIGXFSZ"), ("orphan", .signal, "SIGABRT"),
            ("close", .protocolViolation, "closed its socket"),
        ] {
            try engine.waitForReady(1)
            let before = engine.deaths.count
            let worker = engine.living[0]
            try engine.send(payload, to: worker)
            try engine.run("death by \(payload)") { engine.deaths.count > before }
            let verdict = engine.deaths[before].verdict
            #expect(verdict.kind == kind, "\(payload): \(verdict.text)")
            #expect(verdict.text.contains(word), "\(verdict.text)")
            #expect(verdict.text.contains("lambda work") && verdict.text.contains("sup generation 1") && verdict.workerID == worker.id)
            if payload == "abort" { #expect(verdict.text.contains("the invariant does not hold")) }
        }
        #expect(engine.broken.isEmpty, "deaths pinned on an event never open the breaker")
        try engine.finish()
    }

    @Test func terminatedByTheHost() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well", workers: 1), nowMillis: Poller.nowMillis)
        for (payload, intent, kind) in [
            ("sleep", KillIntent.timeout, Verdict.Kind.timeout), ("stop", .timeout, .timeout), ("ok", .recycle, .reload),
            ("spin", .cpuLimit, .cpuLimit),
        ] {
            try engine.waitForReady(1)
            let before = engine.deaths.count
            let worker = engine.living[0]
            try engine.send(payload, to: worker)
            if payload == "stop" { try engine.run("it is stopped") { processState(worker.pid) == "T" } }
            engine.supervisor.terminate(worker, intent, detail: "event 7 of orders", nowMillis: Poller.nowMillis)
            try engine.run("its death") { engine.deaths.count > before }
            #expect(engine.deaths[before].verdict.kind == kind)
            #expect(engine.deaths[before].verdict.text.contains("event 7 of orders"))
        }
        try engine.waitForReady(1)
        // Retired: it finishes what it has; or it does not, and is killed at the deadline.
        let quick = engine.living[0]
        engine.supervisor.retire(quick, deadlineMillis: Poller.nowMillis + 5000, nowMillis: Poller.nowMillis)
        try engine.run("its end") { quick.state == .dead }
        #expect(engine.deaths.last?.verdict.kind == .reload && engine.deaths.last?.verdict.exitCode == 0)
        try engine.waitForReady(1)
        let slow = engine.living[0]
        try engine.send("sleep", to: slow)
        try engine.run("it has begun") { (try? slow.channel.observe()) == slow.channel.nextNumber }
        engine.supervisor.retire(slow, deadlineMillis: Poller.nowMillis + 200, nowMillis: Poller.nowMillis)
        try engine.run("its end") { slow.state == .dead }
        #expect(engine.deaths.last?.verdict.kind == .reload && engine.deaths.last?.verdict.signal == SIGKILL)
        #expect(engine.broken.isEmpty)
        try engine.finish()
    }

    @Test func outputIsCapturedAndBounded() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well", workers: 1) { $0.limits.logBytesPerSecond = 50_000 }, nowMillis: Poller.nowMillis)
        try engine.waitForReady(1)
        let worker = engine.living[0]
        try engine.send("print hällo\u{7}", to: worker)
        try engine.run("two lines") { engine.logs.count >= 2 }
        let line = WorkerLog(lambda: "work", plugin: "sup", workerID: worker.id, stream: .output, text: "hällo\\x07")
        #expect(engine.logs.contains(line))
        #expect(engine.logs.contains { $0.text == "error hällo\\x07" && $0.stream == .error })
        engine.logs.removeAll()
        let token = try engine.send("flood", to: worker)
        try engine.run("the flood to end") { engine.results[token] != nil }
        let seconds = (worker.logGate.bytesCut / 8_000_000) + 60
        #expect(engine.logs.reduce(0) { $0 + $1.text.utf8.count } < 60_000 * Int(seconds))
        #expect(worker.logGate.bytesCut > 1_000_000)
        #expect(engine.logs.contains { $0.text.contains("the rest is cut") })
        try engine.finish()
    }

    @Test func theTemplateDies() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        let keeper = try #require(engine.supervisor.keepers.values.first)
        let workers = engine.living
        let template = try #require(children(keeper.pid).first { child in !workers.contains { $0.pid == child } })
        kill(template, SIGKILL)
        try engine.run("the keeper's word") { keeper.state == .templateDead }
        #expect(try engine.ask("version", workers[0]) == "1", "its workers go on")
        #expect(engine.deaths.isEmpty)
        kill(workers[0].pid, SIGKILL)
        try engine.run("a worker of a new template") { engine.ready.count == 3 }
        #expect(engine.supervisor.keepers.count == 2)
        kill(workers[1].pid, SIGKILL)
        try engine.run("the old keeper's end") { engine.supervisor.keepers.count == 1 && engine.living.count == 2 }
        try engine.finish()
    }

    @Test func theKeeperDies() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        let keeper = try #require(engine.supervisor.keepers.values.first)
        kill(keeper.pid, SIGKILL)
        try engine.run("the deaths of its workers") { engine.deaths.count == 2 }
        #expect(engine.deaths.allSatisfy { $0.verdict.kind == .external && $0.verdict.text.contains("its keeper") })
        for death in engine.deaths { #expect([nil, "Z", "X"].contains(processState(death.verdict.pid))) }
        try engine.waitForReady(2)
        #expect(engine.broken.isEmpty)
        try engine.finish()
    }

    @Test func threadsAtLoadMeanExecMode() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("thread"), nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        #expect(engine.supervisor.status(nowMillis: Poller.nowMillis).pools.first?.mode == "exec")
        #expect(try engine.ask("version", engine.living[0]) == "1")
        kill(engine.living[0].pid, SIGKILL)
        try engine.run("its death") { engine.deaths.count == 1 }
        try engine.waitForReady(2)
        try engine.finish()
    }

    @Test func descriptorsAndProcessesComeBack() throws {
        let engine = try TestEngine()
        let spec = try engine.spec("well")
        let before = children(getpid()).count
        engine.supervisor.setPool(spec, nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        func descriptors() -> Int { engine.supervisor.keepers.count * 4 + engine.supervisor.handles.count * 5 }
        let held = descriptors()
        for round in 1...20 {
            kill(engine.living[0].pid, SIGKILL)
            try engine.run("death \(round)") { engine.deaths.count == round }
            engine.living.first?.hasSucceeded = true
            try engine.waitForReady(2)
        }
        #expect(descriptors() == held)
        try engine.finish()
        #expect(engine.supervisor.keepers.isEmpty)
        #expect(children(getpid()).count <= before + 2, "other tests have children too")
    }
}
