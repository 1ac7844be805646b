import Foundation
import HTTPTypes
import Hummingbird
import Journal
import NIOCore
import NIOPosix
import Routing
import WorkerProtocol

/// What can be looked at, on both listeners.
struct ReadRoutes: Sendable {
    let control: any HostControl
    let journal: any Journal

    func add(to router: Router<FrontendContext>) {
        router.get("/healthz") { _, _ in Response.text("ok\n") }
        router.get("/readyz") { _, context in
            guard let reason = control.notReadyReason() ?? control.closedReason() ?? journal.figures().fault else {
                return Response.text("ready\n")
            }
            // The reason has names of lambdas, paths, what the journal says.
            if context.caller == .stranger { throw Problem.unavailable("the host is not ready; `capelet status` says why") }
            throw Problem.unavailable(reason)
        }
        router.get("/metrics") { _, _ in
            Response.text(await control.metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.get("/v1/status") { request, _ in
            _ = try Query(request, known: [])
            return try Response.json(try await control.status())
        }
        router.get("/v1/lambdas") { request, _ in
            _ = try Query(request, known: [])
            return try Response.json(["lambdas": try await control.status().lambdas])
        }
        router.get("/v1/deaths") { request, _ in
            let query = try Query(request, known: ["lambda", "limit"])
            let limit = try query.number("limit", default: 100, in: 1...10_000)
            return try Response.json(["deaths": try await control.deaths(lambda: query.text("lambda"), limit: limit)])
        }
        router.get("/v1/dead") { request, _ in try await dead(request) }
        router.get("/v1/blocked") { request, _ in try await blocked(request) }
        router.get("/v1/events") { request, _ in try await events(request) }
    }

    /// Runs something that blocks on NIO's thread pool.
    private func offPool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await NIOThreadPool.singleton.runIfActive(body)
    }

    private func rowQuery(_ query: Query) throws(Problem) -> RowQuery {
        var rows = RowQuery()
        rows.lambda = query.text("lambda")
        rows.domain = query.text("domain")
        rows.subject = query.text("subject")
        rows.error = query.text("error")
        if query.text("id") != nil { rows.id = try query.number("id", default: 0, in: 0...Int64.max) }
        rows.limit = try query.number("limit", default: 100, in: 1...10_000)
        return rows
    }

    private func dead(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["lambda", "domain", "subject", "error", "id", "limit", "events"])
        let rows = try rowQuery(query)
        let withEvents = try query.flag("events")
        let journal = journal
        return try await offPool {
            let letters = try journal.deadLetters(rows)
            let routes = Dictionary(uniqueKeysWithValues: try journal.routes().map { ($0.id, $0) })
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            var json = JSONText(capacity: 512 * letters.count)
            json.raw("{\"dead\":[")
            var isFirst = true
            for letter in letters {
                guard let view = DeadLetterView(letter, routes: routes) else { continue }
                if !isFirst { json.raw(",") }
                isFirst = false
                let text = Array(try encoder.encode(view))
                if withEvents {
                    text.dropLast().withUnsafeBytes { json.raw($0) }
                    json.raw(",\"event\":")
                    try EventJSON.write(letter.records.view(0), domain: view.domain, to: &json) { try journal.externalPayload($0) }
                    json.raw("}")
                } else {
                    text.withUnsafeBytes { json.raw($0) }
                }
            }
            json.raw("]}")
            return Response.json(json)
        }
    }

    private func blocked(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["lambda", "domain", "subject", "error", "id", "limit"])
        let rows = try rowQuery(query)
        let journal = journal
        return try await offPool { try Response.json(["blocked": try journal.blocked(rows).map(BlockedEventView.init)]) }
    }

    /// Events of a domain as NDJSON. The header `capelet-next-offset` says where to go on.
    private func events(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["domain", "from", "limit", "subject", "type"])
        let name = try query.required("domain")
        guard let stream = control.stream(ofDomain: name) ?? journal.streams().first(where: { $0.kind == .domain && $0.name == name })?.id
        else {
            let near = Nearest.name(to: name, among: control.routes().domains.keys).map { "; did you mean `\($0)`?" } ?? ""
            throw Problem.notFound("there is no domain `\(name.prefix(100))`\(near)")
        }
        let from = try query.number("from", default: UInt64(0), in: 0...UInt64.max)
        let limit = try query.number("limit", default: 100, in: 1...10_000)
        let subject = query.text("subject").map { Array($0.utf8) }
        let type = query.text("type").map { Array($0.utf8) }
        let journal = journal
        let (json, next) = try await offPool {
            try EventPage.read(journal, stream, domain: name, from: from, limit: limit, subject: subject, type: type)
        }
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson", .capeletNextOffset: String(next)],
            body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}

extension HTTPField.Name {
    /// Where the next page of events begins.
    static let capeletNextOffset = HTTPField.Name("capelet-next-offset")!
}

/// One page of a domain's events.
enum EventPage {
    /// Most that one page looks at, so that a filter that nothing matches cannot keep a thread.
    static let scannedBytesMax = 64 << 20
    static let textBytesMax = 16 << 20

    /// Events from `from` on as NDJSON, and the offset where the next page begins. Blocks.
    static func read(
        _ journal: any Journal, _ stream: StreamID, domain: String, from: UInt64, limit: Int, subject: [UInt8]?, type: [UInt8]?
    ) throws -> (JSONText, UInt64) {
        var json = JSONText(capacity: 16 << 10)
        var next = max(from, journal.start(of: stream))
        var count = 0
        var scanned = 0
        while count < limit, scanned < scannedBytesMax, json.bytes.count < textBytesMax, next < journal.end(of: stream) {
            let batches = try journal.read(stream, from: next, maximumBytes: 1 << 20)
            if batches.isEmpty { break }
            for batch in batches {
                scanned += batch.size
                for index in 0..<batch.count where batch.base + UInt64(index) >= next {
                    guard count < limit, json.bytes.count < textBytesMax else { return (json, next) }
                    next = batch.base + UInt64(index) + 1
                    let view = batch.records.view(index)
                    if let subject, !view.subject.elementsEqual(subject) { continue }
                    if let type, !view.type.elementsEqual(type) { continue }
                    try EventJSON.write(view, domain: domain, to: &json) { try journal.externalPayload($0) }
                    json.raw("\n")
                    count += 1
                }
            }
        }
        return (json, next)
    }
}
