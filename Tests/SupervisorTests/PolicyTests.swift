import Routing
import Testing

@testable import Supervisor

/// When workers are started again, without any.
@Suite struct RestartPolicyTests {
    private func die(_ policy: inout RestartPolicy, _ death: RestartPolicy.Death, at now: Int64, success: Bool = false) -> Bool {
        policy.died(death, hadSuccess: success, nowMillis: now, jitter: 0.999_999)
    }

    @Test func firstAtOnceThenDoublingWithJitter() {
        var policy = RestartPolicy()
        var waits: [Int64] = []
        for index in 0..<5 {
            let now = Int64(index) * 7000
            #expect(!die(&policy, .unpinned, at: now))
            waits.append(policy.notBeforeMillis == .min ? 0 : policy.notBeforeMillis - now)
        }
        #expect(waits.map { ($0 + 5) / 10 * 10 } == [0, 100, 200, 400, 800])
        var low = RestartPolicy()
        _ = low.died(.atStart, hadSuccess: false, nowMillis: 0, jitter: 0)
        _ = low.died(.atStart, hadSuccess: false, nowMillis: 0, jitter: 0)
        #expect(low.notBeforeMillis == 50)
        for index in 0..<40 { _ = die(&policy, .unpinned, at: 100_000 + Int64(index) * 60_000) }
        #expect(policy.notBeforeMillis - (100_000 + 39 * 60_000) <= 30_000)
    }

