/// A picture of all pools and workers, for the status page.
public struct SupervisorStatus: Sendable {
    /// One lambda's workers.
    public struct Pool: Sendable {
        /// The lambda.
        public let lambda: String
        /// `PluginGeneration.label` of what serves.
        public let generation: String
        /// The number of that generation.
        public let generationNumber: Int
        /// The plugin.
        public let plugin: String
        /// What is being started beside it; nil: nothing.
        public let candidate: String?
        /// Workers that there are to be.
        public let wanted: Int
        /// Workers that take events.
        public let ready: Int
        /// How workers are made: `fork`, `exec`, or empty while that is not known.
        public let mode: String
        /// The breaker: `closed`, `open`, `probing`.
        public let breaker: String
        /// Milliseconds until an open breaker lets a probe through; 0: it is not open.
        public let probeInMillis: Int64
        /// Workers that were started again since the host started.
        public let restarts: UInt64
        /// Workers that were recycled since the host started, by reason.
        public let recycled: [String: UInt64]
        /// Why nothing serves, or why the last candidate was given up; nil: all is well.
        public let fault: String?
        /// The last death that the host did not mean.
        public let lastDeath: Verdict?
    }

    /// One worker.
    public struct Worker: Sendable {
        /// The supervisor's number.
        public let id: UInt64
        /// The lambda.
        public let lambda: String
        /// Its process id, 0: not known yet.
        public let pid: Int32
        /// How far its life has come.
        public let state: WorkerHandle.State
        /// `PluginGeneration.label`.
        public let generation: String
        /// Number of the generation that it has loaded.
        public let generationNumber: Int
        /// `fork` or `exec`.
        public let mode: String
        /// How long it has lived, milliseconds.
        public let ageMillis: Int64
        /// CPU time used, microseconds; -1: not known.
        public let cpuMicros: Int64
    }

    /// One keeper.
    public struct Keeper: Sendable {
        /// Its process id.
        public let pid: Int32
        /// `PluginGeneration.label`.
        public let generation: String
        /// `loading`, `ready`, `template dead`, `ending`.
        public let state: String
        /// How many workers it has.
        public let workers: Int
    }

    /// By lambda.
    public let pools: [Pool]
    /// By number.
    public let workers: [Worker]
    /// By process id.
    public let keepers: [Keeper]
    /// Deaths by verdict since the host started.
    public let deathCounts: [Verdict.Kind: UInt64]
    /// The last deaths, oldest first.
    public let deaths: [Verdict]
    /// Processes asked for since the host started.
    public let spawns: UInt64
}
