import ArgumentParser
import Foundation
import Testing

@testable import capelet

/// What a command did.
struct CommandResult {
    var code: Int32
    var text: String
    var errors: String

    var lines: [String] { text.split(separator: "\n").map(String.init) }
}

extension TestServer {
    /// Runs a command against this server, as the shell would, on a thread of its own.
    func run(_ arguments: String...) async throws -> CommandResult {
        try await runCommand(arguments + ["--data", folder])
    }
}

/// Runs a command that is not asynchronous.
func runCommand(_ arguments: [String]) async throws -> CommandResult {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            let capture = OutputCapture()
            var code: Int32 = 0
            Output.$capture.withValue(capture) {
                do {
                    var command = try Capelet.parseAsRoot(arguments)
                    try command.run()
                } catch let failure as CommandFailure {
                    capture.add("capelet: \(failure.message)\n", isError: true)
                    code = failure.code.rawValue
                } catch {
                    capture.add(Capelet.fullMessage(for: error), isError: true)
                    code = Capelet.exitCode(for: error).rawValue
                }
            }
            continuation.resume(returning: CommandResult(code: code, text: capture.text, errors: capture.errorText))
        }
    }
}
