/// When a lambda's workers may be started again after deaths (ISOLATION §4, SEMANTICS §4.3). A value without clock and chance.
///
/// | state   | meaning                    | leaves it                                                                      |
/// |---------|----------------------------|--------------------------------------------------------------------------------|
/// | closed  | starts wait for a backoff  | more than 5 counted deaths in 30 s, or the third of one never ready -> open     |
/// | open    | nothing is started         | after 30 s -> probing                                                          |
/// | probing | one worker may be started  | success, or 60 s ready without a counted death -> closed; counted death -> open |
///
/// Counted are deaths at start and deaths without a success of the lambda since the counted death before. Not counted: deaths pinned on one
/// event, kills by the host, and the first kill from outside in 30 s.
struct RestartPolicy: Equatable {
    enum Death {
        /// Before it was ready.
        case atStart
        /// While it ran, and no event was open that could be the cause.
        case unpinned
        /// An event was open: the event bears it.
        case pinned
        /// The host meant it, or the keeper died above it.
        case byHost
        /// Killed from outside.
        case external
    }

    enum Breaker: Equatable {
        case closed
        case open(untilMillis: Int64)
        case probing
    }

    static let windowMillis: Int64 = 30_000
    static let deathsMax = 5
    /// Crashes at start of what has never been ready: it will hardly ever be.
    static let untriedDeathsMax = 2
    static let probeMillis: Int64 = 30_000
    static let healthMillis: Int64 = 60_000
    static let backoffMinMillis: Int64 = 100
    static let backoffMaxMillis: Int64 = 30_000

    private(set) var breaker = Breaker.closed
    /// Counted deaths in a row.
    private(set) var failures = 0
    /// No start before this time.
    private(set) var notBeforeMillis: Int64 = .min
    private var deathTimes: [Int64] = []
    private var lastExternalMillis: Int64?
    private var lastDeathMillis: Int64 = .min
    private var readySinceMillis: Int64?

    /// Whether there is anything that a success or time would mend.
    var isTroubled: Bool { failures > 0 || breaker != .closed }

    /// How many workers may be alive, of `wanted`.
    func allowed(of wanted: Int) -> Int {
        switch breaker {
        case .closed: wanted
        case .open: 0
        case .probing: min(wanted, 1)
        }
    }

    /// Takes note of a death.
    ///
    /// - Parameters:
    ///   - isUntried: whether it crashed at its start, and no worker made from the same has ever been ready.
    ///   - hadSuccess: whether the lambda had a success since the death before.
    ///   - jitter: by chance, 0..<1.
    /// - Returns: whether this opened the breaker.
    mutating func died(_ death: Death, isUntried: Bool = false, hadSuccess: Bool, nowMillis: Int64, jitter: Double) -> Bool {
        if hadSuccess { succeeded() }
        switch death {
        case .pinned, .byHost: return false
        case .external:
            let isSingle = lastExternalMillis.map { nowMillis - $0 > Self.windowMillis } ?? true
            lastExternalMillis = nowMillis
            if isSingle { return false }
        case .atStart, .unpinned: break
        }
        readySinceMillis = nil
        lastDeathMillis = nowMillis
        failures += 1
        deathTimes.append(nowMillis)
        deathTimes.removeAll { nowMillis - $0 > Self.windowMillis }
        if failures > 1 {
            let whole = min(Self.backoffMinMillis << Int64(min(failures - 2, 20)), Self.backoffMaxMillis)
            notBeforeMillis = nowMillis + Int64(Double(whole) * (0.5 + 0.5 * jitter))
        }
        let most = isUntried ? Self.untriedDeathsMax : Self.deathsMax
        guard breaker == .probing || deathTimes.count > most else { return false }
        breaker = .open(untilMillis: nowMillis + Self.probeMillis)
        deathTimes.removeAll()
        return true
    }

    /// A worker is ready.
    mutating func becameReady(nowMillis: Int64) {
        if readySinceMillis == nil { readySinceMillis = nowMillis }
    }

    /// An event succeeded.
    mutating func succeeded() {
        failures = 0
        deathTimes.removeAll()
        notBeforeMillis = .min
        breaker = .closed
    }

    /// Time passes: an open breaker lets a probe through, health mends.
    mutating func tick(nowMillis: Int64) {
        if case .open(let until) = breaker, nowMillis >= until {
            breaker = .probing
            readySinceMillis = nil
            notBeforeMillis = .min
        }
        if failures > 0 || breaker == .probing, let ready = readySinceMillis, nowMillis - max(ready, lastDeathMillis) >= Self.healthMillis {
            succeeded()
        }
    }

    /// When `tick` will change something by itself; nil: never.
    func nextChangeMillis() -> Int64? {
        if case .open(let until) = breaker { return until }
        guard isTroubled, let ready = readySinceMillis else { return nil }
        return max(ready, lastDeathMillis) + Self.healthMillis
    }
}
