import Foundation
import Testing

/// Documents name things that are there.
@Suite struct DocumentTests {
    @Test func linksLeadSomewhere() throws {
        // Templates have links only in the projects that are made of them.
        for file in try Repository.files("md") where !file.path.hasPrefix("PluginSDK/Templates/") {
            let folder = Repository.root.appendingPathComponent(file.path).deletingLastPathComponent()
            for (number, line) in file.lines.enumerated() {
                for target in Self.links(line) where !target.contains("://") && !target.hasPrefix("#") && !target.hasPrefix("mailto:") {
                    let path = target.prefix { $0 != "#" }
                    let exists = FileManager.default.fileExists(atPath: folder.appendingPathComponent(String(path)).path)
                    #expect(exists, "\(file):\(number + 1): there is no \(path)")
                }
            }
        }
    }

    @Test func makeTargetsAreThere() throws {
        let makefile = try String(contentsOf: Repository.root.appendingPathComponent("Makefile"), encoding: .utf8)
        let rules = makefile.split(separator: "\n").filter { !$0.hasPrefix("\t") && $0.contains(":") }
        let targets = Set(rules.map { $0.prefix { $0 != ":" } })
        for file in try Repository.files("md") where file.path == "README.md" || file.path.hasPrefix("Docs/") {
            for (number, line) in file.lines.enumerated() {
                for target in Self.makeTargets(line) {
                    #expect(targets.contains(target), "\(file):\(number + 1): the Makefile has no target \(target)")
                }
            }
        }
    }

    @Test func linksAreFound() {
        #expect(Self.links("see [a](b.md), [c](d/e.md#f) and [g](https://h)") == ["b.md", "d/e.md#f", "https://h"])
        #expect(Self.links("a[1](x") == [])
        #expect(Self.makeTargets("`make demo DIR=x` or `make test`; make sure") == ["demo", "test"])
        #expect(Self.makeTargets("make install") == ["install"])
    }

    /// The targets of a line's Markdown links.
    static func links(_ line: Substring) -> [Substring] {
        var targets: [Substring] = []
        var rest = line
        while let open = rest.firstRange(of: "](") {
            rest = rest[open.upperBound...]
            guard let close = rest.firstIndex(of: ")") else { break }
            targets.append(rest[..<close])
            rest = rest[close...]
        }
        return targets
    }

    /// The targets of calls of make: at the start of a line or of `code`.
    static func makeTargets(_ line: Substring) -> [Substring] {
        var pieces = [line]
        if !line.hasPrefix("make ") { pieces = Array(line.split(separator: "`", omittingEmptySubsequences: false).dropFirst()) }
        return pieces.filter { $0.hasPrefix("make ") }.compactMap { $0.split(separator: " ").dropFirst().first { !$0.contains("=") } }
    }
}
