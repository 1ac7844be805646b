import Foundation
import Synchronization

/// What the suite has seen, for the table at its end: on standard output, and in the file that CAPELET_FAULT_MATRIX names, by default
/// `.build/fault-matrix.txt`. Any thread.
final class FaultTable: Sendable {
    static let shared = FaultTable()

    /// One line.
    struct Line: Hashable {
        var row: Int
        var fault: String
        var language: Language
    }

    private struct Seen {
        var verdicts: [String] = []
        var tiers: [Tier] = []
        var slowestMillis = 0.0
        var hasFailed = false
    }

    private let lines = Mutex<[Line: Seen]>([:])

    private init() { atexit { FaultTable.shared.finish() } }

    /// Notes one fault.
    ///
    /// - Parameters:
    ///   - verdict: of the death, or what came of it in words.
    ///   - slowest: what the neighbour's slowest event took meanwhile.
    func note(row: Int, _ fault: String, _ language: Language, verdict: String, tier: Tier, slowest: Double = 0, failed: Bool = false) {
        lines.withLock {
            var seen = $0[Line(row: row, fault: fault, language: language)] ?? Seen()
            if !seen.verdicts.contains(verdict) { seen.verdicts.append(verdict) }
            if !seen.tiers.contains(tier) { seen.tiers.append(tier) }
            seen.slowestMillis = max(seen.slowestMillis, slowest)
            seen.hasFailed = seen.hasFailed || failed
            $0[Line(row: row, fault: fault, language: language)] = seen
        }
    }

    /// The table as text.
    private var text: String {
        let seen = lines.withLock { $0 }
        var cells = [["row", "fault", "verdict seen", "tier", "language", "neighbour's slowest"]]
        for row in FaultMatrix.rows {
            let own = seen.filter { $0.key.row == row.number }.sorted {
                ($0.key.fault, $0.key.language.rawValue) < ($1.key.fault, $1.key.language.rawValue)
            }
            for (line, what) in own {
                let tiers = Tier.allCases.filter(what.tiers.contains).map(\.rawValue).joined(separator: " ")
                cells.append([
                    "\(row.number)", line.fault, (what.hasFailed ? "FAILED: " : "") + what.verdicts.joined(separator: ", "), tiers,
                    line.language.rawValue, what.slowestMillis > 0 ? "\(Int(what.slowestMillis.rounded(.up))) ms" : "",
                ])
            }
            if !row.elsewhere.isEmpty || own.isEmpty {
                let proof = row.elsewhere.isEmpty ? "not run" : "see " + row.elsewhere.joined(separator: ", ")
                cells.append(["\(row.number)", row.fault, proof, "", "", ""])
            }
        }
        let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        var text = "Fault matrix, as \(TestUser.name)\n"
        for language in Language.allCases where HostilePlugins.missing.contains(language) {
            text += "MISSING toolchain: \(language.rawValue); its rows were not run\n"
        }
        for row in cells {
            let line = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined(separator: "  ")
            text += String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
        }
        return text
    }

    private func finish() {
        guard lines.withLock({ !$0.isEmpty }) else { return }
        let table = text
        print("\n" + table)
        fflush(nil)
        let path = ProcessInfo.processInfo.environment["CAPELET_FAULT_MATRIX"] ?? Programs.buildFolder + "/fault-matrix.txt"
        try? Data(table.utf8).write(to: URL(fileURLWithPath: path))
    }
}
