import Foundation
import Glibc

/// A line on standard error that says how far something is, once it takes longer than a second, where a person looks.
struct Progress {
    private let isShown: Bool
    private let started = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?

    init() { isShown = Output.capture == nil && isatty(STDERR_FILENO) == 1 }

    /// Shows the text that `text` makes, at most five times a second.
    mutating func show(_ text: (_ elapsed: Duration) -> String) {
        guard isShown else { return }
        let now = ContinuousClock.now
        guard now - started > .seconds(1), lastShown.map({ now - $0 > .milliseconds(200) }) ?? true else { return }
        lastShown = now
        Output.error("\r\u{1B}[K" + text(now - started))
    }

    /// Takes the line away.
    mutating func clear() {
        guard lastShown != nil else { return }
        Output.error("\r\u{1B}[K")
        lastShown = nil
    }
}
