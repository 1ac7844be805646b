import CLinux
import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// The host's end of one keeper.
final class TestKeeper {
    let socket: Int32
    let pid: pid_t
    let pidfd: Int32
    private var unread: [Message] = []
    private var nextWorker: UInt64 = 1
    private var reaped = false

    struct Message {
        var type: Int
        var id: UInt64
        var value: UInt64
        var body: [UInt8]
        var descriptors: [Int32]
        var text: String { String(decoding: body, as: UTF8.self) }
        var death: capelet_keeper_death {
            body.withUnsafeBytes {
                $0.count == MemoryLayout<capelet_keeper_death>.size ? $0.loadUnaligned(as: capelet_keeper_death.self) : .init()
            }
        }
    }

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw TestTrouble("socketpair")
        }
        socket = ends[0]
        var (pid, pidfd): (pid_t, Int32) = (0, 0)
        let arguments: [UnsafeMutablePointer<CChar>?] = [strdup(Fixtures.worker), strdup("keeper"), nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("HOST_SECRET=1"), nil]
        let error = capelet_linux_spawn(Fixtures.worker, arguments, &environment, nil, [-1, -1, 2, ends[1]], &pid, &pidfd)
        for string in arguments + environment { free(string) }
        close(ends[1])
        guard error == 0 else { throw TestTrouble("spawn: errno \(error)") }
        self.pid = pid
        self.pidfd = pidfd
    }

    /// A keeper that has loaded a plugin.
    static func loaded(_ library: String = "worker.so", _ settings: [String: String] = [:]) throws -> TestKeeper {
        let keeper = try TestKeeper()
        try keeper.load(library, settings)
        let answer = try keeper.next()
        guard answer.type == CAPELET_KEEPER_LOADED else { throw TestTrouble("not loaded: \(answer.text)") }
        return keeper
    }

    deinit { end() }

    /// Lets go of the keeper and waits until it is gone.
    func end() {
        if reaped { return }
        reaped = true
        shutdown(socket, Int32(SHUT_RDWR))
        close(socket)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        close(pidfd)
    }

    /// The pid of the one child of the keeper that no worker is: the template.
    var template: pid_t? { children(of: pid).first }

    // MARK: messages

    func send(_ type: Int, id: UInt64 = 0, value: UInt64 = 0, descriptors: [Int32] = []) throws {
        let header = capelet_keeper_message(type: UInt32(type), reserved: 0, id: id, value: value)
        let error = withUnsafeBytes(of: header) {
            capelet_linux_send_message(socket, $0.baseAddress, $0.count, descriptors, Int32(descriptors.count), 0)
        }
        guard error == 0 else { throw TestTrouble("sending to the keeper: errno \(error)") }
    }

    func load(_ library: String, _ settings: [String: String] = [:]) throws {
        var all = settings
        all["library"] = library
        all["plugin"] = "fixture"
        all["generation"] = "1"
        let directory = open(Fixtures.plugins, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let memory = try settingsMemory(all)
        try send(CAPELET_HOST_LOAD, descriptors: [memory, directory])
        close(memory)
        close(directory)
    }

    private func receive(within seconds: TimeInterval) throws -> Message? {
        var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, Int32(seconds * 1000)) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(CAPELET_KEEPER_MESSAGE_MAX))
        var descriptors = [Int32](repeating: -1, count: 4)
        var count: Int32 = 0
        let size = capelet_linux_receive_message(socket, &bytes, bytes.count, &descriptors, 4, &count, 0)
        guard size >= 24 else { throw TestTrouble("the keeper has closed its end") }
        let header = bytes.withUnsafeBytes { $0.loadUnaligned(as: capelet_keeper_message.self) }
        return Message(
            type: Int(header.type), id: header.id, value: header.value, body: Array(bytes[24..<size]),
            descriptors: Array(descriptors.prefix(Int(count))))
    }

    /// The next message, of whatever kind; or the next that `matches`, leaving the others for later.
    func next(within seconds: TimeInterval = patience, where matches: (Message) -> Bool = { _ in true }) throws -> Message {
        if let index = unread.firstIndex(where: matches) { return unread.remove(at: index) }
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            guard let message = try receive(within: max(0, deadline.timeIntervalSinceNow)) else {
                throw TestTrouble("the keeper says nothing")
            }
            if matches(message) { return message }
            unread.append(message)
        }
    }

    /// Whether nothing has come in that was not asked for.
    func isQuiet() throws -> Bool {
        while let message = try receive(within: 0) { unread.append(message) }
        return unread.isEmpty
    }

    // MARK: workers

    /// Asks for a worker of a lambda; does not wait for it. `lists`: settings whose keys may come more than once.
    func ask(_ lambda: String, _ settings: [String: String] = [:], lists: [(String, String)] = []) throws -> TestWorker {
        let worker = try TestWorker(keeper: self, id: nextWorker)
        nextWorker += 1
        var all = ["lambda.entry": lambda, "lambda": "routed-\(lambda)", "state": "/nowhere", "domain.7": "orders", "domain.8": "files"]
        all.merge(settings) { $1 }
        let memory = try settingsMemory(all, lists: lists)
        try send(CAPELET_HOST_SPAWN, id: worker.id, descriptors: [memory] + worker.given)
        close(memory)
        worker.closeGiven()
        return worker
    }

    /// A worker that is ready.
    func spawn(_ lambda: String, _ settings: [String: String] = [:]) throws -> TestWorker {
        let worker = try ask(lambda, settings)
        try worker.awaitStarted()
        let frame = try worker.next()
        guard frame.type == CAPELET_FRAME_READY else { throw TestTrouble("not ready but \(frame)") }
        return worker
    }

    private func settingsMemory(_ settings: [String: String], lists: [(String, String)] = []) throws -> Int32 {
        var bytes: [UInt8] = []
        for (key, value) in settings.sorted(by: { $0.key < $1.key }) + lists {
            for size in [UInt32(key.utf8.count), UInt32(value.utf8.count)] { withUnsafeBytes(of: size) { bytes.append(contentsOf: $0) } }
            bytes.append(contentsOf: key.utf8)
            bytes.append(contentsOf: value.utf8)
        }
        let descriptor = capelet_linux_memfd("settings", 0)
        guard descriptor >= 0, capelet_linux_write_all(descriptor, bytes, bytes.count, 0) == 0 else { throw TestTrouble("settings") }
        return descriptor
    }
}

/// The children of a process, by /proc.
func children(of pid: pid_t) -> [pid_t] {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { pid_t($0) }
}

/// Whether a process is there and not a zombie.
func lives(_ pid: pid_t) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = text.lastIndex(of: ")") else {
        return false
    }
    return !["Z", "X"].contains(text[text.index(end, offsetBy: 2)...].prefix(1))
}
