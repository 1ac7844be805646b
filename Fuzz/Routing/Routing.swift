// Routing: the routing file.
//
// Always: a file that is refused is refused with places that are in it; what is accepted and written with every setting spelled out is
// accepted again and means the same; reading is the same twice; a lambda's configuration is JSON.

import Frontend
import FuzzSupport

@testable import Routing

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    guard let text = String(validating: UnsafeRawBufferPointer(start: start, count: size), as: UTF8.self) else { return 0 }
    do throws(RoutingError) {
        let table = try parse(text)
        check(table)
    } catch {
        let lines = text.unicodeScalars.reduce(2) { $0 + (["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains($1) ? 1 : 0) }
        for problem in error.problems {
            always(!problem.message.isEmpty && problem.line <= lines, "a problem at line \(problem.line) of \(lines): \(problem.message)")
        }
        do throws(RoutingError) {
            _ = try parse(text)
            fatalError("refused once, accepted then")
        } catch let again {
            always(again == error, "other problems the second time")
        }
    }
    return 0
}

/// Relative paths lead nowhere.
private func parse(_ text: String) throws(RoutingError) -> RouteTable {
    try RoutingFile.parse(text: text, path: "fuzz.yaml", baseDirectory: "/nonexistent")
}

private func check(_ table: RouteTable) {
    var size = 0
    for route in table.lambdas.values {
        // A secret file may be there one moment and gone the next; its place is what counts here.
        guard let json = try? route.config.jsonText(resolvingSecrets: false) else { fatalError("a configuration that cannot be shown") }
        var text = json
        always(text.withUTF8 { JSONValidity.isLine(UnsafeRawBufferPointer($0)) }, "a configuration that is not JSON: \(json)")
        guard let flat = try? route.config.flattened(resolvingSecrets: false) else { fatalError("a configuration that cannot be shown") }
        always(Set(flat.map(\.key)).count == flat.count, "a key of the configuration twice")
        size += 50 + flat.count
    }
    // With everything spelled out it has more values, of which a file has a limit.
    if size > 5_000 { return }
    let written = RoutingText(table).text
    do throws(RoutingError) {
        let again = try parse(written)
        always(again.settings.map(\.text) == table.settings.map(\.text), "other settings of the host:\n\(written)")
        always(again.domains.keys.sorted() == table.domains.keys.sorted(), "other domains:\n\(written)")
        for (name, domain) in table.domains {
            let other = again.domains[name]
            always(other?.lambdas == domain.lambdas, "other lambdas of \(name):\n\(written)")
            always(other?.settings.map(\.text) == domain.settings.map(\.text), "other settings of \(name):\n\(written)")
        }
        always(again.lambdas.keys.sorted() == table.lambdas.keys.sorted(), "other lambdas:\n\(written)")
        for (name, lambda) in table.lambdas {
            let other = again.lambdas[name]
            always(other?.settings.map(\.text) == lambda.settings.map(\.text), "other settings of \(name):\n\(written)")
            always(other?.function?.arguments == lambda.function?.arguments, "other arguments of \(name):\n\(written)")
            always(other?.config == lambda.config, "another configuration of \(name):\n\(written)")
            always(other?.environment == lambda.environment, "another environment of \(name):\n\(written)")
        }
    } catch {
        fatalError("a table that is refused when written out:\n\(error)\n\(written)")
    }
}
