import CLinux
import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// Workers from start to end.
@Suite struct LifeTests {
    @Test func startsAndStops() throws {
        let worker = try TestKeeper.loaded().ask(
            "life", ["state": "/srv/state", "config": #"{"retry":{"count":5}}"#, "config.retry.count": "5", "worker.index": "3"])
        try worker.awaitStarted()
        let seen = try worker.next().text
        #expect(seen.hasPrefix("size 1 abi 1 lambda routed-life state /srv/state config {\"retry\":{\"count\":5}} index 3 "))
        #expect(seen.hasSuffix(" index 3 entry life found 0 5 absent -4 pid 1"))
        #expect(try worker.next().type == CAPELET_FRAME_READY)
        #expect(try worker.run("").output == "state 1")
        worker.stop()
        #expect(try worker.next().text == "stopped with state 1")
        let death = try worker.awaitDeath()
        #expect(death.wait_status == 0)
        #expect(death.peak_kib > 100 && death.peak_kib < 100_000)
        #expect(try worker.take() == nil)
        // What was printed at load is not repeated by every copy; what a destructor prints comes out.
        #expect(worker.printed(worker.output) == "destructor ran\n")
    }

    @Test func finishesWhatIsPendingBeforeItStops() throws {
        let gate = try Gate()
        let worker = try TestKeeper.loaded().spawn("held", ["state": gate.folder])
        let tokens = try worker.publish([TestWorker.Event("", lane: 1), TestWorker.Event("", lane: 2)])
        for token in tokens { #expect(try worker.until(token).last?.code == 3) }
        worker.stop()
        for i in 0..<2 {
            #expect(lives(worker.pid))
            try gate.open()
            let result = try worker.next()
            #expect((result.type, result.code) == (CAPELET_FRAME_RESULT, 0), "\(i)")
        }
        #expect(try worker.awaitDeath().wait_status == 0)
    }

    @Test func isKilledWhenWhatIsPendingNeverEnds() throws {
        let worker = try TestKeeper.loaded().spawn("status")
        try worker.publish("pending")
        #expect(try worker.next().code == 3)
        worker.stop()
        try worker.kill(SIGKILL)
        #expect(try worker.awaitDeath().wait_status == SIGKILL)
    }

    @Test func takesNothingNewWhenStopping() throws {
        let worker = try TestKeeper.loaded().spawn("echo")
        capelet_store32(&worker.inbox.pointee.stop, 1)
        try worker.publish("too late")
        worker.wake()
        #expect(try worker.awaitDeath().wait_status == 0)
        #expect(worker.claimed == 0)
        #expect(worker.withdraw() == 1)
    }

    @Test func saysWhyItDidNotStart() throws {
        let keeper = try TestKeeper.loaded()
        let failing = try keeper.ask("start-fails")
        try failing.awaitStarted()
        let line = try failing.next()
        #expect((line.type, line.code, line.text) == (CAPELET_FRAME_LOG, 4, "about to fail"))
        let frame = try failing.next()
        #expect((frame.type, frame.code, frame.text) == (CAPELET_FRAME_START_FAILED, 3, "no database"))
        #expect(try failing.awaitDeath().wait_status == 1 << 8)

        let unknown = try keeper.ask("ech0")
        try unknown.awaitStarted()
        let answer = try unknown.next()
        #expect((answer.type, answer.code) == (CAPELET_FRAME_START_FAILED, 0xffff))
        #expect(answer.text.hasPrefix("the plugin has no lambda named ech0; it has: echo, nothing, inspect,"))
        _ = try unknown.awaitDeath()
    }

    @Test(arguments: [
        ("null", SIGSEGV), ("abort", SIGABRT), ("overflow", SIGSEGV), ("exit", 0),
    ])
    func reportsHowItDied(word: String, status: Int32) throws {
        let worker = try TestKeeper.loaded().spawn("status")
        try worker.publish(word)
        #expect(try worker.awaitDeath().wait_status & ~0x80 == status)
        #expect(worker.claimed == 1)
        #expect(worker.printed(worker.errors) == (word == "abort" ? "last words\n" : ""))
        var wait = pollfd(fd: worker.pidfd, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 0) == 1)
    }

    @Test func printsLineByLine() throws {
        let worker = try TestKeeper.loaded().spawn("status")
        #expect(try worker.run("print").code == 0)
        // Not only at the end of the process.
        var buffer = [UInt8](repeating: 0, count: 100)
        let size = read(worker.output, &buffer, buffer.count)
        #expect(String(decoding: buffer.prefix(max(0, size)), as: UTF8.self) == "a line on standard output\n")
    }

    @Test func isKilledByTheHost() throws {
        let worker = try TestKeeper.loaded().spawn("status")
        for word in ["sleep", "stop-itself"] {
            let worker = try worker.keeper.spawn("status")
            try worker.publish(word)
            #expect(eventually { worker.claimed == 1 })
            try worker.kill(SIGKILL)
            #expect(try worker.awaitDeath().wait_status == SIGKILL)
        }
        #expect(try worker.run("").code == 0)
    }

    @Test func countsItsProcessorTime() throws {
        let worker = try TestKeeper.loaded("worker.so", ["limit.cpu": "1"]).spawn("status")
        try worker.publish("spin")
        let death = try worker.awaitDeath()
        #expect(death.wait_status & 0x7f == SIGXCPU)
        // The kernel checks the limit against its ticks, which are coarser than what it reports.
        #expect(death.user_micros + death.system_micros > 500_000)
    }

    @Test func hasTheLimitsOfItsPluginAndItsOwn() throws {
        let keeper = try TestKeeper.loaded(
            "worker.so",
            [
                "limit.data": "100000000", "limit.address": "2000000000", "limit.cpu": "100", "limit.files": "50",
                "limit.file-size": "1000000",
                "limit.stack": "4194304",
            ])
        let plain = try keeper.spawn("surroundings").run("limits").output
        #expect(
            plain == "100000000/100000000 2000000000/2000000000 100/102 50/50 1000000/1000000 4194304/4194304 0/0 ")
        // Lower is applied, higher is not.
        let tight = try keeper.spawn("surroundings", ["limit.data": "50000000", "limit.files": "5000"]).run("limits").output
        #expect(tight.hasPrefix("50000000/50000000 "))
        #expect(tight.contains(" 50/50 "))
    }

    @Test func livesInCleanSurroundings() throws {
        let keeper = try TestKeeper.loaded("worker.so", ["environment.COLOUR": "blue", "environment.SIZE": "1"])
        let worker = try keeper.spawn("surroundings", ["environment.SIZE": "2"])
        let expected = [
            "COLOUR": "blue", "SIZE": "2", "HOST_SECRET": "(unset)", "PATH": "(unset)", "SWIFT_BACKTRACE": "enable=no",
            "GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=65536",
        ]
        for (name, value) in expected { #expect(try worker.run("env \(name)").output == value) }
        #expect(try worker.run("process").output == "leader=1 blocked=0 handlers=0 pdeathsig=9 nnp=1")
        // Standard input, output, error; the plugin's folder; bell and socket. The maps need no descriptor.
        let descriptors = try worker.run("descriptors").output.split(separator: "\n")
        let seen = descriptors.map { $0.drop { $0.isNumber || $0 == " " }.prefix { !"[/".contains($0) || $0 == "/" } }
        #expect(descriptors.count == 6, "\(descriptors)")
        #expect(seen.contains { $0.contains("/dev/null") })
        #expect(descriptors.dropFirst(3).allSatisfy { $0.hasSuffix("cloexec=1") })
    }

    /// The kernel gives a clone a new thread id, and glibc keeps its own record of it: see `Template.makeWorker`.
    @Test func hasARightIdeaOfItsMainThread() throws {
        let worker = try TestKeeper.loaded().spawn("threads")
        let answer = try worker.run("").output
        #expect(
            answer == "recursive=0 owner=1 busy=1 deadlock=1 unlocked=0 robust=0 inherit=0 kill=0 taken=2 main=1 list=1")
    }
}
