internal import CLinux
internal import Glibc
internal import WorkerProtocol

/// What a plugin says it contains, asked in a child that is thrown away, since asking runs the plugin's code. Blocking.
struct PluginDescription {
    var version = ""
    var lambdas: [PluginLambda] = []
    var threads = 1
    /// Of a library that is no plugin: the file that was loaded.
    var path = ""
    /// Functions that such a library has.
    var functions: Set<String> = []
    /// Those that it has not, and why, in the loader's words.
    var missing: [String: String] = [:]

    static let outputBytesMax = 1 << 20
    static let errorBytesMax = 8 << 10

    /// Why a plugin could not be described.
    struct Failure: Error {
        var reason: String
        init(_ reason: String) { self.reason = reason }
    }

    /// Runs `capelet-worker describe`.
    ///
    /// - Parameter sandbox: what it runs in, since it runs the plugin's load-time constructors.
    init(
        executable: String, directory: String, library: String, timeoutMillis: Int64, sandbox: LambdaSandbox = LambdaSandbox()
    ) throws(Failure) {
        try self.init(executable: executable, arguments: ["describe", directory, library], timeoutMillis: timeoutMillis, sandbox: sandbox)
    }

    /// Runs `capelet-worker library`: looks for functions in a library, in a folder or (`directory` nil) by a name that the loader finds.
    init(
        executable: String, directory: String?, library: String, functions: Set<String>, timeoutMillis: Int64,
        sandbox: LambdaSandbox = LambdaSandbox()
    ) throws(Failure) {
        try self.init(
            executable: executable, arguments: ["library", directory ?? "-", library] + functions.sorted(), timeoutMillis: timeoutMillis,
            sandbox: sandbox)
    }

    private init(executable: String, arguments: [String], timeoutMillis: Int64, sandbox: LambdaSandbox) throws(Failure) {
        var settings = SettingsBuffer()
        sandbox.addSettings(to: &settings, programs: .shared)
        let settingsFile: Int32
        do throws(SystemCallError) {
            settingsFile = try settings.makeDescriptor()
        } catch {
            throw Failure("it could not be asked what it contains: \(error)")
        }
        defer { capelet_linux_close(settingsFile) }
        var input: [Int32] = [-1, -1]
        var output: [Int32] = [-1, -1]
        var error: [Int32] = [-1, -1]
        defer {
            for descriptor in input + output + error where descriptor >= 0 { capelet_linux_close(descriptor) }
        }
        // The child ends when the other end of its standard input is closed, as it is when the host dies.
        guard capelet_linux_pipe(&input) == 0, capelet_linux_pipe(&output) == 0, capelet_linux_pipe(&error) == 0 else {
            throw Failure("it could not be asked what it contains: pipe: \(SystemCallError.text(errno))")
        }
        var pid: pid_t = 0
        var pidfd: Int32 = -1
        let code = ChildProcess.spawn(
            executable, arguments: ["capelet-worker"] + arguments, environment: WorkerEnvironment.base(),
            descriptors: [input[0], output[1], error[1], settingsFile], pid: &pid, pidfd: &pidfd)
        guard code == 0 else { throw Failure("it could not be asked what it contains: \(executable): \(SystemCallError.text(code))") }
        defer { capelet_linux_close(pidfd) }
        for target in [(0, input), (1, output), (1, error)] { capelet_linux_close(target.1[target.0]) }
        input[0] = -1
        output[1] = -1
        error[1] = -1

        let deadline = Poller.nowMillis + timeoutMillis
        var text: [UInt8] = []
        var complaint: [UInt8] = []
        var isTooLong = false
        var isTimedOut = false
        var status: Int32 = 0
        var (user, system, peak): (UInt64, UInt64, UInt64) = (0, 0, 0)
        while true {
            var waits = [
                pollfd(fd: output[0], events: Int16(POLLIN), revents: 0), pollfd(fd: error[0], events: Int16(POLLIN), revents: 0),
                pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0),
            ]
            let left = deadline - Poller.nowMillis
            if left <= 0 { isTimedOut = true }
            _ = poll(&waits, 3, Int32(clamping: max(0, left)))
            if !Self.read(&output[0], into: &text, atMost: Self.outputBytesMax) { isTooLong = true }
            _ = Self.read(&error[0], into: &complaint, atMost: Self.errorBytesMax)
            // A process of the plugin's that outlives it may hold the pipes: its own end is what counts.
            if capelet_linux_is_readable(pidfd) != 0 { break }
            if isTimedOut || isTooLong { break }
        }
        // With whatever it has started, as far as that stayed in its session's process group.
        Glibc.kill(-pid, SIGKILL)
        _ = capelet_linux_pidfd_signal(pidfd, SIGKILL)
        while true {
            let result = capelet_linux_pidfd_reap(pidfd, &status, &user, &system, &peak)
            if result != 0 { break }
            var wait = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            _ = poll(&wait, 1, 1000)
        }
        _ = Self.read(&output[0], into: &text, atMost: Self.outputBytesMax)
        _ = Self.read(&error[0], into: &complaint, atMost: Self.errorBytesMax)

