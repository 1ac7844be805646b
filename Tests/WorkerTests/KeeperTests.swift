import CLinux
import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// The keeper: loading, orphans, its template's death, its own end.
@Suite struct KeeperTests {
    @Test(arguments: [
        ("missing.so", "missing.so: cannot open shared object file: No such file or directory"),
        ("text.so", "text.so: invalid ELF header"),
        ("no-entry.so", "no-entry.so: no function capelet_plugin_v1 is exported"),
        (
            "constructor-crashes.so",
            "the plugin ended its process while it was being loaded: signal 6 (Aborted); its last words: cannot find the thing\n"
        ),
        ("constructor-exits.so", "the plugin ended its process while it was being loaded: exit status 3"),
    ])
    func saysWhyAPluginCannotBeLoaded(library: String, why: String) throws {
        let keeper = try TestKeeper()
        try keeper.load(library)
        let answer = try keeper.next()
        #expect(answer.type == CAPELET_KEEPER_LOAD_FAILED)
        #expect(answer.text.hasPrefix(why), "\(answer.text)")
        #expect(answer.value == (library == "constructor-crashes.so" ? 6 : library == "constructor-exits.so" ? 3 << 8 : 0))
        // Asking on is refused, and nothing of the template is left.
        #expect(throws: TestTrouble.self) { try keeper.spawn("one") }
        #expect(eventually { children(of: keeper.pid).isEmpty })
        #expect(try keeper.isQuiet())
    }

    @Test func endsAHangingConstructorWithItself() throws {
        let keeper = try TestKeeper()
        try keeper.load("constructor-hangs.so")
        #expect(eventually { keeper.template != nil })
        let template = try #require(keeper.template)
        keeper.end()
        #expect(eventually { !lives(template) })
    }

