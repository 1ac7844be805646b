internal import CLinux
internal import WorkerProtocol

/// Why a worker ended (ISOLATION §3).
public struct Verdict: Sendable, Equatable {
    /// The reason in one word.
    public enum Kind: String, Sendable, CaseIterable, Codable {
        /// It exited by itself.
        case exit
        /// A signal that the kernel or its own code raised: SIGSEGV, SIGABRT, SIGILL and so on.
        case signal
        /// The host killed it: an event was past its deadline.
        case timeout
        /// It used up its CPU time.
        case cpuLimit = "cpu-limit"
        /// It used up its memory.
        case memory
        /// It wrote a file beyond the limit.
        case fileSize = "file-size"
        /// It made a system call that is not allowed.
        case seccomp
        /// The host killed it: it broke the rules of the channel.
        case protocolViolation = "protocol"
        /// Something outside killed it; possibly the kernel, out of memory.
        case external
        /// The host ended it: a newer generation or configuration serves, or it was due for replacement.
        case reload
        /// The host ended it: the host ends.
        case shutdown
        /// It did not get ready: it hung, died or failed in its start.
        case boot
    }

    /// The reason.
    public var kind: Kind
    /// The whole story for the operator: plugin, lambda, generation, pid, how long it ran, memory, last words.
    public var text: String
    /// The lambda.
    public var lambda: String
    /// The plugin's generation: `PluginGeneration.label`.
    public var generation: String
    /// The plugin.
    public var plugin = ""
    /// The number of its generation.
    public var generationNumber = 0
    /// The supervisor's number of the worker.
    public var workerID: UInt64
    /// Its process id, 0 if it never had one.
    public var pid: Int32
    /// The exit code, if it exited.
    public var exitCode: Int32?
    /// The signal, if one ended it.
    public var signal: Int32?
    /// CPU time in microseconds; 0 if the kernel could not be asked.
    public var cpuMicros: UInt64
    /// The most memory that it had resident, in KiB; 0 if the kernel could not be asked.
    public var peakKiB: UInt64
    /// How much memory it was allowed, in bytes.
    public var memoryLimitBytes: UInt64 = 0
    /// How long it lived, in milliseconds.
    public var ranMillis: Int64
    /// When it was known to be dead, milliseconds since 1970.
    public var atMillis: Int64
    /// The last 4 KiB of its standard error.
    public var lastErrorOutput: String

    /// Whether the host meant it to end.
    public var isIntended: Bool { kind == .reload || kind == .shutdown }
}

/// Why the host kills a worker. Recorded before the kill; the first one counts.
public enum KillIntent: Sendable, Equatable {
    /// An event is past its deadline.
    case timeout
    /// A newer generation or configuration serves.
    case reload
    /// The host ends.
    case shutdown
    /// It broke the rules of the channel.
    case protocolViolation
    /// It is due for replacement (`recycle:`). Verdict `reload`.
    case recycle
    /// A run uses up more CPU time than `cpu` allows.
    case cpuLimit
    /// It is over its memory limit.
    case memory
    /// It did not become ready in time.
    case boot
}

extension Verdict {
    /// What is known about a death.
    struct Facts {
        /// As wait4 gives it; nil: nobody could wait for it, since its keeper died with or before it.
        var waitStatus: Int32?
        var userMicros: UInt64 = 0
        var systemMicros: UInt64 = 0
        var peakKiB: UInt64 = 0
        /// Why the host killed it or asked it to end, if it did.
        var intent: KillIntent?
        /// More about the intent; for `startFailed`, what the worker said.
        var detail = ""
        var wasReady = true
        var memoryLimitBytes: UInt64
        /// CPU time of the whole life at which the kernel ends it.
        var cpuLimitSeconds: UInt64?
        /// How often the kernel killed something in its control group because the memory was used up.
        var memoryKills: UInt64 = 0
        /// The most memory that its control group had in use, in bytes; 0: not known.
        var groupPeakBytes: UInt64 = 0

        /// Whether the most that it had resident comes near to what it may have.
        var isAtMemoryLimit: Bool { memoryLimitBytes > 0 && peakKiB * 1024 >= memoryLimitBytes / 100 * 95 }
    }

