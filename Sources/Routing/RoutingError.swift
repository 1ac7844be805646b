/// A routing file that cannot be used, with everything that is wrong with it.
public struct RoutingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The problems in the order of the file; at least one, at most 50.
    public var problems: [RoutingProblem]
    /// How many more there are.
    public var omitted: Int

    /// Makes an error from at least one problem.
    public init(problems: [RoutingProblem], omitted: Int = 0) {
        precondition(!problems.isEmpty, "an error says what is wrong")
        self.problems = problems
        self.omitted = omitted
    }

    /// One line for each problem.
    public var description: String {
        var lines = problems.map(\.description)
        if omitted > 0 { lines.append("and \(omitted) more") }
        return lines.joined(separator: "\n")
    }
}
