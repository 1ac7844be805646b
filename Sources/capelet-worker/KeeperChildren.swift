// Deaths, orphans, the end.
//
// The keeper is the subreaper: what a worker leaves behind becomes its child. A child that is neither the template nor a worker nor,
// perhaps, the clone in progress, is an orphan and is killed. A dead worker is left unreaped until no orphan is left: so long, nobody else
// can get its pid, its process group can be killed again and again, and DIED, which comes with the reaping, means that all its descendants
// are dead.

import CLibC
import CWorkerProtocol

extension Keeper {
    func drainChildSignals() {
        withUnsafeTemporaryAllocation(byteCount: 128 * 16, alignment: 8) { buffer in
            while read(childSignals, buffer.baseAddress, buffer.count) > 0 {}
        }
    }

    /// Finds out which of ours have died.
    func noteDeaths() {
        for i in workers.indices where !workers[i].ended && capelet_linux_child_state(workers[i].process) != 0 { workers[i].ended = true }
        if templateProcess > 0 && capelet_linux_child_state(templateProcess) != 0 { templateEnded() }
    }

    private func templateEnded() {
        // What it said before it died comes first; perhaps it is the answer that we wait for.
        readTemplate()
        readTemplateOutput()
        kill(-templateProcess, SIGKILL)
        let death = bury(templateProcess)
        templateProcess = 0
        for descriptor in [templateSocket, templateOutput] where descriptor >= 0 { close(descriptor) }
        templateSocket = -1
        templateOutput = -1
        if let spawn = inFlight {
            inFlight = nil
            for group in spawn.groups { close(group) }
            tellHost(CAPELET_KEEPER_SPAWN_FAILED, id: spawn.id, value: UInt64(ESRCH))
        }
        switch state {
        case .loading:
            state = .broken
            tellHost(
                CAPELET_KEEPER_LOAD_FAILED, value: UInt64(UInt32(bitPattern: death.wait_status)),
                body: wordsOnDeathAtLoad(death.wait_status))
        case .forking:
            state = .broken
            tellHost(CAPELET_KEEPER_TEMPLATE_DIED, body: bytes(of: death))
        case .idle, .executing, .broken: break
        }
        templateWords = []
    }

    private func wordsOnDeathAtLoad(_ status: Int32) -> Text {
        var text = Text.of("the plugin ended its process while it was being loaded: ")
        if status & 0x7f == 0 {
            text.append("exit status ")
            text.append(number: Int(status >> 8 & 0xff))
        } else {
            text.append("signal ")
            text.append(number: Int(status & 0x7f))
            text.append(" (")
            text.append(cString: strsignal(status & 0x7f))
            text.append(")")
        }
        if !templateWords.isEmpty {
            text.append("; its last words: ")
            text.append(contentsOf: templateWords.suffix(2048))
        }
        return text
    }

    /// Kills orphans, and when there is none, reports the dead.
    func settle() {
        unsettled = false
        let anyEnded = workers.contains { $0.ended }
        for worker in workers where worker.ended { kill(-worker.process, SIGKILL) }
        // A clone in progress has a child of ours whose pid only the template knows, until it has told it. `cloneMillisMax` bounds this.
        if inFlight != nil {
            unsettled = anyEnded
            return
        }
        // The list may miss one while others come and go (proc(5)), so it has to come out empty twice. A fork bomb can make this last, so
        // it is not done to the end in one go.
        var empty = 0
        for _ in 0..<64 {
            let orphans = orphanedChildren()
            if orphans.isEmpty {
                empty += 1
                if empty == 2 { break }
                continue
            }
            empty = 0
            var living = false
            for orphan in orphans {
                kill(orphan, SIGKILL)
                if capelet_linux_reap(orphan, nil, nil) == 0 { living = true }
            }
            // Their deaths will be announced, or seen in a moment.
            if living { break }
        }
        if empty < 2 {
            unsettled = true
            return
        }
        nextCheckMillis = capelet_linux_monotonic_millis() + Keeper.orphanCheckMillis
        if !anyEnded { return }
        for worker in workers where worker.ended {
            tellHost(CAPELET_KEEPER_DIED, id: worker.id, body: bytes(of: bury(worker.process)))
        }
        workers.removeAll { $0.ended }
    }

    private func orphanedChildren() -> [pid_t] {
        // Both lists are in the order in which the processes were made, so that of many workers not each is looked for among all.
        var next = 0
        return childrenOfThisProcess().filter { child in
            if child == templateProcess { return false }
            if next >= workers.count || workers[next].process != child {
                guard let place = workers.firstIndex(where: { $0.process == child }) else { return true }
                next = place
            }
            next += 1
            return false
        }
    }

    /// All children, the dead ones that nobody has reaped included. This process has one thread, so its children are that thread's. Empty
    /// where the kernel has no such file (CONFIG_PROC_CHILDREN): then orphans live until the keeper ends.
    private func childrenOfThisProcess() -> [pid_t] {
        var children: [pid_t] = []
        var number: pid_t = 0
        for byte in readSmallFile("/proc/thread-self/children") {
            if byte >= 48 && byte <= 57 {
                number = number &* 10 &+ pid_t(byte - 48)
            } else if number > 0 {
                children.append(number)
                number = 0
            }
        }
        if number > 0 { children.append(number) }
        return children
    }

    /// Reaps a child that is known to be dead.
    private func bury(_ process: pid_t) -> capelet_keeper_death {
        var status: Int32 = 0
        var usage = rusage()
        var death = capelet_keeper_death()
        if capelet_linux_reap(process, &status, &usage) == process {
            death.wait_status = status
            death.user_micros = micros(usage.ru_utime)
            death.system_micros = micros(usage.ru_stime)
            death.peak_kib = UInt64(max(0, usage.ru_maxrss))
        }
        return death
    }

    private func micros(_ time: timeval) -> UInt64 { UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_usec)) }

    private func bytes(of death: capelet_keeper_death) -> Text {
        var bytes: Text = []
        withUnsafeBytes(of: death) { bytes.append($0) }
        return bytes
    }

    /// Kills every descendant, reaps, exits. Within a second, whatever they do.
    func endEverything() -> Never {
        let deadline = capelet_linux_monotonic_millis() + 900
        killTemplate()
        for worker in workers {
            kill(-worker.process, SIGKILL)
            kill(worker.process, SIGKILL)
        }
        while capelet_linux_monotonic_millis() < deadline {
            for child in childrenOfThisProcess() {
                // A child that was not reaped keeps its pid, so the group of that number, if there is one, is its own.
                kill(-child, SIGKILL)
                kill(child, SIGKILL)
            }
            var reaped = capelet_linux_reap(-1, nil, nil)
            while reaped > 0 { reaped = capelet_linux_reap(-1, nil, nil) }
            if reaped < 0 { break }
            var wait = pollfd(fd: childSignals, events: Int16(POLLIN), revents: 0)
            _ = poll(&wait, 1, 10)
            drainChildSignals()
        }
        _exit(0)
    }
}
