import CWorkerProtocol
import Foundation
import Glibc
import Logging
import Routing
import Testing
import WorkerProtocol

@testable import Supervisor

/// A small engine around a supervisor: one loop, as the real one has it, and a record of all that happened.
final class TestEngine {
    let poller: Poller
    let supervisor: Supervisor
    let store: GenerationStore
    let data: String
    let plugins: String
    var ready: [WorkerHandle] = []
    var deaths: [(worker: WorkerHandle, verdict: Verdict)] = []
    var logs: [WorkerLog] = []
    var loadFailures: [String] = []
    var refused: [String] = []
    var broken: [String] = []
    var mended = 0
    var promoted: [UInt64] = []
    var surplus: [WorkerHandle] = []
    var results: [UInt64: UInt16] = [:]
    var outputs: [UInt64: String] = [:]
    var lastToken: UInt64 = 0
    /// Whether deaths are blamed on an event.
    var pinned = false
    /// Tokens sent to each worker and not answered.
    var open: [UInt64: Set<UInt64>] = [:]

    init(spawnsPerSecondMax: Int = 200) throws {
        poller = try Poller()
        var logger = Logger(label: "test")
        logger.logLevel = getenv("CAPELET_TEST_LOG") == nil ? .critical : .debug
        supervisor = Supervisor(
            workerExecutable: Fixture.worker, poller: poller, logger: logger, spawnsPerSecondMax: spawnsPerSecondMax)
        data = Fixture.newFolder()
        plugins = Fixture.newFolder()
        store = GenerationStore(
            plugins: plugins, data: data, workerExecutable: Fixture.worker, generationsKept: 3, boot: .seconds(10), logger: logger)
    }

    /// A spec for the fixture's lambda.
    func spec(
        _ plugin: String, as name: String = "sup", workers: Int = 2, config: [(key: String, value: ConfigValue)] = [],
        change: (inout LambdaRoute) -> Void = { _ in }
    ) throws -> WorkerSpec {
        try Fixture.install(plugin, as: name, in: plugins)
        let scan = try store.scan()
        var route = LambdaRoute(name: "work")
        route.entry = "sup-work"
        route.workers = workers
        route.config = .object(config)
        change(&route)
        // A plugin that cannot be described is none for the host; the tests want to see what happens all the same.
        let generation =
            scan.generations[name]
            ?? PluginGeneration(plugin: name, number: 1, id: "0000000000000000", directory: plugins, library: "\(name).so")
        return try WorkerSpec(route: route, generation: generation, domains: [(number: 1, name: "orders")], stateDirectory: data)
    }

    /// One turn of the loop.
    func turn(millisMax: Int64 = 20) throws {
        let next = supervisor.tick(nowMillis: Poller.nowMillis)
        takeEvents()
        let wait = min(max(next == .max ? millisMax : next - Poller.nowMillis, 0), millisMax)
        let count = try poller.wait(timeoutNanos: wait * 1_000_000)
        for index in 0..<count where Supervisor.owns(poller.tag(index)) {
            supervisor.handle(tag: poller.tag(index), events: poller.events(index), nowMillis: Poller.nowMillis)
        }
        for worker in supervisor.ringing { read(worker) }
        supervisor.clearRinging()
        takeEvents()
    }

    private func read(_ worker: WorkerHandle) {
        do {
            repeat {
                try worker.channel.beginTurn(maximumFrames: 256)
                while let frame = try worker.channel.nextFrame() {
                    switch frame.kind {
                    case .result:
                        results[frame.token] = frame.code
                        open[worker.id]?.remove(frame.token)
                        if frame.code == 0 { worker.hasSucceeded = true }
                    case .output: outputs[frame.token] = frame.text
                    default: break
                    }
                }
                worker.channel.endTurn()
            } while worker.channel.prepareToSleep()
        } catch {
            supervisor.terminate(worker, .protocolViolation, detail: "\(error)", nowMillis: Poller.nowMillis)
        }
    }

