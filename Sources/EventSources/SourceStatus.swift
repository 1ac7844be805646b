/// What a source does at one moment.
public struct SourceStatus: Sendable, Equatable {
    /// In which state a source is.
    public enum State: String, Sendable {
        /// Not started.
        case idle
        /// Its first scan is under way.
        case scanning
        /// Changes are seen as they happen.
        case watching
        /// Changes, or some of them, are found by scans only; `detail` says why.
        case polling
        /// What is watched is gone or unreadable. Nothing is announced as deleted; it is tried again all the time. `detail` says more.
        case held
        /// Ended.
        case stopped
    }

    /// A scan that has ended.
    public struct Scan: Sendable, Equatable {
        /// When it ended, milliseconds since 1970.
        public var endedMillis: Int64 = 0
        /// How long it took, milliseconds.
        public var durationMillis: Int64 = 0
        /// Files seen.
        public var files: Int = 0
        /// Directories seen.
        public var directories: Int = 0
        /// Directories that could not be read; what is known of them was kept.
        public var unreadable: Int = 0
    }

    /// The state.
    public var state: State = .idle
    /// Why it is `polling` or `held`, else empty.
    public var detail = ""
    /// Files (rows) known, that is announced and not deleted since.
    public var files = 0
    /// Changes that are seen and not yet in the journal: not yet quiet, waiting for a commit, or for another try.
    public var pending = 0
    /// Events written since the start.
    public var announced: UInt64 = 0
    /// Files seen so far by the scan that is under way; 0 when none is.
    public var scanned = 0
    /// The last whole scan that ended.
    public var lastScan: Scan?
    /// Directories that are watched.
    public var watches = 0
    /// Why the journal refused the last append; nil when it did not.
    public var lastError: String?

    /// A source that has not started.
    public init() {}
}
