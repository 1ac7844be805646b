import Foundation

/// The processes below a host, with the numbers that they have here: the host knows workers by those of their keeper's namespace.
struct BenchmarkProcesses {
    var keepers: [Int32]
    var templates: [Int32] = []
    var workers: [Int32] = []

    /// - Parameter workers: numbers as their keepers know them.
    init(keepers: [Int32], workers: Set<Int32>) {
        self.keepers = keepers
        for keeper in keepers {
            for child in Self.children(of: keeper) {
                if Self.innermostNumber(of: child).map(workers.contains) == true {
                    self.workers.append(child)
                } else {
                    templates.append(child)
                }
            }
        }
    }

    private static func children(of pid: Int32) -> [Int32] {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8) else { return [] }
        return text.split(separator: " ").compactMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// The number that a process has in its own namespace.
    private static func innermostNumber(of pid: Int32) -> Int32? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("NSpid:") }.flatMap { $0.split(separator: "\t").last }.flatMap { Int32($0) }
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