        var tail = LogTail()
        complaint.withUnsafeBytes { tail.add($0) }
        let said = tail.text.split(separator: "\n").last.map { "; last said: \($0)" } ?? ""
        if isTimedOut { throw Failure("it was not loaded within \(timeoutMillis) ms\(said)") }
        if isTooLong { throw Failure("its description has more than \(Self.outputBytesMax >> 20) MiB") }
        do {
            try parse(String(decoding: text, as: UTF8.self))
        } catch {
            if !error.reason.isEmpty { throw error }
            throw Failure("the process that loaded it \(Supervisor.words(forStatus: status))\(said)")
        }
    }

    /// Takes over what is there. Returns false when it is more than it may be; sets the descriptor to -1 at the end.
    private static func read(_ descriptor: inout Int32, into bytes: inout [UInt8], atMost limit: Int) -> Bool {
        guard descriptor >= 0 else { return true }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        for _ in 0..<64 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 {
                bytes.append(contentsOf: buffer[..<min(count, limit - bytes.count)])
                if bytes.count == limit { return false }
                continue
            }
            if count == 0 {
                capelet_linux_close(descriptor)
                descriptor = -1
            }
            break
        }
        return true
    }

    /// From the output of a description, for tests.
    init(parsing text: String) throws(Failure) { try parse(text) }

    /// Throws with an empty reason when the text just ends too early.
    private mutating func parse(_ text: String) throws(Failure) {
        for bytes in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            // A plugin may have written this itself. It is shown on terminals.
            let line = LogLines.printable(Array(bytes))
            let word = line.prefix { $0 != " " }
            let rest = line.dropFirst(word.count + 1)
            switch word {
            case "error": throw Failure(rest.isEmpty ? "it could not be loaded" : String(rest))
            case "plugin": version = String(rest.drop { $0 != " " }.dropFirst())
            case "lambda":
                let parts = rest.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
                guard !parts[0].isEmpty else { throw Failure("it exports a lambda without a name") }
                guard !lambdas.contains(where: { $0.name == parts[0] }) else { throw Failure("it exports two lambdas named \(parts[0])") }
                lambdas.append(
                    PluginLambda(
                        name: parts[0], summary: parts.count > 1 ? parts[1] : "",
                        handlers: parts.count > 2 ? parts[2].split(separator: ",").map(String.init) : []))
            case "library": path = String(rest)
            case "function": functions.insert(String(rest))
            case "missing":
                let parts = rest.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
                missing[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
            case "threads":
                guard let count = Int(rest), count > 0 else { throw Failure("its description has the thread count \(rest)") }
                threads = count
            case "end":
                guard !lambdas.isEmpty || path.hasPrefix("/") else { throw Failure("it exports no lambda") }
                return
            default: throw Failure("its description has the line: \(line.prefix(200))")
            }
        }
        throw Failure("")
    }
}
