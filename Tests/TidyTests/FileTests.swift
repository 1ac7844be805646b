import Foundation
import Testing

/// Lengths, names, notes.
@Suite struct FileTests {
    static let linesMax = 600

    @Test func noFileIsTooLong() throws {
        for file in try Repository.files("swift", "c", "h", "cpp", "rs", "sh", "md") where !Repository.generated.contains(file.path) {
            // The last line end is followed by one more, empty piece.
            let count = file.lines.count - 1
            #expect(count <= Self.linesMax, "\(file): \(count) lines; split it")
        }
    }

    /// A name has to say what a thing is; these say nothing.
    static let emptyWords = ["Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities", "Data", "Info"]
    static let keywords: Set<Substring> = ["class", "struct", "enum", "actor", "protocol", "typealias"]

    @Test func typesHaveNamesThatSayWhatTheyAre() throws {
        for file in try Repository.files("swift") where !Repository.generated.contains(file.path) {
            for (number, line) in file.lines.enumerated() {
                for name in Self.declaredTypes(line) {
                    #expect(!Self.emptyWords.contains { name.hasSuffix($0) }, "\(file):\(number + 1): \(name); call it what it is")
                }
            }
            let name = (file.path as NSString).lastPathComponent.dropLast(".swift".count)
            #expect(!Self.emptyWords.contains { name.hasSuffix($0) }, "\(file): call the file what its main type is")
        }
    }

    @Test func typesAreFound() {
        #expect(Self.declaredTypes("public final class Journal: Sendable {") == ["Journal"])
        #expect(Self.declaredTypes("    private struct FileManager {") == ["FileManager"])
        #expect(Self.declaredTypes("// a struct Manager") == [])
        #expect(Self.declaredTypes("static func classify(_ data: Data) -> Kind") == [])
        #expect(Self.declaredTypes("public class func make()") == [])
        #expect(Self.declaredTypes("let text = \"struct Manager\"") == [])
    }

    /// The names of types that a line declares.
    static func declaredTypes(_ line: Substring) -> [String] {
        if !keywords.contains(where: { line.contains($0) }) { return [] }
        // Up to the first literal: what stands in one is no declaration.
        let words = line.prefix { $0 != "\"" }.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "/" || $0 == "*") }
        if let first = words.first, first.hasPrefix("/") || first.hasPrefix("*") { return [] }
        var names: [String] = []
        for (index, word) in words.enumerated() where keywords.contains(word) && index + 1 < words.count {
            if let next = words[index + 1].first, next.isUppercase { names.append(String(words[index + 1])) }
        }
        return names
    }

    /// Every fuzz target has a program that says what always holds, seeds, and a place in the Makefile that builds them all.
    @Test func fuzzTargetsAreWhole() throws {
        let fuzz = Repository.root.appendingPathComponent("Fuzz")
        let makefile = try String(contentsOf: fuzz.appendingPathComponent("Makefile"), encoding: .utf8)
        let line = try #require(makefile.split(separator: "\n").first { $0.hasPrefix("TARGETS = ") })
        let targets = line.dropFirst("TARGETS = ".count).split(separator: " ").map(String.init)
        #expect(targets.count > 0)
        for target in targets {
            let program = try String(contentsOf: fuzz.appendingPathComponent("\(target)/\(target).swift"), encoding: .utf8)
            #expect(program.hasPrefix("// \(target): ") && program.contains("Always: "), "\(target): its program says what always holds")
            let seeds = try FileManager.default.contentsOfDirectory(atPath: fuzz.appendingPathComponent("Seeds/\(target)").path)
            #expect(!seeds.isEmpty, "Fuzz/Seeds/\(target) is empty")
        }
        let folders = try FileManager.default.contentsOfDirectory(atPath: fuzz.appendingPathComponent("Seeds").path)
        #expect(folders.sorted() == targets.sorted(), "seeds of targets that are not there")
    }

    /// Every source folder opens with the file that says what it is for.
    @Test func modulesSayWhatTheyAreFor() throws {
        // The worker's opens where the program does.
        let openers = ["capelet": "Capelet", "capelet-worker": "Main"]
        let sources = Repository.root.appendingPathComponent("Sources").path
        for module in try FileManager.default.contentsOfDirectory(atPath: sources).sorted() {
            let files = try Repository.files(in: "Sources/\(module)", "swift")
            if files.isEmpty { continue }
            let name = "Sources/\(module)/\(openers[module] ?? module).swift"
            let head = files.first { $0.path == name }?.lines.prefix(5) ?? []
            #expect(head.contains { $0.hasPrefix("//") }, "\(name) has to open with a comment: purpose, invariants, threads")
        }
    }
}
