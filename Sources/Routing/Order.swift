/// Order within a subject (SEMANTICS §2).
public enum Order: String, Sendable, Equatable, CaseIterable {
    /// One event of a subject at a time, in sequence.
    case subject
    /// No order.
    case none
}