    private func takeEvents() {
        while let event = supervisor.nextEvent() {
            switch event {
            case .workerReady(let worker):
                ready.append(worker)
            case .workerDied(let worker, let verdict):
                deaths.append((worker, verdict))
                if worker.wasReady {
                    read(worker)
                    supervisor.bury(worker, pinnedOnEvent: pinned, nowMillis: Poller.nowMillis)
                }
            case .workerSurplus(let worker): surplus.append(worker)
            case .poolPromoted(_, let revision): promoted.append(revision)
            case .poolRefused(_, _, let reason): refused.append(reason)
            case .poolBroken(_, let reason, _): broken.append(reason)
            case .poolMended: mended += 1
            case .loadFailed(_, _, let reason): loadFailures.append(reason)
            case .log(let line): logs.append(line)
            }
        }
    }

    /// Runs until the condition holds.
    func run(
        _ what: Comment, seconds: Double = 10, sourceLocation: SourceLocation = #_sourceLocation, until condition: () -> Bool
    ) throws {
        let deadline = Poller.nowMillis + Int64(seconds * 1000)
        while !condition() {
            guard Poller.nowMillis < deadline else {
                Issue.record(
                    "not within \(seconds) s: \(what); deaths: \(deaths.map(\.verdict.text)), refused: \(refused)",
                    sourceLocation: sourceLocation)
                throw TestTimeout()
            }
            try turn()
        }
    }

    /// Sends one event; its token.
    @discardableResult
    func send(_ payload: String, to worker: WorkerHandle, size: Int? = nil) throws -> UInt64 {
        lastToken += 1
        var bytes = Array(payload.utf8)
        if let size { bytes += [UInt8](repeating: 32, count: size - bytes.count) }
        let buffer = RecordBuffer()
        bytes.withUnsafeBytes { payload in
            buffer.append(
                domain: 1, subjectHash: 1, subject: UnsafeRawBufferPointer(start: payload.baseAddress, count: 1),
                type: .init(start: nil, count: 0), id: .init(start: nil, count: 0), payload: payload, timeMicros: 1, acceptedMicros: 1)
        }
        let isStaged = try withExtendedLifetime(buffer) {
            try worker.channel.stage(
                buffer.record(0), token: lastToken, attempt: 1, lane: UInt32(lastToken % UInt64(CAPELET_LANES)), epoch: 0)
        }
        try #require(isStaged)
        try worker.channel.publish()
        open[worker.id, default: []].insert(lastToken)
        return lastToken
    }

    /// Sends one event and waits for its output.
    func ask(_ payload: String, _ worker: WorkerHandle) throws -> String? {
        let token = try send(payload, to: worker)
        try run("an answer to \(payload)") { results[token] != nil }
        return outputs[token]
    }

    var living: [WorkerHandle] { ready.filter { $0.state == .ready } }

    func waitForReady(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try run("\(count) workers ready", sourceLocation: sourceLocation) { living.count >= count }
    }

    /// Ends all, and checks that nothing is left.
    func finish(sourceLocation: SourceLocation = #_sourceLocation) throws {
        supervisor.shutdown(deadlineMillis: Poller.nowMillis + 300, nowMillis: Poller.nowMillis)
        try run("the end", sourceLocation: sourceLocation) { supervisor.isShutDown }
        // After its keeper's death a worker is init's to reap, which takes its time.
        for worker in ready { #expect([nil, "Z", "X"].contains(processState(worker.pid)), sourceLocation: sourceLocation) }
    }
}

struct TestTimeout: Error {}

/// What a file of /proc holds, nil: the process is gone.
func proc(_ pid: Int32, _ name: String) -> String? {
    FileManager.default.contents(atPath: "/proc/\(pid)/\(name)").map { String(decoding: $0, as: UTF8.self) }
}

/// The state of a process as /proc shows it, nil: there is none.
func processState(_ pid: Int32) -> String? {
    proc(pid, "stat")?.split(separator: ")").last?.split(separator: " ").first.map(String.init)
}

/// Children of a process.
func children(_ pid: Int32) -> [Int32] {
    (proc(pid, "task/\(pid)/children") ?? "").split(separator: " ").compactMap { Int32($0) }
}
