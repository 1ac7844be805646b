import Foundation
import Glibc
import Testing

/// One fault, and what is to come of it.
struct Fault {
    /// What becomes of the event.
    enum End {
        /// A dead letter.
        case dead
        /// Success.
        case done
        /// Either: what the fault does to the process is not defined.
        case either
    }

    /// Number in the fault matrix.
    var row: Int
    var name: String
    /// The payload.
    var word: String
    /// Verdicts of which the death has one; empty: there is no death.
    var verdicts: [String]
    var end: End
    /// Words that the death's message or its last standard error have.
    var says: [String]
    /// What the table shows for a fault without a death; nil: what became of the event.
    var shows: (@Sendable (Arena) -> String)?
    /// How many deaths the fault may cost. More than one where the worker's own account of what it has begun cannot be believed: then each event
    /// that it had runs alone.
    var deaths: ClosedRange<Int>
    /// The neighbour's slowest event may take so long.
    var slowestMillis: Double
    /// Workers that live side by side meanwhile: their control groups are kept for later ones.
    var groupsKept = 0

    init(
        row: Int, _ name: String, _ word: String, _ verdicts: String..., end: End? = nil, says: [String] = [],
        deaths: ClosedRange<Int> = 1...1,
        slowestMillis: Double = 1000, shows: (@Sendable (Arena) -> String)? = nil
    ) {
        self.row = row
        self.name = name
        self.word = word
        self.verdicts = verdicts
        self.end = end ?? (verdicts.isEmpty ? .done : .dead)
        self.says = says
        self.deaths = verdicts.isEmpty ? 0...0 : end == .either ? 0...deaths.upperBound : deaths
        self.slowestMillis = slowestMillis
        self.shows = shows
    }
}

/// What has come of a fault.
struct Outcome {
    var deaths: [DeathView]
    var dead: [DeadView]
    /// The fault's own event.
    var offset: UInt64
    var subject: String
}

extension Arena {
    /// Sends a fault, with events behind it, and checks what every row promises.
    ///
    /// - Parameters:
    ///   - meanwhile: runs once the fault is sent.
    /// - Returns: what has come of it, for what the row promises besides.
    @discardableResult
    func fight(
        _ fault: Fault, sourceLocation: SourceLocation = #_sourceLocation, meanwhile: () async throws -> Void = {}
    ) async throws -> Outcome {
        try await warmUp()
        let before = await snapshot()
        let earlier = Set(try await host.deaths(Self.villain).map(\.key))
        let buried = Set(try await host.dead(Self.villain).map(\.id))
        let status = try await status()
        let end = try await domainEnd()
        let timesBefore = latencies.count
        let subject = "fault-\(status.watermark)"
        let offsets = try await send([
            (subject, fault.word), (subject, "success"), ("beside-\(status.watermark)", "success"), (subject, "success"),
        ])
        try await meanwhile()
        try await settled()
        // What has ended may not be on disk yet.
        let accepted = try await domainEnd() - end
        func ended() async throws -> [DeadView] { try await host.dead(Self.villain).filter { !buried.contains($0.id) } }
        _ = await eventually(within: .seconds(5)) {
            try await self.status().succeeded - status.succeeded + UInt64(try await ended().count) >= accepted
        }
        let deaths = try await host.deaths(Self.villain).filter { !earlier.contains($0.key) }
        let dead = try await ended()
        let outcome = Outcome(deaths: deaths, dead: dead, offset: offsets.first ?? .max, subject: subject)
        let slowest = latencies.dropFirst(timesBefore).max() ?? 0
        // With a worker in the place of the one that died.
        try await warmUp()
        let after = await snapshot(like: before, groupsKept: fault.groupsKept)

        let what = Comment(rawValue: "row \(fault.row), \(fault.name), \(language.rawValue), \(tier.rawValue)")
        let isLike = after.isLike(before, groupsKept: fault.groupsKept)
        var isRight = isLike && host.end() == nil
        #expect(host.end() == nil, "the host has ended; \(what)", sourceLocation: sourceLocation)
        #expect(isLike, "\(after) after \(before); \(what)", sourceLocation: sourceLocation)
        func check(_ condition: Bool, _ words: String) {
            if !condition { isRight = false }
            #expect(condition, "\(words); \(what)", sourceLocation: sourceLocation)
        }
        // Exactly one death, of the right kind, pinned on the right event.
        let verdict = deaths.first?.verdict
        check(fault.deaths.contains(deaths.count), "\(deaths.count) deaths: \(deaths)")
        for death in deaths {
            check(fault.verdicts.contains(death.verdict), "verdict \(death.verdict): \(death.message)")
            check(death.lambda == Self.villain && death.message.contains("hostile"), "lambda and plugin are named: \(death.message)")
            check(death.subject == subject && death.offset == outcome.offset, "the event is named: \(death)")
            for word in fault.says { check((death.message + death.stderrTail).contains(word), "'\(word)' is not in \(death)") }
        }
        // Nothing lost: every event has its end.
        let isDead = dead.contains { $0.offset == outcome.offset }
        check(dead.count == (isDead ? 1 : 0), "other events are dead letters too: \(dead)")
        switch fault.end {
        case .dead: check(isDead, "the event is no dead letter")
        case .done: check(!isDead, "the event did not succeed: \(dead)")
        case .either: break
        }
        // One more of the second warm-up.
        let succeeded = try await self.status().succeeded - status.succeeded - 1
        check(succeeded + UInt64(dead.count) == accepted, "\(succeeded) successes and \(dead.count) dead letters of \(accepted) events")
        check(slowest < fault.slowestMillis, "the neighbour's slowest event took \(slowest) ms")

        let shown = verdict ?? fault.shows?(self) ?? (isDead ? "dead letter" : "success")
        FaultTable.shared.note(
            row: fault.row, fault.name, language, verdict: shown, tier: tier, slowest: slowest, failed: !isRight)
        return outcome
    }
}

extension Arena {
    /// How many events the hostile lambda's domain has had.
    func domainEnd() async throws -> UInt64 { try await host.status().domains.first { $0.name == "hostile" }?.end ?? 0 }
}
