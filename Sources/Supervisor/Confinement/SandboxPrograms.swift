internal import Synchronization
internal import WorkerProtocol

/// The programs of every filter, made once. Any thread.
final class SandboxPrograms: Sendable {
    struct Program: Sendable {
        var base: [UInt8]
        var worker: [UInt8]
    }

    static let shared = SandboxPrograms()
    private let programs = Mutex<[SystemCallFilter: Program]>([:])

    /// The programs for a filter. nil only if `prepare` was never called for it.
    subscript(filter: SystemCallFilter) -> Program? { programs.withLock { $0[filter] } }

    /// Makes them, if they are not there.
    func prepare(_ filter: SystemCallFilter) throws(SystemCallError) {
        if self[filter] != nil { return }
        let program = Program(base: try filter.base(), worker: try filter.worker())
        programs.withLock { $0[filter] = program }
    }
}
