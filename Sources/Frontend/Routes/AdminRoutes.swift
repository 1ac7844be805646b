import Foundation
import HTTPTypes
import Hummingbird
import Journal
import NIOCore
import NIOPosix
import ServiceLifecycle

/// What steers the host: on the Unix socket only.
struct AdminRoutes: Sendable {
    let control: any HostControl
    let journal: any Journal

    /// Request bodies here are small.
    private static let bodyBytesMax = 1 << 20

    private struct LambdaName: Codable {
        var lambda: String
    }

    private struct RollbackOptions: Codable {
        var undo: Bool?
    }

    private struct BackupPath: Codable {
        var path: String
    }

    func add(to router: Router<FrontendContext>) {
        router.post("/v1/admin/reload") { request, context in
            try await emptyBody(request, context)
            let report = try await control.reload()
            return try Response.json(report, status: report.accepted ? .ok : .conflict)
        }
        router.post("/v1/admin/redrive") { request, context in
            try Response.json(try await control.redrive(try await selection(request, context)))
        }
        router.post("/v1/admin/drop") { request, context in
            try Response.json(try await control.drop(try await selection(request, context)))
        }
        router.post("/v1/admin/forget") { request, context in
            try Response.json(try await control.forget(lambda: try await body(LambdaName.self, request, context).lambda))
        }
        router.post("/v1/admin/pause") { request, context in
            let name = try await body(LambdaName.self, request, context).lambda
            try await control.pause(lambda: name)
            return try Response.json(["lambda": name, "state": "paused"])
        }
        router.post("/v1/admin/resume") { request, context in
            let name = try await body(LambdaName.self, request, context).lambda
            try await control.resume(lambda: name)
            return try Response.json(["lambda": name, "state": "running"])
        }
        router.post("/v1/admin/backup") { request, context in try await backup(request, context) }
        router.post("/v1/lambdas/:lambda/rollback") { request, context in
            let name = try context.parameters.require("lambda")
            let undo = try await body(RollbackOptions.self, request, context).undo ?? false
            return try Response.json(try await control.rollback(lambda: name.removingURLPercentEncoding() ?? name, undo: undo))
        }
        router.get("/v1/logs") { request, context in try await logs(request, context) }
    }

    private func json(_ request: Request, _ context: FrontendContext) async throws -> ByteBuffer {
        guard MediaName(request.headers[.contentType])?.essence == "application/json" else {
            throw Problem(
                .unsupportedMediaType, "unsupported-media-type", "Unsupported media type",
                "what steers the host is sent as application/json")
        }
        return try await BodyReader.collect(request, upTo: Self.bodyBytesMax, of: "this request", context)
    }

    private func emptyBody(_ request: Request, _ context: FrontendContext) async throws {
        _ = try await json(request, context)
    }

    private func body<Body: Decodable>(_ type: Body.Type, _ request: Request, _ context: FrontendContext) async throws -> Body {
        let bytes = try await json(request, context)
        do {
            return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
        } catch DecodingError.keyNotFound(let key, _) {
            throw Problem.invalid("`\(key.stringValue)` is missing", field: key.stringValue)
        } catch {
            throw Problem.invalid("the body is not what this request takes: \(error)")
        }
    }

    private func selection(_ request: Request, _ context: FrontendContext) async throws -> RowSelection {
        let selection = try await body(RowSelection.self, request, context)
        guard !selection.isEmpty else {
            throw Problem.invalid("nothing is selected; give ids, lambda, domain, subject or error, or \"all\": true")
        }
        return selection
    }

    private func backup(_ request: Request, _ context: FrontendContext) async throws -> Response {
        let path = try await body(BackupPath.self, request, context).path
        guard path.hasPrefix("/"), !path.contains("\0") else { throw Problem.invalid("has to be an absolute path", field: "path") }
        guard !FileManager.default.fileExists(atPath: path) else {
            throw Problem(.conflict, "conflict", "Conflict", "\(path) exists already; a backup does not overwrite")
        }
        let folder = (path as NSString).deletingLastPathComponent
        guard access(folder, W_OK | X_OK) == 0 else {
            throw Problem.invalid("cannot write into the folder \(folder): \(String(cString: strerror(errno)))")
        }
        let journal = journal
        try await NIOThreadPool.singleton.runIfActive { try journal.backup(to: path) }
        let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.uint64Value ?? 0
        return try Response.json(BackupReport(path: path, bytes: size))
    }

    /// Log lines as NDJSON. With `follow`, an empty line comes every ten seconds in which nothing else does, so that both sides notice when
    /// the other is gone.
    private func logs(_ request: Request, _ context: FrontendContext) async throws -> Response {
        let query = try Query(request, known: ["lambda", "tail", "follow"])
        let tail = try query.number("tail", default: 100, in: 0...100_000)
        let lines = try await control.logs(lambda: query.text("lambda"), tail: tail, follow: try query.flag("follow"))
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                let merged = Heartbeat.merge(lines, every: .seconds(10))
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.withoutEscapingSlashes]
                for await line in merged.cancelOnGracefulShutdown() {
                    var buffer = ByteBuffer()
                    if let line { buffer.writeBytes(try encoder.encode(line)) }
                    buffer.writeInteger(UInt8(0x0A))
                    try await writer.write(buffer)
                }
                try await writer.finish(nil)
            })
    }
}

/// What `POST /v1/admin/backup` did.
public struct BackupReport: Codable, Sendable, Equatable {
    /// The file.
    public var path: String
    /// Its size, bytes.
    public var bytes: UInt64

    /// Makes a report.
    public init(path: String, bytes: UInt64) {
        self.path = path
        self.bytes = bytes
    }
}

/// Mixes a sign of life into a stream of log lines.
enum Heartbeat {
    /// Lines that may wait for a slow reader; more are left out, and a line says so.
    private static let waitingMax = 4_096

    /// The lines, and nil after each `interval`. Ends with the lines.
    static func merge(_ source: AsyncStream<LogLine>, every interval: Duration) -> AsyncStream<LogLine?> {
        AsyncStream(bufferingPolicy: .bufferingOldest(waitingMax)) { continuation in
            let task = Task {
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        var missed = 0
                        for await line in source {
                            if missed > 0 {
                                var notice = line
                                notice.level = "warning"
                                notice.text = "\(missed) lines left out: the reader is too slow"
                                if case .enqueued = continuation.yield(notice) { missed = 0 }
                            }
                            if case .dropped = continuation.yield(line) { missed += 1 }
                        }
                    }
                    group.addTask {
                        while (try? await Task.sleep(for: interval)) != nil { continuation.yield(nil) }
                    }
                    await group.next()
                    group.cancelAll()
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}
