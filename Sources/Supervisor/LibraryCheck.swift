internal import Glibc
internal import WorkerProtocol

/// Looks for libraries and their functions without serving them: for `capelet check`.
public enum LibraryCheck {
    /// Why a library cannot be loaded, and what it lacks.
    public struct Report: Sendable {
        /// Why it cannot be loaded; nil: it can.
        public var failure: String?
        /// Functions that it does not have, and why.
        public var missing: [String: String] = [:]
    }

    /// Loads `library`, a name that the loader finds or a path, in a process that is thrown away. Blocks.
    public static func run(workerExecutable: String, library: String, functions: Set<String>, boot: Duration) -> Report {
        if library.contains("/"), (try? FileOperations.status(library)) == nil {
            return Report(failure: "\(library): \(SystemCallError.text(ENOENT))")
        }
        do {
            let slash = library.lastIndex(of: "/")
            let name = slash.map { String(library[library.index(after: $0)...]) } ?? library
            let description = try PluginDescription(
                executable: workerExecutable, directory: slash.map { String(library[..<$0]) }, library: name, functions: functions,
                timeoutMillis: boot.wholeMillis)
            return Report(missing: description.missing)
        } catch {
            return Report(failure: error.reason)
        }
    }
}
