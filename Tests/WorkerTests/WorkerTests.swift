// Tests of `capelet-worker`, as its host would see it: a real keeper, template and worker, driven over the real sockets and shared memory
// by a small host of their own (TestKeeper, TestWorker), which shares only the C headers with the real one.
//
// The plugins are C fixtures, compiled once for the test run (Fixtures). Nothing sleeps to wait: what is awaited arrives over a descriptor,
// or a condition is polled until a deadline (`eventually`).

import Foundation
import Testing

/// How long anything may take before a test gives up. Far longer than it does take, for a machine that is busy.
let patience: TimeInterval = 20

/// Polls until `condition` holds. Returns whether it did in time.
func eventually(within seconds: TimeInterval = patience, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Date().addingTimeInterval(seconds)
    while Date() < deadline {
        if try condition() { return true }
        usleep(500)
    }
    return try condition()
}

/// What went wrong in the test's own machinery.
struct TestTrouble: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
