internal import Glibc
internal import WorkerProtocol

extension ControlGroups {
    /// Removes the control groups of an earlier host on the same data directory, which it leaves when it is killed, and notes this host's own.
    ///
    /// - Parameter record: the path of a file in the data directory. Whoever has written it is gone, since this host holds the directory's lock.
    public func takeOver(record: String) {
        for line in ControlGroupLayout.text(record).split(separator: "\n").map(String.init) {
            guard line.hasPrefix("/"), line.contains("/capelet-"), !layout.own.contains(line) else { continue }
            Self.removeGroup(line)
        }
        // Without it these groups would stay after a kill, and do no harm.
        try? FileOperations.replace(record, with: layout.own.map { $0 + "\n" }.joined())
    }

    /// Removes a group and those in it, as far as no process is in them.
    private static func removeGroup(_ path: String) {
        guard let list = opendir(path) else { return }
        while let entry = readdir(list) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { rmdir(path + "/" + name) }
        }
        closedir(list)
        rmdir(path)
    }
}
