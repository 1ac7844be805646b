import Foundation
import Glibc

/// Sends NDJSON from a descriptor to the host and takes the answers while it goes on sending.
///
/// Lines that have no answer yet are kept. When the host ends a request early (full backlog, shutdown), no line without an answer was
/// accepted: after the time that the host asks for, they are sent again. When a connection breaks off, that is not known, and the sender
/// gives up.
struct LineSender {
    /// What has become of the lines.
    struct Tally: Equatable {
        var sent = 0
        var accepted = 0
        var duplicates = 0
        var refused = 0
        var waits = 0
    }

    let socketPath: String
    let domain: String
    let input: Int32
    /// Whether to wait and go on when the host is full.
    let waits: Bool
    /// Gets every answer as it came, in order.
    let onAnswer: (String) -> Void
    /// Called between steps.
    let onProgress: (Tally, String?) -> Void

    /// Most bytes of lines that wait for their answers.
    private static let unansweredBytesMax = 64 << 20
    private static let outBytesMax = 1 << 20
    /// Longest line; the host's own limit is lower.
    private static let lineBytesMax = 64 << 20
    /// How long a request stays open when there is nothing to send.
    private static let idleMillis: Int32 = 5_000
    private static let acceptedStart = Array("{\"offset\":".utf8)
    private static let duplicateEnd = Array("true}".utf8)

    private(set) var tally = Tally()
    /// Lines without an answer, each with its newline; the first `answered` of them have got theirs.
    private var pending: [[UInt8]] = []
    private var answered = 0
    private var pendingBytes = 0
    /// Lines of `pending` that were put into the present request.
    private var submitted = 0
    /// Lines that the host refused for now, to be sent again.
    private var again: [[UInt8]] = []
    private var rest: [UInt8] = []
    private var isAtEnd = false

    init(
        socketPath: String, domain: String, input: Int32, waits: Bool, onAnswer: @escaping (String) -> Void,
        onProgress: @escaping (Tally, String?) -> Void
    ) {
        self.socketPath = socketPath
        self.domain = domain
        self.input = input
        self.waits = waits
        self.onAnswer = onAnswer
        self.onProgress = onProgress
    }

    /// Sends everything up to the end of the input.
    mutating func run() throws(CommandFailure) -> Tally {
        while true {
            // No request before there is something to send: the host ends those that are silent for long.
            while !isAtEnd, pending.count == answered { try read() }
            if pending.count == answered { return tally }
            let pause = try request()
            pending.removeFirst(answered)
            pending.insert(contentsOf: again, at: 0)
            again = []
            answered = 0
            if let pause {
                guard waits else { throw CommandFailure(.failed, pause.message) }
                tally.waits += 1
                onProgress(tally, "\(pause.message); going on in \(pause.seconds) s")
                sleep(UInt32(pause.seconds))
            }
        }
    }

    private struct Pause {
        var message: String
        var seconds: Int
    }

    /// One request, until the input or the request has ended. A pause when the host took no more.
    private mutating func request() throws(CommandFailure) -> Pause? {
        let connection = try UnixConnection(path: socketPath)
        _ = fcntl(connection.descriptor, F_SETFL, fcntl(connection.descriptor, F_GETFL) | O_NONBLOCK)
        var out = HostClient.head(
            "POST", "/v1/domains/\(HostClient.escape(domain))/events", [], contentType: "application/x-ndjson", length: nil, isChunked: true
        )
        var outAt = 0
        var parser = ResponseParser()
        var text: [UInt8] = []
        var refusal: HostProblem?
        var isBodyEnded = false
        var isWritable = true
        submitted = answered
        while !parser.isDone {
            if outAt == out.count {
                out.removeAll(keepingCapacity: true)
                outAt = 0
            }
            if refusal == nil { isBodyEnded = fill(&out, isBodyEnded) }
            let wantsInput =
                !isAtEnd && !isBodyEnded && refusal == nil && out.count - outAt < Self.outBytesMax && pendingBytes < Self.unansweredBytesMax
            let hasOutput = outAt < out.count && isWritable
            var polls = [
                pollfd(fd: connection.descriptor, events: Int16(POLLIN) | (hasOutput ? Int16(POLLOUT) : 0), revents: 0),
                pollfd(fd: wantsInput ? input : -1, events: Int16(POLLIN), revents: 0),
            ]
            // A source that pauses ends the request when everything is answered: the host closes requests that are silent for long.
            let isIdle = wantsInput && answered == pending.count && outAt == out.count && parser.status == 200
            let ready = poll(&polls, 2, isIdle ? Self.idleMillis : -1)
            if ready < 0 {
                if errno == EINTR { continue }
                throw CommandFailure(.failed, "poll: \(String(cString: strerror(errno)))")
            }
            if ready == 0 {
                out += Array("0\r\n\r\n".utf8)
                isBodyEnded = true
                continue
            }
            if polls[1].revents != 0 { try read() }
            if hasOutput, polls[0].revents & Int16(POLLOUT) != 0 {
                let count = out.withUnsafeBytes {
                    send(connection.descriptor, $0.baseAddress! + outAt, $0.count - outAt, Int32(MSG_NOSIGNAL))
                }
                if count > 0 { outAt += count } else if errno == EPIPE || errno == ECONNRESET { isWritable = false }
            }
            if polls[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
                try receive(connection, &parser)
                if parser.hasHead, parser.status == 200 {
                    text += parser.takeBody()
                    refusal = try answers(&text) ?? refusal
                }
            }
            onProgress(tally, nil)
        }
        if parser.status == 200 {
            guard let refusal else {
                if answered < submitted { throw brokenOff("the answers ended early") }
                return nil
            }
            return Pause(message: refusal.message, seconds: 5)
        }
        let failure = HostClient.refusal(HostAnswer(status: parser.status, headers: parser.headers, body: parser.takeBody()))
        guard parser.status == 429 || parser.status == 503 else { throw failure }
        return Pause(message: failure.message, seconds: min(60, parser.headers["retry-after"].flatMap { Int($0) } ?? 5))
    }

