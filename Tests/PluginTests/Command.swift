import Foundation

/// A program that is run to its end.
enum Command {
    struct Answer {
        var code: Int32
        var signal: Int32?
        var output: String
        var error: String
        var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: true) }
        /// Of the driver: the status of each event, in order.
        var statuses: [Int32] { lines.compactMap { Int32($0.prefix { $0 != " " }) } }
    }

    /// Runs a program with `input` on its standard input. Outputs go through files, so that no pipe can fill up.
    static func run(_ program: String, _ arguments: [String], input: String = "") throws -> Answer {
        let scratch = try ScratchFolder()
        for (name, text) in [("in", input), ("out", ""), ("err", "")] {
            try Data(text.utf8).write(to: scratch.url(name))
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = try FileHandle(forReadingFrom: scratch.url("in"))
        process.standardOutput = try FileHandle(forWritingTo: scratch.url("out"))
        process.standardError = try FileHandle(forWritingTo: scratch.url("err"))
        try process.run()
        process.waitUntilExit()
        let bySignal = process.terminationReason == .uncaughtSignal
        return Answer(
            code: bySignal ? -1 : process.terminationStatus, signal: bySignal ? process.terminationStatus : nil,
            output: String(decoding: try Data(contentsOf: scratch.url("out")), as: UTF8.self),
            error: String(decoding: try Data(contentsOf: scratch.url("err")), as: UTF8.self))
    }

    /// `capelet-audit` with these arguments.
    static func audit(_ arguments: String...) throws -> Answer {
        try run(PluginBuild.path("capelet-audit"), arguments)
    }

    /// The driver with audit-log: see C/driver.c.
    static func driver(state: ScratchFolder, _ commands: [String]) throws -> Answer {
        try run(
            PluginBuild.path("driver"), [PluginBuild.path("audit-log.so"), state.path, "lock-wait=2s"],
            input: commands.joined(separator: "\n") + "\n")
    }
}

/// A folder of its own, removed with the object.
final class ScratchFolder: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "/capelet-test-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func url(_ name: String) -> URL { URL(fileURLWithPath: path + "/" + name) }
}