    /// The reason, from the kernel's word and the host's intent, and what happened in words (ISOLATION §3).
    static func classify(_ facts: Facts) -> (kind: Kind, words: String) {
        let detail = facts.detail.isEmpty ? "" : ": \(facts.detail)"
        guard let status = facts.waitStatus else {
            if let intent = facts.intent { return (intent.kind, intent.words + detail) }
            return (.external, "was killed" + detail)
        }
        if capelet_linux_status_exited(status) {
            let code = capelet_linux_status_exit_code(status)
            switch facts.intent {
            case .reload, .recycle, .shutdown:
                if code == 0 { return (facts.intent!.kind, facts.intent!.words + detail) }
            case .protocolViolation, .boot, .memory, .timeout, .cpuLimit:
                return (facts.intent!.kind, facts.intent!.words + detail)
            case nil: break
            }
            if facts.wasReady, facts.isAtMemoryLimit { return (.memory, "exited with code \(code) at its memory limit" + detail) }
            return facts.wasReady
                ? (.exit, "exited with code \(code)" + detail) : (.boot, "exited with code \(code) before it was ready" + detail)
        }
        let signal = capelet_linux_status_signal(status)
        let name = SignalName.text(signal)
        if let intent = facts.intent, signal == SignalName.kill || signal == SignalName.term {
            return (intent.kind, intent.words + detail)
        }
        switch signal {
        case SignalName.xcpu:
            return (.cpuLimit, "used up its CPU time" + limitWords(facts))
        case SignalName.kill where facts.memoryKills > 0:
            return (.memory, "was killed by the kernel, since it used up its memory" + detail)
        case SignalName.kill:
            if let limit = facts.cpuLimitSeconds, facts.userMicros + facts.systemMicros >= limit * 1_000_000 {
                return (.cpuLimit, "used up its CPU time" + limitWords(facts))
            }
            return (.external, "was killed by SIGKILL from outside (possibly out of memory)" + detail)
        case SignalName.xfsz:
            return (.fileSize, "wrote a file beyond its limit (SIGXFSZ)")
        case SignalName.sys:
            return (.seccomp, "made a system call that is not allowed (SIGSYS)")
        case SignalName.term, SignalName.int, SignalName.hup:
            return (.external, "was ended by \(name) from outside" + detail)
        default:
            var words = "died by \(name)"
            switch signal {
            case SignalName.ill: words += " (a Swift runtime trap, or a damaged program)"
            case SignalName.trap: words += " (a Swift runtime trap)"
            case SignalName.abrt: words += " (abort: a failed assertion, a C++ exception, a panic or a damaged heap)"
            default: break
            }
            if !facts.wasReady { words += " before it was ready" }
            // The kernel refuses memory beyond the limit, and most code dies of that by a signal of its own.
            if facts.isAtMemoryLimit { words += ", close to its memory limit" }
            return (!facts.wasReady ? .boot : facts.isAtMemoryLimit ? .memory : .signal, words + detail)
        }
    }

    private static func limitWords(_ facts: Facts) -> String { facts.cpuLimitSeconds.map { " of \($0) s" } ?? "" }
}

extension KillIntent {
    /// The verdict that it leads to.
    var kind: Verdict.Kind {
        switch self {
        case .timeout: .timeout
        case .reload, .recycle: .reload
        case .shutdown: .shutdown
        case .protocolViolation: .protocolViolation
        case .memory: .memory
        case .cpuLimit: .cpuLimit
        case .boot: .boot
        }
    }

    /// What happened, after the worker's name.
    var words: String {
        switch self {
        case .timeout: "was killed by the host, since an event was past its deadline"
        case .reload: "was ended by the host for a newer generation or configuration"
        case .recycle: "was ended by the host, to be replaced by a fresh one"
        case .shutdown: "was ended by the host, which ends"
        case .protocolViolation: "was killed by the host, since it broke the rules of its channel"
        case .memory: "was killed by the host, since it was over its memory limit"
        case .cpuLimit: "was killed by the host, since an event used up its CPU time"
        case .boot: "was killed by the host, since it was not ready in time"
        }
    }
}

/// Numbers and names of signals: they are the same on every Linux that Swift runs on (not on MIPS, Alpha and SPARC).
enum SignalName {
    static let hup: Int32 = 1
    static let int: Int32 = 2
    static let ill: Int32 = 4
    static let trap: Int32 = 5
    static let abrt: Int32 = 6
    static let kill: Int32 = 9
    static let term: Int32 = 15
    static let xcpu: Int32 = 24
    static let xfsz: Int32 = 25
    static let sys: Int32 = 31
    private static let names: [Int32: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
        10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT", 24: "SIGXCPU",
        25: "SIGXFSZ", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
    ]

    static func text(_ signal: Int32) -> String { names[signal] ?? "signal \(signal)" }
}
