/// Why a worker that is well is replaced.
public struct RecycleReason: Sendable, Equatable {
    /// In one word.
    public enum Kind: String, Sendable, CaseIterable {
        /// It has grown beyond the watermark.
        case memory
        /// It has had so many events.
        case events
        /// It is so old.
        case age
        /// It has used half of the CPU time that the kernel allows it in its life.
        case cpu
    }

    /// In one word.
    public let kind: Kind
    /// With figures.
    public let detail: String
}
