/// Who gives an event its sequence (SEMANTICS §1.2).
public enum SequenceSource: String, Sendable, Equatable, CaseIterable {
    /// The host: the sequence is the offset.
    case host
    /// The producer: required on every event.
    case producer
}
