import Foundation
import Testing

/// The fault matrix (Tests/IntegrationTests/Hostile/FaultMatrix.swift) is whole: every number once, and a test for each.
@Suite struct FaultMatrixTests {
    private struct Row {
        var number: Int
        var elsewhere: [String]
    }

    private static func rows() throws -> [Row] {
        let files = try Repository.files(in: "Tests/IntegrationTests/Hostile", "swift")
        let matrix = try #require(files.first { $0.path.hasSuffix("/FaultMatrix.swift") })
        return matrix.lines.compactMap { line in
            let text = line.trimmingCharacters(in: .whitespaces)
            guard text.hasPrefix("Row("), let comma = text.firstIndex(of: ","), let number = Int(text.dropFirst(4).prefix(upTo: comma))
            else {
                return nil
            }
            // Between quotation marks: the fault, then the tests.
            let quoted = text.split(separator: "\"", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }
            return Row(number: number, elsewhere: quoted.dropFirst().map { String($0.element) })
        }
    }

    @Test func everyRowIsThereOnce() throws {
        #expect(try Self.rows().map(\.number) == Array(1...58))
    }

    /// A row is run by the suite itself, or by tests that exist.
    @Test func everyRowHasATest() throws {
        let tests = try Repository.files(in: "Tests", "swift")
        let suite = tests.filter { $0.path.contains("/Hostile/") || $0.path.hasSuffix("/SoakTests.swift") }
        for row in try Self.rows() {
            // As it is written in the suite: `row: 12,` or `(12, "…`.
            let isRun = suite.contains { file in
                !file.path.hasSuffix("/FaultMatrix.swift")
                    && file.lines.contains { $0.contains("row: \(row.number),") || $0.contains("(\(row.number), \"") }
            }
            #expect(isRun || !row.elsewhere.isEmpty, "row \(row.number) has no test")
            for name in row.elsewhere {
                let parts = name.split(separator: ".")
                let file = tests.first { $0.path.hasSuffix("/\(parts[0]).swift") }
                #expect(
                    file?.lines.contains { $0.contains("func \(parts.last ?? "")(") } == true, "row \(row.number): there is no test \(name)"
                )
            }
        }
    }
}
