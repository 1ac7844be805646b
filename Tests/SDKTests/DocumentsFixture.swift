import CSQLite
import CapeletSDK
import Documents
import Foundation

/// A temporary folder with a tree to index and a state folder; removed at the end.
final class DocumentsFixture: @unchecked Sendable {
    let root: String
    let state: String
    private let base: String

    init() throws {
        base = NSTemporaryDirectory() + "documents-\(UUID().uuidString)"
        root = base + "/root"
        state = base + "/state"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: base) }

    func write(_ path: String, _ bytes: some Sequence<UInt8>) throws {
        let full = "\(root)/\(path)"
        try FileManager.default.createDirectory(atPath: (full as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(filePath: full))
    }

    func write(_ path: String, _ text: String) throws { try write(path, Array(text.utf8)) }

    /// The event of a directory source about a path.
    func event(_ path: String, _ type: String = "created", sequence: UInt64 = 1, rawPath: [UInt8]? = nil) -> FakeEvent {
        FakeEvent(
            token: sequence, subject: path, sequence: sequence, offset: sequence, type: type, headers: [("root", Array(root.utf8))],
            payload: rawPath ?? Array(path.utf8))
    }

    /// What extract makes of an event: the header line and the text.
    func extract(_ event: FakeEvent, config: [String: String] = [:]) -> (ended: FakeHost.Ended, header: String, text: String) {
        let host = FakeHost(documentsPlugin(), "extract", config: config)
        if let failure = host.start() { return (.init(status: -1, message: failure, retryAfterMillis: 0), "", "") }
        defer { host.stop() }
        let ended = host.handle(event)
        let parts = (host.output(of: event.token) ?? "").split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        return (ended, parts.first.map(String.init) ?? "", parts.count > 1 ? String(parts[1]) : "")
    }

    func indexHost(config: [String: String] = [:]) -> FakeHost { FakeHost(documentsPlugin(), "index", config: config, state: state) }

    /// An event for index, with a text as input.
    func indexed(_ path: String, _ sequence: UInt64, _ kind: String, _ text: String = "", flags: UInt32 = 0) -> FakeEvent {
        let hash = String(text.hashValue.magnitude, radix: 16)
        let output = #"{"kind":"\#(kind)","size":\#(text.utf8.count),"mtime":5,"hash":"\#(hash)","encoding":"","cut":false}"# + "\n" + text
        return FakeEvent(
            token: sequence, subject: path, sequence: sequence, offset: sequence + 100, type: "modified", flags: flags,
            inputs: [("extract", Array(output.utf8))])
    }

    /// The rows that a query gives, columns joined with `|`.
    func query(_ sql: String, database: String = "search.db") throws -> [String] {
        var connection: OpaquePointer?
        var rows: [String] = []
        defer { sqlite3_close_v2(connection) }
        guard sqlite3_open_v2("\(state)/\(database)", &connection, SQLITE_OPEN_READONLY, nil) == SQLITE_OK else { throw QueryFailed(sql) }
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw QueryFailed(sql) }
        defer { sqlite3_finalize(statement) }
        while sqlite3_step(statement) == SQLITE_ROW {
            rows.append(
                (0..<sqlite3_column_count(statement)).map { sqlite3_column_text(statement, $0).map { String(cString: $0) } ?? "" }
                    .joined(separator: "|"))
        }
        return rows
    }

    struct QueryFailed: Error {
        let sql: String
        init(_ sql: String) { self.sql = sql }
    }
}
