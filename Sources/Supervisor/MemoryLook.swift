/// What a worker had of the memory that is limited.
struct MemoryLook {
    /// At the first look, bytes.
    var firstBytes: UInt64
    /// At the last look, and when that was.
    var bytes: UInt64
    var atMillis: Int64
}
