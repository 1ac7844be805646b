/// The fault matrix: what can go wrong in a worker or below the host, and which test proves that it goes no further. The suite prints it at its
/// end with what it has seen (`FaultTable`). A tidy test checks that every number is here and that every test that is named exists.
enum FaultMatrix {
    /// One row.
    struct Row: Sendable {
        var number: Int
        var fault: String
        /// Tests outside of this suite: `File.function`.
        var elsewhere: [String]

        init(_ number: Int, _ fault: String, _ elsewhere: String...) {
            self.number = number
            self.fault = fault
            self.elsewhere = elsewhere
        }
    }

    static let rows: [Row] = [
        Row(1, "null write"),
        Row(2, "abort, uncaught exception"),
        Row(3, "Swift trap"),
        Row(4, "Go panic"),
        Row(5, "exit in mid-event"),
        Row(6, "stack overflow"),
        Row(7, "heap corruption"),
        Row(8, "infinite loop"),
        Row(9, "sleep for ever"),
        Row(10, "ignores every signal"),
        Row(11, "stops itself"),
        Row(12, "spins, no deadline"),
        Row(13, "private memory bomb"),
        Row(14, "shared memory bomb"),
        Row(15, "slow leak"),
        Row(16, "fork bomb"),
        Row(17, "grandchild holds the socket"),
        Row(18, "descriptor leak"),
        Row(19, "giant file"),
        Row(20, "output flood"),
        Row(21, "closes its socket"),
        Row(22, "forbidden system calls"),
        Row(23, "secrets, ptrace, kill"),
        Row(24, "TCP and UDP out"),
        Row(25, "frame length 0, max+1, 2^32-1", "LyingPeerTests.frameSizes"),
        Row(26, "truncated frame, then the end"),
        Row(27, "unknown or unasked-for reply", "LyingPeerTests.unknownTypes"),
        Row(28, "descriptors to the host"),
        Row(29, "indexes, lengths, claim word", "LyingPeerTests.writtenJumps"),
        Row(30, "truncates shared memory"),
        Row(31, "never reads its input"),
        Row(32, "no shared object, wrong machine", "KeeperTests.saysInExecModeWhatCannotBeLoaded"),
        Row(33, "missing symbol or library"),
        Row(34, "constructor crashes or hangs"),
        Row(35, "static TLS exhausted"),
        Row(36, "threads at load"),
        Row(37, "template killed"),
        Row(38, "host killed"),
        Row(39, "spawning thread ends", "ThreadTests.workersOutliveTheThreadThatStartedThem"),
        Row(40, "plugin overwritten in place", "ReloadFaultTests.overwrittenInPlace"),
        Row(41, "reload under load", "ReloadTests.underLoad"),
        Row(42, "reload to a broken plugin", "ReloadTests.refusals"),
        Row(43, "ten reload signals at once", "ReloadTests.signalsCoalesce", "ReloadFaultTests.signalsCoalesce"),
        Row(44, "reload in a crash loop", "ReloadFaultTests.breakerIsReset"),
        Row(45, "old worker never drains", "ReloadFaultTests.neverDrains"),
        Row(46, "crash at every start", "FailureTests.crashLoopOpensTheBreakerAndOneSuccessMendsIt"),
        Row(47, "poison in a batch of 64"),
        Row(48, "poison that lies about its index"),
        Row(49, "kill -9 from outside"),
        Row(50, "no descriptors while spawning", "FailureTests.shortageIsSurvived"),
        Row(51, "tiers of cgroups"),
        Row(52, "pid reuse"),
        Row(53, "random kills", "SoakTests.randomKills"),
        Row(54, "disk full, read-only, failing fsync", "CrashTests.full", "CrashTests.doubt"),
        Row(55, "torn or damaged journal", "CrashTests.flippedLog", "CrashTests.olderFile", "SQLiteTests.lostRows"),
        Row(56, "hostile traffic"),
        Row(57, "constructor patches libc"),
        Row(58, "clears its death signal"),
    ]
}
