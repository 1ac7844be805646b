internal import Glibc
internal import Synchronization
internal import WorkerProtocol

/// The user id of each lambda, when the host is root: assigned once from a range, and kept in a file, since the files of its state folder
/// belong to it. No user database is needed. Any thread.
final class LambdaUsers: Sendable {
    private let path: String
    private let range: ClosedRange<UInt32>
    private let known = Mutex<[String: UInt32]?>(nil)

    /// - Parameters:
    ///   - path: the file: one line `ID NAME` for each lambda. Absolute.
    ///   - range: ids to choose from; the last one is kept for describing plugins.
    init(path: String, range: ClosedRange<UInt32>) {
        self.path = path
        self.range = range
    }

    /// The id of a lambda, which it has already or gets now.
    func user(for lambda: String) throws(SandboxRefusal) -> UInt32 {
        let result = known.withLock { known -> Result<UInt32, SandboxRefusal> in
            do throws(SystemCallError) {
                var users = known ?? [:]
                if known == nil { users = try read() }
                defer { known = users }
                if let user = users[lambda], range.contains(user) { return .success(user) }
                let taken = Set(users.values)
                guard let free = range.dropLast().first(where: { !taken.contains($0) }) else {
                    return .failure(
                        SandboxRefusal(
                            "no user id is left for it in `limits.users` (\(range.lowerBound)..\(range.upperBound)): widen the range, or remove "
                                + "lines of lambdas that are gone from \(path) while the host is down"))
                }
                users[lambda] = free
                try FileOperations.replace(path, with: users.sorted { $0.value < $1.value }.map { "\($0.value) \($0.key)\n" }.joined())
                return .success(free)
            } catch {
                return .failure(SandboxRefusal("its user id cannot be read or kept: \(error)"))
            }
        }
        return try result.get()
    }

    private func read() throws(SystemCallError) -> [String: UInt32] {
        guard try FileOperations.status(path) != nil else { return [:] }
        var bytes: [UInt8] = []
        try FileOperations.read(path) { (piece) throws(SystemCallError) in bytes.append(contentsOf: piece) }
        var users: [String: UInt32] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let user = UInt32(parts[0]) else {
                throw SystemCallError("read \(path): the line \"\(line)\" is not an id and a name", code: EINVAL)
            }
            users[String(parts[1])] = user
        }
        return users
    }
}