    @Test func makesManyWorkers() throws {
        let keeper = try TestKeeper.loaded()
        let workers = try (0..<40).map { _ in try keeper.ask("echo") }
        for (i, worker) in workers.enumerated() {
            try worker.awaitStarted()
            #expect(try worker.next().type == CAPELET_FRAME_READY)
            #expect(try worker.run("\(i)").output == "\(i)")
        }
        #expect(Set(workers.map(\.pid)).count == 40)
        #expect(Set(children(of: keeper.pid)).isSuperset(of: workers.map(\.pid)))
        for worker in workers { worker.stop() }
        for worker in workers { #expect(try worker.awaitDeath().wait_status == 0) }
        #expect(eventually { children(of: keeper.pid).count == 1 })
    }

    @Test func killsAWorkerThatIsStillToBeMade() throws {
        let keeper = try TestKeeper.loaded()
        let worker = try keeper.ask("echo")
        try worker.kill(SIGKILL)
        try worker.awaitStarted()
        #expect(try worker.awaitDeath().wait_status == SIGKILL)
        // Of one that never was, nothing is said.
        try keeper.send(CAPELET_HOST_KILL, id: 999, value: UInt64(SIGKILL))
        #expect(try keeper.spawn("echo").run("x").output == "x")
    }

    @Test(arguments: ["child", "setsid-grandchild"])
    func reportsADeathWhenNoDescendantIsLeft(word: String) throws {
        let worker = try TestKeeper.loaded().spawn("family")
        let survivors = try (0..<5).map { _ in try #require(pid_t(worker.run(word).output)) }
        try worker.kill(SIGKILL)
        #expect(try worker.awaitDeath().wait_status == SIGKILL)
        for survivor in survivors { #expect(!lives(survivor)) }
        #expect(children(of: worker.keeper.pid).count == 1)
    }

    @Test func leavesOtherWorkersAlone() throws {
        let keeper = try TestKeeper.loaded()
        let (one, other) = (try keeper.spawn("family"), try keeper.spawn("echo"))
        _ = try one.run("child")
        try one.kill(SIGTERM)
        #expect(try one.awaitDeath().wait_status == SIGTERM)
        for i in 0..<20 { #expect(try other.run("\(i)").output == "\(i)") }
    }

    @Test func endsEverythingWithinASecond() throws {
        let keeper = try TestKeeper.loaded()
        let family = try keeper.spawn("family")
        var processes = [keeper.pid, family.pid, try #require(keeper.template)]
        for word in ["child", "setsid-grandchild"] { processes.append(try #require(pid_t(family.run(word).output))) }
        for word in ["sleep", "stop-itself", "spin"] {
            let worker = try keeper.spawn("status")
            try worker.publish(word)
            #expect(eventually { worker.claimed == 1 })
            processes.append(worker.pid)
        }
        let start = Date()
        keeper.end()
        #expect(Date().timeIntervalSince(start) < 1)
        for process in processes { #expect(!lives(process)) }
    }

    @Test func endsOnOrder() throws {
        let keeper = try TestKeeper.loaded()
        let worker = try keeper.spawn("echo")
        try keeper.send(CAPELET_HOST_END)
        var wait = pollfd(fd: keeper.pidfd, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 5000) == 1)
        #expect(!lives(worker.pid))
    }

    @Test func takesItsWorkersAlongWhenItIsKilled() throws {
        let keeper = try TestKeeper.loaded()
        let workers = try (0..<3).map { _ in try keeper.spawn("echo") }
        let template = try #require(keeper.template)
        kill(keeper.pid, SIGKILL)
        #expect(eventually(within: 1) { !workers.contains { lives($0.pid) } && !lives(template) })
    }

    @Test func saysThatItsTemplateDied() throws {
        let keeper = try TestKeeper.loaded()
        let worker = try keeper.spawn("echo")
        kill(try #require(children(of: keeper.pid).first { $0 != worker.pid }), SIGKILL)
        let message = try keeper.next { $0.type == CAPELET_KEEPER_TEMPLATE_DIED }
        #expect(message.death.wait_status == SIGKILL)
        #expect(try worker.run("still here").output == "still here")
        #expect(throws: TestTrouble.self) { try keeper.spawn("echo") }
    }

    @Test func believesNothingOfItsTemplate() throws {
        let keeper = try TestKeeper.loaded("impostor.so")
        let worker = try keeper.ask("one")
        let answer = try keeper.next()
        #expect((answer.type, answer.id, answer.value) == (CAPELET_KEEPER_SPAWN_FAILED, worker.id, UInt64(EPROTO)))
        #expect(try keeper.next().type == CAPELET_KEEPER_TEMPLATE_DIED)
        #expect(lives(keeper.pid))
    }

    @Test func killsWhatALivingWorkerLeavesBehind() throws {
        let worker = try TestKeeper.loaded().spawn("family")
        let orphan = try #require(pid_t(worker.run("setsid-grandchild").output))
        let child = try #require(pid_t(worker.run("child").output))
        #expect(eventually { !lives(orphan) })
        // Its own child is its own business.
        #expect(lives(child) && lives(worker.pid))
    }

    @Test func doesNotWaitForAStoppedTemplate() throws {
        let keeper = try TestKeeper.loaded()
        let worker = try keeper.spawn("family")
        let template = try #require(children(of: keeper.pid).first { $0 != worker.pid })
        kill(template, SIGSTOP)
        let late = try keeper.ask("echo")
        // While the template does not answer, a death has to wait; not for ever.
        _ = try worker.run("child")
        try worker.kill(SIGKILL)
        #expect(throws: TestTrouble.self) { try late.awaitStarted() }
        #expect(try worker.awaitDeath().wait_status == SIGKILL)
        #expect(try keeper.next { $0.type == CAPELET_KEEPER_TEMPLATE_DIED }.death.wait_status == SIGKILL)
    }

    @Test func refusesAnIncompleteOrder() throws {
        let keeper = try TestKeeper.loaded()
        try keeper.send(CAPELET_HOST_SPAWN, id: 5)
        let answer = try keeper.next()
        #expect((answer.type, answer.id, answer.value) == (CAPELET_KEEPER_SPAWN_FAILED, 5, UInt64(EINVAL)))
        try keeper.send(CAPELET_HOST_LOAD)
        #expect(try keeper.next().type == CAPELET_KEEPER_LOAD_FAILED)
        #expect(try keeper.spawn("echo").run("x").output == "x")
    }

    // MARK: exec mode

    @Test(arguments: [("thread-at-load.so", [:], "one"), ("worker.so", ["plugin.exec": "1"], "echo")])
    func startsProcessesOfTheirOwnWhereForkingIsNotSafe(library: String, settings: [String: String], lambda: String) throws {
        let keeper = try TestKeeper()
        try keeper.load(library, settings)
        let answer = try keeper.next()
        #expect((answer.type, answer.value) == (CAPELET_KEEPER_LOADED, 2))
        #expect(eventually { children(of: keeper.pid).isEmpty })
        let workers = try (0..<3).map { _ in try keeper.spawn(lambda) }
        for worker in workers {
            #expect(try worker.run("x", lane: 1).code == 0)
            #expect(getpgid(worker.pid) == worker.pid)
        }
        try workers[0].kill(SIGKILL)
        #expect(try workers[0].awaitDeath().wait_status == SIGKILL)
        workers[1].stop()
        #expect(try workers[1].awaitDeath().wait_status == 0)
        #expect(try keeper.isQuiet())
        keeper.end()
        #expect(!lives(workers[2].pid))
    }

    @Test func givesWorkersOfExecModeTheSameSurroundings() throws {
        let keeper = try TestKeeper.loaded(
            "worker.so", ["plugin.exec": "1", "limit.files": "60", "limit.data": "90000000", "environment.SIZE": "1"])
        let worker = try keeper.spawn("surroundings", ["limit.files": "40", "environment.SIZE": "2"])
        #expect(try worker.run("limits").output.hasPrefix("90000000/90000000 "))
        #expect(try worker.run("limits").output.contains(" 40/40 "))
        #expect(try worker.run("env SIZE").output == "2")
        #expect(try worker.run("env HOST_SECRET").output == "(unset)")
        #expect(try worker.run("env SWIFT_BACKTRACE").output == "enable=no")
        #expect(try worker.run("process").output == "leader=1 blocked=0 handlers=0 pdeathsig=9 nnp=1")
        #expect(try worker.run("descriptors").output.split(separator: "\n").count == 6)
    }

    @Test func saysInExecModeWhatCannotBeLoaded() throws {
        // The template could load it; then it is gone.
        let name = "vanishing-\(UInt32.random(in: 0...(.max))).so"
        try FileManager.default.copyItem(atPath: Fixtures.plugins + "/plain.so", toPath: Fixtures.plugins + "/" + name)
        let keeper = try TestKeeper.loaded(name, ["plugin.exec": "1"])
        try FileManager.default.removeItem(atPath: Fixtures.plugins + "/" + name)
        let worker = try keeper.ask("one")
        try worker.awaitStarted()
        let frame = try worker.next()
        #expect((frame.type, frame.code) == (CAPELET_FRAME_START_FAILED, 0xffff))
        #expect(frame.text == "\(name): cannot open shared object file: No such file or directory")
        #expect(try worker.awaitDeath().wait_status == 1 << 8)
    }
}
