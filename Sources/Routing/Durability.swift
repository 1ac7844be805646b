/// When a producer is answered (SEMANTICS §1.1).
public enum Durability: String, Sendable, Equatable, CaseIterable {
    /// After the fsync of the group.
    case full
    /// After the write, without waiting for the fsync: a crash of the machine can lose the last moments.
    case relaxed
}
