import CapeletJSON
import CapeletSDK
import Synchronization
import Testing

/// Decodes an order, puts out and emits a receipt.
struct JSONOrder: Lambda {
    struct Order: Codable {
        struct Line: Codable {
            var price: Int
        }
        var customer: String
        var lines: [Line]
    }
    struct Receipt: Codable {
        var total: Int
    }

    init(context: Context) {}

    func handle(_ event: borrowing Event) throws -> Outcome {
        if event.isType("with-input") {
            try event.output("\(event.decodeInput(Receipt.self, from: "charge").total)")
            return .success
        }
        let order = try event.decode(Order.self)
        let receipt = Receipt(total: order.lines.reduce(0) { $0 + $1.price })
        try event.output(encoding: receipt)
        try event.emit(Emission(domain: "receipts", subject: order.customer, type: "receipt", encoding: receipt))
        return .success
    }
}

struct JSONConfig: Lambda {
    struct Config: Decodable {
        var url: String
        var retry: Retry
        struct Retry: Decodable { var count: Int }
    }

    init(context: Context) throws {
        let config = try context.decodeConfig(Config.self)
        context.log.info("\(config.url) \(config.retry.count)")
    }

    func handle(_ event: borrowing Event) -> Outcome { .success }
}

@Suite("CapeletJSON")
struct JSONTests {
    private func run(_ event: FakeEvent) -> (FakeHost, FakeHost.Ended) {
        let host = FakeHost(testPlugin.table, "json")
        #expect(host.start() == nil)
        let ended = host.handle(event)
        host.stop()
        return (host, ended)
    }

    @Test("values go in and out as JSON")
    func roundTrip() {
        let (host, ended) = run(FakeEvent(token: 1, payload: Array(#"{"customer":"c","lines":[{"price":3},{"price":4}]}"#.utf8)))
        #expect(ended.status == Status.success)
        #expect(host.output(of: 1) == #"{"total":7}"#)
        #expect(host.record.withLock { $0.emitted.map(\.payload) } == [Array(#"{"total":7}"#.utf8)])
    }

    @Test("an input is decoded; a missing one is fatal")
    func inputs() {
        let (host, ended) = run(FakeEvent(token: 1, type: "with-input", inputs: [("charge", Array(#"{"total":12}"#.utf8))]))
        #expect(ended.status == Status.success && host.output(of: 1) == "12")
        let (_, failed) = run(FakeEvent(token: 1, type: "with-input"))
        #expect(failed.status == Status.fatal)
        #expect(failed.message == "there is no output of charge: is this lambda `after: charge`?")
    }

    @Test(
        "a payload that does not fit is fatal and says where",
        arguments: [
            (#"{"lines":[]}"#, "payload, customer: is missing"),
            (#"{"customer":"c","lines":[{"price":1},{"price":"x"}]}"#, "payload, lines.1.price: is not of type Int"),
            (#"{"customer":null,"lines":[]}"#, "payload, customer: is null or missing"),
        ])
    func mismatch(payload: String, message: String) {
        let (_, ended) = run(FakeEvent(payload: Array(payload.utf8)))
        #expect(ended == .init(status: Status.fatal, message: message, retryAfterMillis: 0))
    }

    @Test("what is not JSON is fatal", arguments: ["", "{", "\u{0}"])
    func notJSON(payload: String) {
        let (_, ended) = run(FakeEvent(payload: Array(payload.utf8)))
        #expect(ended.status == Status.fatal && ended.message.hasPrefix("payload: "))
    }

    @Test("config as a whole is decoded, and refused with the place")
    func config() {
        let good = FakeHost(testPlugin.table, "json-config", json: #"{"url":"u","retry":{"count":2}}"#)
        #expect(good.start() == nil)
        #expect(good.record.withLock { $0.lines.map(\.text) } == ["u 2"])
        good.stop()
        #expect(
            FakeHost(testPlugin.table, "json-config", json: #"{"url":"u","retry":{"count":"x"}}"#).start()
                == "config: retry.count is not of type Int")
        #expect(FakeHost(testPlugin.table, "json-config", json: #"{"retry":{"count":1}}"#).start() == "config: url is missing")
    }
}