    /// Puts lines into the request's body; returns whether it has been ended.
    private mutating func fill(_ out: inout [UInt8], _ isEnded: Bool) -> Bool {
        if isEnded { return true }
        if submitted < pending.count, out.count < Self.outBytesMax {
            var chunk: [UInt8] = []
            while submitted < pending.count, chunk.count < 128 << 10 {
                chunk += pending[submitted]
                submitted += 1
            }
            out += Array("\(String(chunk.count, radix: 16))\r\n".utf8)
            out += chunk
            out += [0x0D, 0x0A]
        }
        if isAtEnd, submitted == pending.count {
            out += Array("0\r\n\r\n".utf8)
            return true
        }
        return false
    }

    private func receive(_ connection: UnixConnection, _ parser: inout ResponseParser) throws(CommandFailure) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(connection.descriptor, &buffer, buffer.count, 0)
        if count < 0 {
            if errno == EAGAIN || errno == EINTR { return }
            throw brokenOff(String(cString: strerror(errno)))
        }
        let result: Result<Void, ResponseParser.Failure> = buffer.withUnsafeBytes { bytes in
            do throws(ResponseParser.Failure) {
                if count == 0 { try parser.finish() } else { try parser.add(UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        if case .failure(.malformed(let message)) = result { throw brokenOff(message) }
    }

    private func brokenOff(_ reason: String) -> CommandFailure {
        CommandFailure(
            .noHost,
            """
            the connection to the host broke off (\(reason)): \(Figures.grouped(tally.accepted)) lines are accepted, \
            \(Figures.grouped(pending.count - answered)) have no answer and may be accepted or not
            """)
    }

    private struct Answer: Decodable {
        var offset: UInt64?
        var duplicate: Bool?
        var error: HostProblem?
    }

    /// Takes the answers that are whole; returns the problem that ends the request.
    private mutating func answers(_ text: inout [UInt8]) throws(CommandFailure) -> HostProblem? {
        var refusal: HostProblem?
        var at = 0
        while let end = text[at...].firstIndex(of: 0x0A) {
            let line = text[at..<end]
            at = end + 1
            // Accepted lines are by far the most: they are told apart without decoding.
            var isAgain = false
            if line.starts(with: Self.acceptedStart) {
                if line.suffix(5).elementsEqual(Self.duplicateEnd) { tally.duplicates += 1 } else { tally.accepted += 1 }
            } else {
                guard let problem = try? JSONDecoder().decode(Answer.self, from: Data(line)).error else {
                    throw CommandFailure(.failed, "the host's answer cannot be read: \(String(decoding: line.prefix(200), as: UTF8.self))")
                }
                if problem.status == 429 || problem.status == 503 {
                    refusal = problem
                    isAgain = waits
                }
                if !isAgain { tally.refused += 1 }
            }
            if !isAgain { onAnswer(String(decoding: line, as: UTF8.self)) }
            if answered < pending.count {
                if isAgain { again.append(pending[answered]) } else { pendingBytes -= pending[answered].count }
                pending[answered] = []
                answered += 1
            }
            if answered >= 16_384 {
                pending.removeFirst(answered)
                submitted -= answered
                answered = 0
            }
        }
        text.removeFirst(at)
        return refusal
    }

    /// Reads a piece of the input and cuts it into lines. Blocks when there is nothing.
    private mutating func read() throws(CommandFailure) {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        let count = Glibc.read(input, &buffer, buffer.count)
        if count < 0 {
            if errno == EINTR || errno == EAGAIN { return }
            throw CommandFailure(.failed, "cannot read the input: \(String(cString: strerror(errno)))")
        }
        if count == 0 {
            isAtEnd = true
            if !rest.isEmpty { add(rest + [0x0A]) }
            rest = []
            return
        }
        var at = 0
        while let end = buffer[at..<count].firstIndex(of: 0x0A) {
            add(rest + buffer[at...end])
            rest.removeAll(keepingCapacity: true)
            at = end + 1
        }
        rest += buffer[at..<count]
        if rest.count > Self.lineBytesMax {
            throw CommandFailure(.failed, "line \(tally.sent + 1) is longer than \(Self.lineBytesMax >> 20) MiB")
        }
    }

    /// Empty lines have no answers, so they are not sent.
    private mutating func add(_ line: [UInt8]) {
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }) { return }
        tally.sent += 1
        pendingBytes += line.count
        pending.append(line)
    }
}
