internal import CCapelet

/// How grave a line in the log is.
public enum LogLevel: Int32, Sendable, Comparable, CaseIterable {
    /// Every step, for finding a fault.
    case trace = 0
    /// What a developer wants to know.
    case debug = 1
    /// What happens in normal work.
    case info = 2
    /// Normal, but worth knowing.
    case notice = 3
    /// Wrong, but dealt with.
    case warning = 4
    /// Wrong, and somebody has to act.
    case error = 5

    /// Less grave is less.
    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// A lambda's log. Lines over 8 KiB are cut, and a flood is cut by the host. May be used from any thread until `stop` has returned.
public struct LambdaLog: Sendable {
    let host: Host
    let token: UInt64

    /// Writes a line.
    public func write(_ level: LogLevel, _ message: String) {
        message.withBytes { host.log(token, level.rawValue, $0) }
    }

    /// Writes a line of level trace.
    public func trace(_ message: String) { write(.trace, message) }

    /// Writes a line of level debug.
    public func debug(_ message: String) { write(.debug, message) }

    /// Writes a line of level info.
    public func info(_ message: String) { write(.info, message) }

    /// Writes a line of level notice.
    public func notice(_ message: String) { write(.notice, message) }

    /// Writes a line of level warning.
    public func warning(_ message: String) { write(.warning, message) }

    /// Writes a line of level error.
    public func error(_ message: String) { write(.error, message) }
}
