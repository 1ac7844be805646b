public import Journal
public import Routing

/// What the Frontend needs from the host beside the journal. Implemented by `Host`. Every function may be called from any thread, and
/// several at once.
///
/// Functions that steer throw `ControlError` when they refuse.
public protocol HostControl: AnyObject, Sendable {
    /// The table that is in force now. Cheap: called for every request.
    func routes() -> RouteTable

    /// The stream of a domain of that table; nil while there is none. Cheap, does not block: called for every request.
    func stream(ofDomain domain: String) -> StreamID?

    /// Why no events are taken in at the moment (starting, shutting down); nil: they are. Cheap. Faults of the journal are found by the
    /// Frontend itself.
    func closedReason() -> String?

    /// Why the host is not ready to do its work; nil: it is (`/readyz`). Cheap.
    func notReadyReason() -> String?

    /// The state of everything.
    func status() async throws -> HostStatus

    /// The latest deaths of workers, newest first.
    func deaths(lambda: String?, limit: Int) async throws -> [WorkerDeath]

    /// Prometheus text, complete.
    func metrics() async -> String

    /// Runs dead letters again, marked as redriven, or parked events once more. Waits for the commit.
    func redrive(_ selection: RowSelection) async throws -> RowsChanged

    /// Drops dead letters or parked events for good. Waits for the commit.
    func drop(_ selection: RowSelection) async throws -> RowsChanged

    /// Reads the routing file and the plugins anew; returns when the new state serves or is refused.
    func reload() async throws -> ReloadReport

    /// Puts a lambda back to the generation of its plugin that served before the present one, or, with `undo`, to what the plugins folder has.
    /// Returns when that serves and is written down.
    func rollback(lambda: String, undo: Bool) async throws -> RollbackReport

    /// Drops what is known of a lambda that no domain names any more: its cursors and deferred events.
    func forget(lambda: String) async throws -> ForgetReport

    /// Holds the cursor of a lambda: it gets no new events until `resume`.
    func pause(lambda: String) async throws

    /// Lets a paused lambda go on; also ends a break after repeated deaths.
    func resume(lambda: String) async throws

    /// The last `tail` log lines of a lambda's workers, oldest first, then, with `follow`, new ones until the reader stops. `lambda` nil:
    /// of all. The stream is bounded: a reader that is too slow misses lines, and a line says so.
    func logs(lambda: String?, tail: Int, follow: Bool) async throws -> AsyncStream<LogLine>
}

/// Why the host did not do what it was asked.
public struct ControlError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of refusal it is.
    public enum Code: Sendable, Equatable {
        /// No such lambda, domain or row: 404.
        case unknown
        /// What was asked for makes no sense: 400.
        case invalid
        /// It cannot be done in the present state: 409.
        case conflict
        /// Not now (starting, shutting down, journal at fault): 503.
        case unavailable
    }

    /// What kind of refusal it is.
    public var code: Code
    /// What was wrong, where, and what to do.
    public var message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}

/// Which dead letters or parked events an operator means. Parts that are given have to match all; at least one has to be given.
public struct RowSelection: Codable, Sendable, Equatable {
    /// These rows, by id. Empty: any.
    public var ids: [Int64]
    /// Of this lambda.
    public var lambda: String?
    /// Of this domain.
    public var domain: String?
    /// Of this subject.
    public var subject: String?
    /// Whose last error contains this text.
    public var error: String?
    /// Every row there is; has to be said when nothing else is.
    public var all: Bool

    /// Makes a selection.
    public init(
        ids: [Int64] = [], lambda: String? = nil, domain: String? = nil, subject: String? = nil, error: String? = nil, all: Bool = false
    ) {
        self.ids = ids
        self.lambda = lambda
        self.domain = domain
        self.subject = subject
        self.error = error
        self.all = all
    }

    /// A selection from JSON in which anything may be missing.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        ids = try container.decodeIfPresent([Int64].self, forKey: .ids) ?? []
        lambda = try container.decodeIfPresent(String.self, forKey: .lambda)
        domain = try container.decodeIfPresent(String.self, forKey: .domain)
        subject = try container.decodeIfPresent(String.self, forKey: .subject)
        error = try container.decodeIfPresent(String.self, forKey: .error)
        all = try container.decodeIfPresent(Bool.self, forKey: .all) ?? false
    }

    /// Whether nothing is selected: neither a part nor `all` is given.
    public var isEmpty: Bool { ids.isEmpty && lambda == nil && domain == nil && subject == nil && error == nil && !all }
}

/// What `redrive` or `drop` did.
public struct RowsChanged: Codable, Sendable, Equatable {
    /// Rows that were redriven or dropped.
    public var changed: Int
    /// Asked-for ids that there are no rows for, or whose lambda is gone; with a reason.
    public var refused: [String]
    /// Makes a report.
    public init(changed: Int, refused: [String] = []) {
        self.changed = changed
        self.refused = refused
    }
}

/// What a reload did.
public struct ReloadReport: Codable, Sendable, Equatable {
    /// Whether the new state serves. False: the old one goes on as if nothing had happened.
    public var accepted: Bool
    /// Number of the routing state that serves now; counts accepted reloads.
    public var generation: Int
    /// What changed, one sentence each; empty: nothing did.
    public var changes: [String]
    /// Why it was refused, one error each, with file, line and column where there are any.
    public var errors: [String]
    /// What an operator should know though it was accepted.
    public var warnings: [String]
    /// How long it took.
    public var millis: Int64
    /// Makes a report.
    public init(accepted: Bool, generation: Int, changes: [String] = [], errors: [String] = [], warnings: [String] = [], millis: Int64 = 0)
    {
        self.accepted = accepted
        self.generation = generation
        self.changes = changes
        self.errors = errors
        self.warnings = warnings
        self.millis = millis
    }
}

/// What `forget` did.
public struct ForgetReport: Codable, Sendable, Equatable {
    /// The lambda.
    public var lambda: String
    /// The domains whose cursors were dropped.
    public var domains: [String]
    /// Deferred events that were dropped with them.
    public var deferred: Int
    /// Makes a report.
    public init(lambda: String, domains: [String], deferred: Int = 0) {
        self.lambda = lambda
        self.domains = domains
        self.deferred = deferred
    }
}

/// One line that a worker logged or wrote to stdout or stderr.
public struct LogLine: Codable, Sendable, Equatable {
    /// When, milliseconds since 1970.
    public var atMillis: Int64
    /// Its lambda.
    public var lambda: String
    /// The worker's number within its lambda.
    public var worker: Int
    /// The worker's process id.
    public var pid: Int32
    /// `trace` … `error`, or `stdout`, `stderr`.
    public var level: String
    /// The line without its newline.
    public var text: String
    /// Makes a line.
    public init(atMillis: Int64, lambda: String, worker: Int, pid: Int32, level: String, text: String) {
        self.atMillis = atMillis
        self.lambda = lambda
        self.worker = worker
        self.pid = pid
        self.level = level
        self.text = text
    }
}
