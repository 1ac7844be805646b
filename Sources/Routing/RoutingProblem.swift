/// One thing that is wrong with a routing file.
public struct RoutingProblem: Sendable, Equatable, CustomStringConvertible {
    /// The file, as the user named it.
    public var file: String
    /// Line, from 1; 0 when the problem is with the file as a whole.
    public var line: Int
    /// Column, from 1, counted in Unicode scalars; 0 when the problem is with the file as a whole.
    public var column: Int
    /// What is wrong.
    public var message: String
    /// What to do about it; nil when the message says all.
    public var hint: String?

    /// Makes a problem.
    public init(file: String, line: Int = 0, column: Int = 0, message: String, hint: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint
    }

    /// `FILE:LINE:COLUMN: MESSAGE; HINT`
    public var description: String {
        var text = file
        if line > 0 { text += ":\(line):\(column)" }
        text += ": \(message)"
        if let hint { text += "; \(hint)" }
        return text
    }
}
