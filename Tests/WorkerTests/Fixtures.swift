import Foundation
import Glibc
import Testing

/// The files that the tests use: the executable under test and the compiled plugins.
enum Fixtures {
    /// `capelet-worker`, which the build puts beside the test binary.
    static let worker: String = {
        let me = try! FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        // The test binary itself, not the tool that may have loaded it.
        var folder = URL(fileURLWithPath: me).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent("capelet-worker").path
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
            folder.deleteLastPathComponent()
        }
        fatalError("capelet-worker is not beside \(me); it is a product of this package, so `swift build` makes it")
    }()

    /// The folder with the compiled plugins: made on first use, removed at the end of the process.
    static let plugins: String = {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent().deletingLastPathComponent()
        let output = NSTemporaryDirectory() + "/capelet-worker-tests-\(getpid())"
        let build = Process()
        build.executableURL = URL(fileURLWithPath: "/bin/sh")
        build.arguments = [root.appendingPathComponent("Fixtures/build.sh").path, output]
        try! build.run()
        build.waitUntilExit()
        precondition(build.terminationStatus == 0, "the fixtures could not be compiled; see above")
        atexit { try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "/capelet-worker-tests-\(getpid())") }
        return output
    }()

    /// Runs the executable to its end.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: worker)
        process.arguments = arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text, words)
    }
}

/// What the lambdas `gate` and `held` wait at: a named pipe in a folder of its own.
final class Gate {
    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "/capelet-gate-\(getpid())-\(UInt32.random(in: 0...(.max)))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        guard mkfifo(folder + "/gate", 0o600) == 0 else { throw TestTrouble("mkfifo") }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Lets one waiter through.
    func open() throws {
        var descriptor: Int32 = -1
        // Refused while nobody waits.
        guard
            eventually({
                descriptor = Glibc.open(folder + "/gate", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                return descriptor >= 0
            })
        else { throw TestTrouble("nobody waits at the gate") }
        defer { close(descriptor) }
        guard write(descriptor, "x", 1) == 1 else { throw TestTrouble("the gate") }
    }
}