    @Test func moreThanFiveInHalfAMinuteOpensIt() {
        var policy = RestartPolicy()
        for index in 0..<5 { #expect(!die(&policy, .atStart, at: Int64(index))) }
        #expect(die(&policy, .atStart, at: 10))
        #expect(policy.breaker == .open(untilMillis: 30_010))
        #expect(policy.allowed(of: 4) == 0)
        policy.tick(nowMillis: 30_009)
        #expect(policy.allowed(of: 4) == 0)
        policy.tick(nowMillis: 30_010)
        #expect(policy.allowed(of: 4) == 1, "one probe")
        #expect(die(&policy, .atStart, at: 31_000))
        #expect(policy.breaker == .open(untilMillis: 61_000))
        policy.tick(nowMillis: 61_000)
        policy.becameReady(nowMillis: 61_100)
        #expect(policy.nextChangeMillis() == 121_100)
        policy.tick(nowMillis: 121_000)
        #expect(policy.breaker == .probing)
        policy.tick(nowMillis: 121_100)
        #expect(policy == RestartPolicy.healthy(like: policy) && policy.allowed(of: 4) == 4)
    }

    @Test func whatWasNeverReadyIsTriedThreeTimes() {
        var policy = RestartPolicy()
        func crash(at now: Int64) -> Bool { policy.died(.atStart, isUntried: true, hadSuccess: false, nowMillis: now, jitter: 0) }
        #expect(!crash(at: 0) && !crash(at: 10) && crash(at: 100))
        #expect(policy.allowed(of: 2) == 0)
    }

    @Test func slowDeathsDoNotOpenIt() {
        var policy = RestartPolicy()
        for index in 0..<100 { #expect(!die(&policy, .unpinned, at: Int64(index) * 6001)) }
    }

    @Test func aSuccessMends() {
        var policy = RestartPolicy()
        for index in 0..<6 { _ = die(&policy, .unpinned, at: Int64(index)) }
        policy.tick(nowMillis: 40_000)
        #expect(policy.breaker == .probing)
        policy.succeeded()
        #expect(!policy.isTroubled && policy.allowed(of: 3) == 3 && policy.notBeforeMillis == .min)
        for index in 0..<50 { #expect(!die(&policy, .unpinned, at: 50_000 + Int64(index), success: true)) }
        #expect(policy.failures == 1)
    }

    @Test func someDeathsDoNotCount() {
        var policy = RestartPolicy()
        for index in 0..<50 {
            #expect(!die(&policy, .pinned, at: Int64(index)))
            #expect(!die(&policy, .byHost, at: Int64(index)))
            #expect(!die(&policy, .external, at: Int64(index) * 31_000), "single kills from outside")
        }
        #expect(!policy.isTroubled)
        var killed = RestartPolicy()
        var opened = false
        for index in 0..<7 { opened = die(&killed, .external, at: Int64(index)) || opened }
        #expect(opened, "but many of them do")
    }

    @Test func budgetRefills() {
        var budget = SpawnBudget(perSecond: 10)
        func takeAll(at now: Int64) -> Int {
            var count = 0
            while budget.take(nowMillis: now) { count += 1 }
            return count
        }
        #expect(takeAll(at: 1000) == 10)
        #expect((1...101).contains(budget.millisToNext))
        #expect(takeAll(at: 1000 + budget.millisToNext) == 1)
        #expect(takeAll(at: 100_000) == 10, "no hoarding")
    }

    @Test func shortagesAreWaitedFor() {
        var backoff = ResourceBackoff()
        #expect(backoff.untilMillis == .min)
        backoff.failed(nowMillis: 0)
        #expect(backoff.untilMillis == 50)
        for _ in 0..<30 { backoff.failed(nowMillis: 1000) }
        #expect(backoff.untilMillis == 6000)
        backoff.worked()
        #expect(backoff.untilMillis == .min)
    }
}

extension RestartPolicy {
    /// The same without its troubles.
    static func healthy(like policy: RestartPolicy) -> RestartPolicy {
        var healthy = policy
        healthy.succeeded()
        return healthy
    }
}

/// What a death is called (ISOLATION §3).
@Suite struct VerdictTests {
    private func classify(
        status: Int32?, intent: KillIntent? = nil, detail: String = "", ready: Bool = true, cpu: UInt64 = 0, cpuLimit: UInt64? = nil,
        peakKiB: UInt64 = 0
    ) -> (kind: Verdict.Kind, words: String) {
        var facts = Verdict.Facts(memoryLimitBytes: 256 << 20)
        facts.waitStatus = status
        facts.intent = intent
        facts.detail = detail
        facts.wasReady = ready
        facts.userMicros = cpu
        facts.cpuLimitSeconds = cpuLimit
        facts.peakKiB = peakKiB
        return Verdict.classify(facts)
    }

    @Test func everyKind() {
        #expect(classify(status: 0).kind == .exit)
        #expect(classify(status: 3 << 8).words.contains("code 3"))
        #expect(classify(status: 11).kind == .signal)
        #expect(classify(status: 11 | 0x80).words.contains("SIGSEGV"), "with a core")
        #expect(classify(status: 4).words.contains("Swift runtime trap"))
        #expect(classify(status: 6).words.contains("SIGABRT"))
        #expect(classify(status: 9).kind == .external)
        #expect(classify(status: 9).words.contains("possibly out of memory"))
        #expect(classify(status: 15).kind == .external)
        #expect(classify(status: 24).kind == .cpuLimit)
        #expect(classify(status: 25).kind == .fileSize)
        #expect(classify(status: 31).kind == .seccomp)
        #expect(classify(status: 9, cpu: 5_000_000, cpuLimit: 5).kind == .cpuLimit)
        #expect(classify(status: 9, cpu: 4_900_000, cpuLimit: 5).kind == .external)
        #expect(classify(status: 6, peakKiB: 250 << 10).words.contains("close to its memory limit"))
        #expect(classify(status: 6, peakKiB: 250 << 10).kind == .memory)
        #expect(classify(status: 6, peakKiB: 230 << 10).kind == .signal)
        #expect(classify(status: 2 << 8, peakKiB: 255 << 10).kind == .memory, "as Go does")
        #expect(classify(status: 6, ready: false, peakKiB: 250 << 10).kind == .boot)
        #expect(classify(status: 35).words.contains("signal 35"))
    }

    @Test func theHostsIntentCounts() {
        #expect(classify(status: 9, intent: .timeout).kind == .timeout)
        #expect(classify(status: 9, intent: .reload).kind == .reload)
        #expect(classify(status: 9, intent: .shutdown).kind == .shutdown)
        #expect(classify(status: 9, intent: .protocolViolation, detail: "a frame of 0 bytes").words.contains("a frame of 0 bytes"))
        #expect(classify(status: 9, intent: .memory).kind == .memory)
        #expect(classify(status: 9, intent: .cpuLimit, detail: "500 ms").kind == .cpuLimit)
        #expect(classify(status: 9, intent: .cpuLimit, detail: "500 ms").words.contains("500 ms"))
        #expect(classify(status: 0, intent: .cpuLimit).kind == .cpuLimit)
        #expect(classify(status: 0, intent: .recycle, detail: "it is old").kind == .reload)
        #expect(classify(status: 9, intent: .boot, ready: false).kind == .boot)
        #expect(classify(status: 0, intent: .reload).kind == .reload)
        #expect(classify(status: 0, intent: .timeout).kind == .timeout)
        #expect(classify(status: 1 << 8, intent: .shutdown).kind == .exit, "asked to end, it failed by itself")
        #expect(classify(status: 11, intent: .timeout).kind == .signal, "it was quicker than the kill")
        #expect(classify(status: nil, intent: .timeout).kind == .timeout)
        #expect(classify(status: nil, detail: "its keeper died").kind == .external)
    }

    @Test func beforeItWasReady() {
        #expect(classify(status: 0, ready: false).kind == .boot)
        #expect(classify(status: 1 << 8, detail: "it could not start (7): no", ready: false).words.contains("it could not start (7): no"))
        #expect(classify(status: 11, ready: false).kind == .boot)
        #expect(classify(status: 9, ready: false).kind == .external)
    }

    @Test func theLedgerKeepsTheLast() {
        var ledger = DeathLedger()
        for index in 0..<300 {
            ledger.add(
                Verdict(
                    kind: index % 2 == 0 ? .signal : .reload, text: "\(index)", lambda: "l\(index % 3)", generation: "",
                    workerID: UInt64(index),
                    pid: 1, cpuMicros: 0, peakKiB: 0, ranMillis: 0, atMillis: 0, lastErrorOutput: ""))
        }
        #expect(ledger.recent.count == 256)
        #expect(ledger.recent.first?.text == "44" && ledger.recent.last?.text == "299")
        #expect(ledger.counts == [.signal: 150, .reload: 150])
        #expect(ledger.last(lambda: "l0")?.text == "294")
        #expect(ledger.last(lambda: "none") == nil)
    }
}
