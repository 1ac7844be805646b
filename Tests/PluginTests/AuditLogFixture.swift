import Foundation

/// A state folder, and audit-log at work in it.
struct AuditLogFixture {
    let state: ScratchFolder
    var file: URL { state.url("audit.jsonl") }

    init() throws {
        state = try ScratchFolder()
    }

    func start(_ configuration: [String: Any] = [:]) throws -> LoadedLambda {
        try LoadedLambda(plugin: "audit-log.so", host: FakeHost(stateDirectory: state.path, configuration: configuration))
    }

    /// Why a start fails; nil when it does not.
    func startFailure(_ configuration: [String: Any] = [:]) throws -> String? {
        do {
            _ = try start(configuration)
            return nil
        } catch let failure as LoadedLambda.StartFailure {
            return failure.message
        }
    }

    /// Records these events, one batch, and stops.
    func record(_ events: [TestEvent]) throws {
        let lambda = try start()
        guard lambda.handleBatch(events).allSatisfy({ $0.status == success }) else { throw CocoaError(.fileWriteUnknown) }
    }

    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: file)) }
    func replace(_ bytes: [UInt8]) throws { try Data(bytes).write(to: file) }

    /// The lines, each without its end.
    func lines() throws -> [String] {
        String(decoding: try bytes(), as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }

    func records() throws -> [[String: Any]] {
        try lines().map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:] }
    }

    func verify() throws -> Command.Answer { try Command.audit("verify", file.path) }
}
