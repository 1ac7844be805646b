/// How much one worker may write to the log: so many bytes in each second; what is more is cut, and that is said once a second.
///
/// A line costs the host more than its bytes (time, names, a place in memory), so a short one counts as `lineBytesMin`.
public final class LogGate {
    /// What becomes of a line.
    public enum Admission: Sendable {
        /// It is to be logged.
        case admitted
        /// The first line over the limit in this second: say that lines are cut.
        case cut
        /// It is to be dropped in silence.
        case dropped
    }

    /// What a line counts at least.
    static let lineBytesMin = 128

    private let bytesPerSecond: Int
    private var windowMillis: Int64 = .min
    private var used = 0
    private var said = false
    /// Bytes that were cut so far.
    public private(set) var bytesCut: UInt64 = 0

    /// A gate for this many bytes per second.
    public init(bytesPerSecond: Int) { self.bytesPerSecond = bytesPerSecond }

    /// Whether this second's bytes are used up, and that was said: what comes now can be dropped without a look at it.
    func isShut(nowMillis: Int64) -> Bool { said && nowMillis - windowMillis < 1000 }

    /// Counts what was dropped without asking.
    func drop(bytes: Int) { bytesCut += UInt64(bytes) }

    /// Asks for a line of this size.
    public func admit(bytes: Int, nowMillis: Int64) -> Admission {
        if windowMillis == .min || nowMillis - windowMillis >= 1000 {
            windowMillis = nowMillis
            used = 0
            said = false
        }
        used += max(bytes, Self.lineBytesMin)
        if used <= bytesPerSecond { return .admitted }
        bytesCut += UInt64(bytes)
        defer { said = true }
        return said ? .dropped : .cut
    }
}
