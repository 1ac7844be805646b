/// What the supervisor has to tell the engine.
public enum SupervisorEvent {
    /// A worker has started and takes events. `handle.spec.revision` tells old from new.
    case workerReady(WorkerHandle)
    /// A worker and its descendants are gone. Once for every worker, also those that were never ready (`wasReady` is false: nothing to do).
    /// Read the rest of its frames, then call `Supervisor.bury`.
    case workerDied(WorkerHandle, Verdict)
    /// The lambda has more workers than it is to have: take back this one's events and retire it.
    case workerSurplus(WorkerHandle)
    /// The first worker of a new spec is ready: withdraw from the older ones and retire them. Comes before its `workerReady`.
    case poolPromoted(lambda: String, revision: UInt64)
    /// A spec was given up. If there was an older one, it serves on; otherwise nothing does, until the next `setPool` or `mend`.
    case poolRefused(lambda: String, revision: UInt64, reason: String)
    /// The lambda's workers keep dying without a success: hold its cursor. A probe comes at the time given, as `workerReady`, `isProbe`.
    case poolBroken(lambda: String, reason: String, untilMillis: Int64)
    /// It works again.
    case poolMended(lambda: String)
    /// A plugin could not be loaded; comes for each try.
    case loadFailed(plugin: String, generation: String, reason: String)
    /// One line that a process wrote.
    case log(WorkerLog)
}

/// One line that a worker, or the template above it, wrote.
public struct WorkerLog: Sendable, Equatable {
    /// Where it was written to.
    public enum Stream: String, Sendable {
        /// Standard output.
        case output
        /// Standard error.
        case error
    }

    /// The lambda; empty for a line from loading the plugin.
    public let lambda: String
    /// The plugin.
    public let plugin: String
    /// The supervisor's number of the worker; 0 for a line from loading the plugin.
    public let workerID: UInt64
    /// Where it was written to.
    public let stream: Stream
    /// The line, printable, at most 8 KiB.
    public let text: String
}
