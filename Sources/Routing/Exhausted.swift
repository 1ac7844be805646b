/// What happens to an event whose attempts are used up.
public enum Exhausted: String, Sendable, Equatable, CaseIterable {
    /// It is kept among the dead letters; the subject goes on.
    case deadLetter = "dead-letter"
    /// It waits, and the subject's later events wait behind it, until an operator decides.
    case park
}
