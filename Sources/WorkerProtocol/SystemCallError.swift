internal import CLinux

/// A system call that failed.
public struct SystemCallError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was tried, in words: `open /data/x`.
    public let what: String
    /// The errno.
    public let code: Int32

    /// Makes an error; `code` is an errno or its negative.
    public init(_ what: String, code: Int32) {
        self.what = what
        self.code = abs(code)
    }

    /// What was tried and why it failed, in the system's words.
    public var description: String { "\(what): \(Self.text(code))" }

    /// The system's words for an errno.
    public static func text(_ code: Int32) -> String {
        var text = [CChar](repeating: 0, count: 128)
        guard let found = capelet_linux_error_text(code, &text, text.count) else { return "error \(code)" }
        return String(cString: found)
    }
}
