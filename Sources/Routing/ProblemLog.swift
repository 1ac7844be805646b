/// Collects what is wrong with one file while it is read. One thread.
final class ProblemLog {
    /// The file, as the user named it.
    let file: String
    private var problems: [(order: Int, problem: RoutingProblem)] = []
    private var omitted = 0
    private var warningLines: [(at: Position, text: String)] = []

    init(file: String) {
        self.file = file
    }

    /// Whether nothing was wrong so far.
    var isEmpty: Bool { problems.isEmpty }

    /// The warnings, in the order of the file.
    var warnings: [String] {
        warningLines.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element.text)
    }

    /// Notes a problem at a place; nil: the file as a whole.
    func add(_ at: Position?, _ message: String, hint: String? = nil) {
        // More are kept than will be shown, because they are found in another order than that of the file.
        guard problems.count < 20 * RoutingLimits.problemsMax else {
            omitted += 1
            return
        }
        let problem = RoutingProblem(file: file, line: at?.line ?? 0, column: at?.column ?? 0, message: message, hint: hint)
        problems.append((problems.count, problem))
    }

    /// Notes something that can be served but looks like a mistake.
    func warn(_ at: Position, _ message: String, hint: String? = nil) {
        guard warningLines.count < 20 * RoutingLimits.problemsMax else { return }
        let problem = RoutingProblem(file: file, line: at.line, column: at.column, message: message, hint: hint)
        warningLines.append((at, problem.description))
    }

    /// The error that carries all problems. There must be one.
    func error() -> RoutingError {
        let sorted = problems.sorted {
            ($0.problem.line, $0.problem.column, $0.order) < ($1.problem.line, $1.problem.column, $1.order)
        }
        let shown = sorted.prefix(RoutingLimits.problemsMax).map(\.problem)
        return RoutingError(problems: Array(shown), omitted: omitted + sorted.count - shown.count)
    }
}
