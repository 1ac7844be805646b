import Foundation

/// The processes below a host.
struct BenchmarkProcesses {
    var keepers: [Int32]
    var templates: [Int32] = []
    var workers: [Int32]

    /// - Parameter workers: their numbers, as far as the host has been told them; 0: not yet.
    init(keepers: [Int32], workers: Set<Int32>) {
        self.keepers = keepers
        self.workers = workers.filter { $0 > 0 }.sorted()
        templates = keepers.flatMap(Self.children).filter { !workers.contains($0) }
    }

    private static func children(of pid: Int32) -> [Int32] {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8) else { return [] }
        return text.split(separator: " ").compactMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// What a process takes, bytes: memory that is its own alone, and its share of what others have mapped too. Nil: it may not be read, or
    /// the process is gone.
    static func memory(of pid: Int32) -> (private: UInt64, proportional: UInt64)? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8) else { return nil }
        var (own, share): (UInt64, UInt64) = (0, 0)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 2, let kib = UInt64(words[1]) else { continue }
            switch words[0] {
            case "Private_Clean:", "Private_Dirty:", "Private_Hugetlb:": own += kib << 10
            case "Pss:": share += kib << 10
            default: continue
            }
        }
        return (own, share)
    }
}
