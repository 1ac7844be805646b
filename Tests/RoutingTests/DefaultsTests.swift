import Foundation
import Testing

@testable import Routing

@Suite("check --defaults")
struct DefaultsTests {
    @Test("The printed defaults are what a file without settings gets")
    func roundTrip() throws {
        let printed = try table(RouteTable.defaultsText())
        let bare = try table("domains: { example: { lambdas: [example] } }")
        #expect(printed == bare)
        #expect(printed.changes(from: bare) == [])
        #expect(printed.warnings == [])
    }

    @Test("Every key is in it")
    func complete() {
        let lines = RouteTable.defaultsText().split(separator: "\n").map {
            $0.drop { $0 == " " || $0 == "#" }
        }
        let all = [
            RoutingKeys.top, RoutingKeys.listen, RoutingKeys.tokens, RoutingKeys.limits, RoutingKeys.domain, RoutingKeys.source,
            RoutingKeys.deduplicate,
            RoutingKeys.retention, RoutingKeys.lambda, RoutingKeys.filter, RoutingKeys.retry, RoutingKeys.recycle, RoutingKeys.sandbox,
        ]
        for key in all.joined() {
            #expect(lines.contains { $0.hasPrefix(key + ":") }, "\(key)")
        }
    }

    @Test("What is commented out is right too")
    func uncommented() throws {
        let text = RouteTable.defaultsText().split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("    # ") ? String("    " + line.dropFirst(6)) : String(line)
        }.joined(separator: "\n")
        let table = try table(text)
        guard case .directory(let source) = table.domains["example"]?.source else {
            Issue.record("no source")
            return
        }
        #expect(source == DirectorySourceSettings(path: "/srv/capelet/inbox"))
        #expect(table.lambdas["example"]?.plugin == "NAME")
        #expect(table.lambdas["example"]?.filter.headers == ["region": ["eu", "us"]])
    }

    @Test("The layout is readable")
    func layout() {
        for line in RouteTable.defaultsText().split(separator: "\n") {
            #expect(line.count <= 140 && !line.hasSuffix(" "), "\(line)")
        }
    }
}
