/// How often one worker is read, so that none can take up the engine's time with what moves nothing forward: log lines, heartbeats, bells.
///
/// A turn is *idle* when it had frames, and among them no result of an open run and nothing emitted by one. A worker that has many idle turns, or a long one, is read at most once a
/// millisecond for a while; in between it is not listened to. That slows nobody but a flood down, which waits for room in its ring.
///
/// Frames about runs that are not open are *noise*. A worker that follows the rules makes none.
struct ReadingPace {
    /// What one worker has said in one turn.
    struct Turn {
        /// Messages.
        var frames = 0
        /// Of these, results and emitted events of open runs: there is an end to them.
        var progress = 0
        /// And lines that were logged.
        var lines = 0

        /// Whether what follows can wait for the next turn.
        var isFull: Bool { lines >= ReadingPace.linesMax || isIdle }

        /// Whether it moves nothing forward.
        var isIdle: Bool { frames - progress >= ReadingPace.idleFramesMax && frames > 9 * progress }
    }

    /// Idle turns in one window that are read as they come.
    static let idleTurnsMax = 50
    /// The length of a window.
    static let windowMicros: UInt64 = 100_000
    /// Frames of one turn that may be no progress, unless there is progress beside them: then the turn ends.
    static let idleFramesMax = 256
    /// Log lines of one turn: they cost more than other frames.
    static let linesMax = 64
    /// How long a worker that floods is left alone.
    static let pauseMicros: UInt64 = 1_000
    /// Noise that is forgiven in a second.
    static let noiseMax = 1_000

    /// It is not read before this time. Monotonic microseconds.
    private(set) var pausedUntilMicros: UInt64 = 0
    private var windowBegin: UInt64 = 0
    private var idleTurns = 0
    private var noiseBegin: UInt64 = 0
    private var noise = 0

    /// A turn is over.
    mutating func ended(_ turn: Turn, nowMicros now: UInt64) {
        if now &- windowBegin >= Self.windowMicros {
            windowBegin = now
            idleTurns = 0
        }
        let saysNothing = turn.progress == 0 && turn.frames > 0
        if saysNothing { idleTurns += 1 }
        if saysNothing && idleTurns > Self.idleTurnsMax || turn.isIdle { pausedUntilMicros = now &+ Self.pauseMicros }
    }

    /// Counts a frame that is about no open run.
    ///
    /// - Returns: whether that is too much.
    mutating func noise(nowMicros now: UInt64) -> Bool {
        if now &- noiseBegin >= 1_000_000 {
            noiseBegin = now
            noise = 0
        }
        noise += 1
        return noise > Self.noiseMax
    }
}
