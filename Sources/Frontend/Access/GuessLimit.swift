/// How often wrong tokens may be tried from one place: `burst` different ones at once, then one in `refillMillis`. A value; the clock comes
/// from outside.
///
/// Beyond that the token is not looked at, right or wrong: a refusal that still looked would tell the one right guess from the others. Trying the
/// same wrong token again is no new guess and stays free, so that one producer with an old token does not shut out its neighbours
/// behind the same address.
struct GuessLimit {
    /// Different wrong tokens that a place may try at once.
    static let burst = 20
    /// After how many milliseconds it may try one more.
    static let refillMillis: Int64 = 1_000
    /// Places that are remembered; those beyond share one account.
    static let placesMax = 4_096
    /// Wrong tokens that are remembered for each place.
    static let knownMax = 8

    enum Answer: Equatable {
        /// Look at the token.
        case look
        /// It is known to be wrong.
        case wrong
        /// Do not look at it. It makes sense again after so many milliseconds.
        case wait(Int64)
    }

    private struct Place {
        /// When all of `burst` will be there again.
        var fullAtMillis: Int64
        /// Wrong tokens, the latest last.
        var known: [UInt64] = []
        /// Wrong tokens since this was last told.
        var untold = 0
        var toldMillis = Int64.min
    }

    private var places: [String: Place] = [:]

    /// Places that are remembered now.
    var placeCount: Int { places.count }
    private static let others = "others"

    /// What to do with a token from `place`. `token` tells wrong tokens from one another.
    func ask(_ place: String, token: UInt64, nowMillis: Int64) -> Answer {
        guard let found = places[key(place)] else { return .look }
        if found.known.contains(token) { return .wrong }
        let owed = found.fullAtMillis - nowMillis
        let free = Int64(Self.burst - 1) * Self.refillMillis
        return owed <= free ? .look : .wait(owed - free)
    }

    /// The token was wrong. Returns how many were since this was last said, when it is time to say so in the log.
    mutating func failed(_ place: String, token: UInt64, nowMillis: Int64) -> Int? {
        if places[place] == nil, places.count >= Self.placesMax { forgetQuiet(nowMillis: nowMillis) }
        let key = key(place)
        var entry = places[key] ?? Place(fullAtMillis: nowMillis)
        if !entry.known.contains(token) {
            entry.fullAtMillis = max(entry.fullAtMillis, nowMillis) + Self.refillMillis
            entry.known.append(token)
            if entry.known.count > Self.knownMax { entry.known.removeFirst() }
        }
        entry.untold += 1
        var told: Int?
        if entry.toldMillis == .min || nowMillis - entry.toldMillis >= 60_000 {
            told = entry.untold
            entry.untold = 0
            entry.toldMillis = nowMillis
        }
        places[key] = entry
        return told
    }

    /// Tokens have changed: what was wrong may be right now.
    mutating func forgetTokens() {
        for key in places.keys { places[key]?.known = [] }
    }

    private func key(_ place: String) -> String { places[place] != nil || places.count < Self.placesMax ? place : Self.others }

    private mutating func forgetQuiet(nowMillis: Int64) {
        places = places.filter { $0.value.fullAtMillis > nowMillis || $0.key == Self.others }
    }
}
