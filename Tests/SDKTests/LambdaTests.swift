import CCapelet
import CapeletSDK
import Synchronization
import Testing

@Suite("Lambda")
struct LambdaTests {
    @Test("the table names all lambdas, their kinds and the version")
    func table() throws {
        let table = testPlugin.table
        #expect(table == testPlugin.table)
        #expect(table.pointee.abi_version == UInt32(CAPELET_ABI_VERSION))
        #expect(table.pointee.struct_size == UInt32(MemoryLayout<capelet_plugin>.size))
        #expect(String(cString: table.pointee.version) == "2.5")
        let echo = FakeHost(table, "echo").definition
        #expect(String(cString: echo.summary) == "Says it again")
        #expect(echo.handle != nil && echo.handle_batch == nil && echo.cancel == nil)
        let batch = FakeHost(table, "batch").definition
        #expect(batch.handle == nil && batch.handle_batch != nil && batch.batch_max == 10)
        #expect(FakeHost(table, "async").definition.cancel != nil)
    }

    @Test("an outcome becomes a status with message and delay")
    func outcomes() {
        let host = FakeHost(testPlugin.table, "outcome")
        #expect(host.start() == nil)
        func run(_ payload: String) -> FakeHost.Ended { host.handle(FakeEvent(payload: Array(payload.utf8))) }
        #expect(run("success") == .init(status: Status.success, message: "", retryAfterMillis: 0))
        #expect(run("retry") == .init(status: Status.retry, message: "busy", retryAfterMillis: 1_501))
        #expect(run("retry-plain") == .init(status: Status.retry, message: "busy", retryAfterMillis: 0))
        #expect(run("fatal") == .init(status: Status.fatal, message: "never", retryAfterMillis: 0))
        #expect(run("throw-retry") == .init(status: Status.retry, message: "later: plain(3)", retryAfterMillis: 2_000))
        #expect(run("throw-fatal") == .init(status: Status.fatal, message: "broken", retryAfterMillis: 0))
        #expect(run("throw-other") == .init(status: Status.retry, message: "plain(9)", retryAfterMillis: 0))
        #expect(run("throw-own") == .init(status: Status.fatal, message: "mine", retryAfterMillis: 0))
        host.stop()
    }

    @Test("a long message is cut between characters")
    func longMessage() {
        let host = FakeHost(testPlugin.table, "outcome")
        #expect(host.start() == nil)
        let ended = host.handle(FakeEvent(payload: Array("long".utf8)))
        #expect(ended.message == "x" + String(repeating: "é", count: 255))
        host.stop()
    }

    @Test("an event shows everything that the host said")
    func event() {
        let host = FakeHost(testPlugin.table, "describe")
        #expect(host.start() == nil)
        let event = FakeEvent(
            token: 5, attempt: 2, flags: UInt32(CAPELET_EVENT_REPLAYED),
            headers: [("traceparent", Array("00-ab".utf8)), ("raw", [0xFF])],
            inputs: [("extract", Array("hello".utf8))], payload: Array("päyload".utf8))
        #expect(host.handle(event).status == Status.success)
        #expect(
            host.output(of: 5) == """
                files a.txt 7 40 created id-1 2026-01-01T00:00:00.250000Z 2 false true
                traceparent=00-ab raw=\u{FFFD}
                00-ab nil [255]
                ["extract"] hello nil
                8 päyload true false
                """)
        host.stop()
    }

    @Test("an empty event has empty parts")
    func emptyEvent() {
        let host = FakeHost(testPlugin.table, "echo")
        #expect(host.start() == nil)
        #expect(host.handle(FakeEvent(token: 9, id: "", payload: [])).status == Status.success)
        #expect(host.output(of: 9) == "")
        host.stop()
    }

    @Test("output, emit, extend and log reach the host")
    func effects() {
        let host = FakeHost(testPlugin.table, "effects")
        #expect(host.start() == nil)
        #expect(host.handle(FakeEvent(token: 11, payload: Array("p".utf8))).status == Status.success)
        let record = host.record.withLock { $0 }
        #expect(record.outputs[11] == Array("second".utf8))
        #expect(record.extended[11] == 90_000)
        #expect(
            record.lines == [
                .init(token: 0, level: 2, text: "started"), .init(token: 11, level: 4, text: "careful"),
                .init(token: 11, level: 0, text: ""),
            ])
        #expect(
            record.emitted == [
                .init(
                    domain: "mail", subject: "s", type: "t", id: "", headers: ["a": "1", "empty": ""], payload: Array("text".utf8)),
                .init(domain: "mail", subject: "s2", type: "t2", id: "own", headers: [:], payload: []),
            ])
        host.stop()
    }

    @Test(
        "a refusal of the host is an error with its reason",
        arguments: [
            (Int32(CAPELET_ELIMIT), Status.fatal, "output of 5 bytes: over the limit of 1 MiB"),
            (
                Int32(CAPELET_EINVAL), Status.fatal,
                "output of 5 bytes: the host refused an argument: an empty subject, or text that is not allowed there"
            ),
            (Int32(CAPELET_EGONE), Status.retry, "output of 5 bytes: the run was already completed, or its deadline has passed"),
        ])
    func refusals(answer: Int32, status: Int32, message: String) {
        let host = FakeHost(testPlugin.table, "effects")
        #expect(host.start() == nil)
        host.record.withLock { $0.answer = answer }
        #expect(host.handle(FakeEvent(payload: Array("p".utf8))) == .init(status: status, message: message, retryAfterMillis: 0))
        host.stop()
    }

    @Test("a lambda keeps state, reads its context and is stopped")
    func lifecycle() {
        let host = FakeHost(testPlugin.table, "counter", as: "count-mine", json: #"{"a":1}"#, state: "/var/state")
        #expect(host.start() == nil)
        for token in 1...3 { #expect(host.handle(FakeEvent(token: UInt64(token))).status == Status.success) }
        #expect(host.output(of: 3) == "3")
        host.stop()
        #expect(host.record.withLock { $0.lines.map(\.text) } == [#"count-mine counter 3 /var/state {"a":1}"#, "stopped at 3"])
    }

    @Test("two workers of one plugin do not share a lambda")
    func twoInstances() {
        let first = FakeHost(testPlugin.table, "counter"), second = FakeHost(testPlugin.table, "counter")
        #expect(first.start() == nil && second.start() == nil)
        _ = first.handle(FakeEvent(token: 1))
        _ = first.handle(FakeEvent(token: 2))
        _ = second.handle(FakeEvent(token: 1))
        #expect(first.output(of: 2) == "2" && second.output(of: 1) == "1")
        first.stop()
        second.stop()
    }

    @Test("a failed start says why; a host that is too old is refused")
    func failedStart() {
        #expect(FakeHost(testPlugin.table, "needy").start() == "config: url is required")
        let old = FakeHost(testPlugin.table, "echo")
        old.hideEntry()
        #expect(old.start() == "this host does not say which lambda to start: it is older than the plugin's SDK")
    }

    @Test("a long handler sees that it is cancelled")
    func cancellation() {
        let host = FakeHost(testPlugin.table, "patient")
        #expect(host.start() == nil)
        host.record.withLock { _ = $0.cancelled.insert(77) }
        #expect(host.handle(FakeEvent(token: 77)).message == "cancelled")
        #expect(host.handle(FakeEvent(token: 78)).status == Status.success)
        host.stop()
    }
}
