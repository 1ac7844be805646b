public import WorkerProtocol

/// The rollbacks that hold, in the file `rollbacks` of the data directory, so that a restart keeps them. Blocking.
public struct RollbackFile: Sendable {
    /// The file is there and cannot be understood.
    public struct Damaged: Error, Sendable, Equatable, CustomStringConvertible {
        /// What is wrong and what to do.
        public let description: String
    }

    private static let title = "capelet rollbacks 1"
    private let path: String

    /// The file of a data directory.
    public init(data: String) { path = data + "/rollbacks" }

    /// What is in it; nothing when there is none. Throws `Damaged` or `SystemCallError`: what an operator has decided is not guessed at.
    public func read() throws -> [Rollback] {
        guard try FileOperations.status(path) != nil else { return [] }
        var bytes: [UInt8] = []
        try FileOperations.read(path) { (piece) throws(SystemCallError) in bytes.append(contentsOf: piece) }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let damaged = Damaged(
            description:
                "\(path) is damaged: it says which lambdas run an earlier generation of their plugin. Remove it to run what is in the "
                + "plugins folder")
        guard let first = lines.first, first == Self.title else { throw damaged }
        return try lines.dropFirst().map { line in
            guard let rollback = Rollback(line: line) else { throw damaged }
            return rollback
        }
    }

    /// Writes it anew, whole and on disk when this returns.
    public func write(_ rollbacks: [Rollback]) throws(SystemCallError) {
        let lines = rollbacks.sorted { $0.lambda < $1.lambda }.map(\.line).joined()
        try FileOperations.replace(path, with: Self.title + "\n" + lines)
    }
}
