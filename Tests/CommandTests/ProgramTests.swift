import Foundation
import Testing

/// The program itself, as a shell runs it.
@Suite struct ProgramTests {
    /// Beside the test's own executable.
    private static let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appendingPathComponent("capelet")

    private func shell(_ command: String) async throws -> (code: Int32, output: String, errors: String) {
        let program = Self.path.path
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                do {
                    let process = Process()
                    process.executableURL = URL(fileURLWithPath: "/bin/bash")
                    process.arguments = ["-c", "set -o pipefail; " + command.replacing("capelet ", with: program + " ")]
                    let (output, errors) = (Pipe(), Pipe())
                    process.standardOutput = output
                    process.standardError = errors
                    try process.run()
                    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                    let errorText = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                    process.waitUntilExit()
                    continuation.resume(returning: (process.terminationStatus, text, errorText))
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    @Test func exitCodesMeanSomething() async throws {
        let version = try await shell("capelet --version")
        #expect(version.code == 0)
        #expect(version.output == "0.1.0\n")
        let unreachable = try await shell("capelet status --data /nowhere")
        #expect(unreachable.code == 2)
        #expect(unreachable.errors.hasPrefix("capelet: no host is running here"))
        #expect(try await shell("capelet nonsense").code == 64)
        #expect(try await shell("capelet check --config /nowhere.yaml").code == 78)
        #expect(try await shell("CAPELET_CONFIG=/nowhere.yaml capelet status").code == 78)
    }

    @Test func aReaderThatGoesAwayEndsItQuietly() async throws {
        let result = try await shell("capelet check --defaults | head -1")
        #expect(result.code == 0)
        #expect(result.errors.isEmpty)
    }

    @Test func completionsAreThere() async throws {
        #expect(try await shell("capelet --generate-completion-script bash").output.contains("redrive"))
    }
}
