import Foundation
public import Routing
import Supervisor

/// Looks for the libraries and functions of a routing file, for `capelet check`. What a library does while it is loaded it does in a process
/// that is thrown away.
public enum FunctionCheck {
    /// What came of it.
    public struct Report: Sendable {
        /// Libraries and functions that are not there, with their places in the file.
        public var problems: [RoutingProblem] = []
        /// Why nothing could be looked for.
        public var warnings: [String] = []
    }

    /// Checks every lambda that is a function, also those that no domain names. Blocks.
    ///
    /// - Parameter file: the routing file, as the user named it.
    public static func run(table: RouteTable, file: String) -> Report {
        var report = Report()
        let lambdas = table.lambdas.values.filter { $0.function != nil }.sorted { $0.name < $1.name }
        if lambdas.isEmpty { return report }
        let worker: String
        do {
            worker = try WorkerExecutable.find()
        } catch {
            report.warnings.append("libraries and their functions were not looked for: \(error)")
            return report
        }
        var found: [String: LibraryCheck.Report] = [:]
        for (library, uses) in Dictionary(grouping: lambdas.compactMap(\.function), by: \.library) {
            found[library] = LibraryCheck.run(
                workerExecutable: worker, library: library, functions: Set(uses.map(\.function)), boot: .seconds(10))
        }
        for lambda in lambdas {
            guard let function = lambda.function, let answer = found[function.library] else { continue }
            if let reason = answer.failure {
                report.problems.append(
                    problem("the library of lambda '\(lambda.name)' cannot be loaded: \(reason)", at: function.libraryPlace, file: file))
            } else if let reason = answer.missing[function.function] {
                report.problems.append(
                    problem(
                        "the library of lambda '\(lambda.name)' has no function '\(function.function)': \(reason)",
                        at: function.functionPlace, file: file))
            }
        }
        report.problems.sort { ($0.line, $0.column) < ($1.line, $1.column) }
        return report
    }

    private static func problem(_ message: String, at place: FilePlace, file: String) -> RoutingProblem {
        RoutingProblem(file: file, line: place.line, column: place.column, message: message)
    }
}
