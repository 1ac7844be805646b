import Foundation
import Glibc

/// One process that runs a given executable.
struct ProcessEntry: Hashable, Sendable {
    var pid: pid_t
    var parent: pid_t
}

/// What /proc says.
enum ProcessTable {
    /// The living processes that run the executable at this path.
    static func processes(running executable: String) -> [ProcessEntry] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else { return [] }
        return names.compactMap { name in
            guard let pid = pid_t(name), link("/proc/\(name)/exe") == executable, let parent = parent(of: pid) else { return nil }
            return ProcessEntry(pid: pid, parent: parent)
        }
    }

    private static func link(_ path: String) -> String {
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }

    /// The parent; nil for a process that is gone or only waits to be reaped.
    static func parent(of pid: pid_t) -> pid_t? {
        guard let text = text("/proc/\(pid)/stat"), let name = text.range(of: ") ", options: .backwards) else { return nil }
        let fields = text[name.upperBound...].split(separator: " ")
        guard fields.count > 1, fields[0] != "Z", fields[0] != "X" else { return nil }
        return pid_t(fields[1])
    }

    /// Any process, and whether it only waits to be reaped.
    struct Kin {
        var pid: pid_t
        var parent: pid_t
        var isZombie: Bool
    }

    /// Every process of this machine.
    static func all() -> [Kin] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name in
            guard let pid = pid_t(name), let text = text("/proc/\(name)/stat"), let end = text.range(of: ") ", options: .backwards)
            else { return nil }
            let fields = text[end.upperBound...].split(separator: " ")
            guard fields.count > 1, let parent = pid_t(fields[1]) else { return nil }
            return Kin(pid: pid, parent: parent, isZombie: fields[0] == "Z" || fields[0] == "X")
        }
    }

    /// One number in kB of /proc/PID/smaps_rollup.
    static func kilobytes(of pid: pid_t, _ names: [String]) -> Int? {
        guard let text = text("/proc/\(pid)/smaps_rollup") else { return nil }
        var sum = 0
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", omittingEmptySubsequences: true)
            if let first = parts.first, names.contains(String(first.dropLast())), parts.count > 1 { sum += Int(parts[1]) ?? 0 }
        }
        return sum
    }

    private static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
