/// How many processes may be started: so many per second, all lambdas together.
struct SpawnBudget {
    private let perSecond: Double
    private var tokens: Double
    private var lastMillis: Int64?

    init(perSecond: Int) {
        self.perSecond = Double(max(perSecond, 1))
        tokens = self.perSecond
    }

    /// Takes one; false: there is none now.
    mutating func take(nowMillis: Int64) -> Bool {
        if let lastMillis { tokens = min(perSecond, tokens + Double(max(nowMillis - lastMillis, 0)) * perSecond / 1000) }
        lastMillis = nowMillis
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    /// How long until there is one again, in milliseconds.
    var millisToNext: Int64 { max(1, Int64(((1 - tokens) * 1000 / perSecond).rounded(.up))) }
}

/// Waiting after something failed for want of memory, descriptors or processes.
struct ResourceBackoff: Equatable {
    private var failures = 0
    private(set) var untilMillis: Int64 = .min

    /// It failed again.
    mutating func failed(nowMillis: Int64) {
        untilMillis = nowMillis + min(50 << Int64(min(failures, 10)), 5000)
        failures += 1
    }

    /// It worked.
    mutating func worked() {
        failures = 0
        untilMillis = .min
    }
}
