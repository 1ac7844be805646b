import Glibc
import Routing
import Testing
import WorkerProtocol

@testable import Supervisor

/// Workers that are well and are replaced (`recycle:`): the new one first.
@Suite(.serialized) struct RecyclingTests {
    @Test func theNewOneIsReadyBeforeTheOldOneGoes() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(
            try engine.spec("well", workers: 2) { $0.recycle.events = 3 }, nowMillis: Poller.nowMillis)
        try engine.waitForReady(2)
        let old = engine.living[0]
        for _ in 0..<3 { _ = try engine.ask("version", old) }
        #expect(try old.channel.observe() == 3)
        try engine.run("it is to go") { !engine.surplus.isEmpty }
        #expect(engine.surplus.map(\.id) == [old.id] && old.recycling?.kind == .events)
        #expect(engine.living.count == 3 && old.state == .ready, "it serves until it is let go")
        #expect(try engine.ask("version", old) == "1")
        #expect(engine.living.last?.index == old.index)
        engine.supervisor.retire(old, deadlineMillis: Poller.nowMillis + 5000, nowMillis: Poller.nowMillis)
        try engine.run("its end") { engine.deaths.count == 1 }
        let verdict = engine.deaths[0].verdict
        #expect(verdict.kind == .reload && verdict.text.contains("`recycle.events` is 3"))
        #expect(engine.supervisor.status(nowMillis: Poller.nowMillis).pools.first?.recycled == ["events": 1])
        for _ in 0..<20 { try engine.turn() }
        #expect(engine.living.count == 2 && engine.surplus.count == 1 && engine.broken.isEmpty)
        try engine.finish()
    }

    @Test func oneAtATimeAndNotWhileNothingElseGetsReady() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(
            try engine.spec(
                "well", workers: 3, config: [("start", .object([("mode", .string("fail")), ("unless", .string("well"))]))]
            ) { $0.recycle.age = .seconds(1) },
            nowMillis: Poller.nowMillis)
        func setWell(_ isWell: Bool) {
            let path = engine.data + "/well"
            if isWell { close(open(path, O_CREAT | O_WRONLY, 0o600)) } else { unlink(path) }
        }
        setWell(true)
        try engine.waitForReady(3)
        setWell(false)
        try engine.run("a replacement that does not start") { !engine.deaths.isEmpty }
        #expect(engine.living.count == 3 && engine.surplus.isEmpty, "the old ones serve on")
        #expect(engine.living.count { $0.recycling != nil } == 1)
        setWell(true)
        engine.supervisor.mend(lambda: "work", nowMillis: Poller.nowMillis)
        try engine.run("the replacement") { engine.surplus.count == 1 }
        try engine.finish()
    }

    @Test func memoryIsWhatTheLimitCounts() throws {
        let engine = try TestEngine()
        engine.supervisor.setPool(try engine.spec("well", workers: 1), nowMillis: Poller.nowMillis)
        try engine.waitForReady(1)
        let worker = engine.living[0]
        let seen = try #require(worker.limitedMemoryBytes())
        let status = try #require(proc(worker.pid, "status"))
        func kib(_ name: String) -> UInt64 {
            status.split(separator: "\n").first { $0.hasPrefix(name) }.flatMap { line in
                UInt64(line.split(separator: "\t").last?.split(separator: " ").first ?? "")
            } ?? 0
        }
        #expect(seen == (kib("VmData:") + kib("VmStk:")) << 10)
        try engine.finish()
        #expect(worker.limitedMemoryBytes() == nil)
    }
}
