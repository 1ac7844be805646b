import Foundation
import Glibc
import Synchronization

/// A program that a test has started. Its outputs go to files, so that no pipe can fill up. Any thread.
final class ChildProcess: Sendable {
    /// How a process ended.
    enum End: Equatable, Sendable {
        case exit(Int32)
        case signal(Int32)
    }

    let pid: pid_t
    private let end = Mutex<End?>(nil)

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - input: file for standard input.
    ///   - output: file that standard output is appended to.
    ///   - errors: file that standard error is appended to.
    init(
        _ program: String, _ arguments: [String], folder: String? = nil, environment: [String: String] = [:], input: String = "/dev/null",
        output: String, errors: String
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGUSR1] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CAPELET_") && $0.key != "NOTIFY_SOCKET" }
        variables.merge(environment) { $1 }
        // The shell changes the folder and becomes the program: the pid stays.
        let shell = folder.map { ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", $0] } ?? []
        let words = shell + [program] + arguments
        let argv = words.map { strdup($0) } + [nil]
        let envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawnp(&pid, words[0], &actions, &attributes, argv, envp)
        guard code == 0 else { throw TestTrouble("cannot start \(program): \(String(cString: strerror(code)))") }
        self.pid = pid
    }

    deinit {
        if poll() == nil {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    /// How it ended; nil while it runs.
    func poll() -> End? {
        end.withLock { end in
            if end != nil { return end }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
            end = status & 0x7f == 0 ? .exit(status >> 8 & 0xff) : .signal(status & 0x7f)
            return end
        }
    }

    /// Sends a signal, if it still runs.
    func send(_ signal: Int32) {
        end.withLock { end in if end == nil { kill(pid, signal) } }
    }

    /// Waits for its end. After `limit` it is killed, and the test fails.
    @discardableResult
    func wait(within limit: Duration = patience) async throws -> End {
        let deadline = ContinuousClock.now + limit
        while true {
            if let end = poll() { return end }
            if ContinuousClock.now > deadline {
                send(SIGKILL)
                throw TestTrouble("process \(pid) has not ended within \(limit)")
            }
            await pause(.milliseconds(3))
        }
    }
}

/// What a program that has run to its end has said.
struct CommandAnswer: Sendable {
    var end: ChildProcess.End
    var output: String
    var errors: String

    /// The exit code; -1 after a signal.
    var code: Int32 { if case .exit(let code) = end { code } else { -1 } }
    var lines: [String] { output.split(separator: "\n").map(String.init) }

    func json<Value: Decodable>(_ type: Value.Type) throws -> Value { try JSONDecoder().decode(type, from: Data(output.utf8)) }
}

/// Runs a program to its end.
func run(
    _ program: String, _ arguments: [String], folder: String? = nil, environment: [String: String] = [:], input: String = "",
    within limit: Duration = patience
) async throws -> CommandAnswer {
    let scratch = try TestFolder()
    try scratch.write("in", input)
    let child = try ChildProcess(
        program, arguments, folder: folder, environment: environment, input: scratch.file("in"), output: scratch.file("out"),
        errors: scratch.file("err"))
    let end = try await child.wait(within: limit)
    return CommandAnswer(end: end, output: scratch.read("out"), errors: scratch.read("err"))
}
