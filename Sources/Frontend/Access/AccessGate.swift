import Glibc
import HTTPTypes
import Logging
import Synchronization

/// Looks at the tokens of requests: which are in force, and how often wrong ones were brought. Any thread.
final class AccessGate: Sendable {
    private struct Contents {
        var book: TokenBook
        var limit = GuessLimit()
    }

    /// Longest token that is looked at, bytes. A file has none that are longer.
    private static let tokenBytesMax = 1_024

    private let contents: Mutex<Contents>
    private let logger: Logger
    private let nowMillis: @Sendable () -> Int64

    init(_ book: TokenBook, logger: Logger, nowMillis: @escaping @Sendable () -> Int64 = AccessGate.clock) {
        contents = Mutex(Contents(book: book))
        self.logger = logger
        self.nowMillis = nowMillis
    }

    private static let start = ContinuousClock.now

    /// Milliseconds of a clock that only goes on.
    static let clock: @Sendable () -> Int64 = { Int64((ContinuousClock.now - start) / .milliseconds(1)) }

    /// These tokens hold for every request that begins from now on, also on connections that are open.
    func replace(_ book: TokenBook) {
        contents.withLock {
            $0.book = book
            $0.limit.forgetTokens()
        }
    }

    /// Whether tokens are asked for at all.
    var isOpen: Bool { contents.withLock { $0.book.isEmpty } }

    /// Whether there are tokens of the administration.
    var hasAdmin: Bool { contents.withLock { $0.book.hasAdmin } }

    /// What the token in a request's `Authorization` headers is good for.
    ///
    /// Throws 401 without a token or with a wrong one, 429 when too many wrong ones came from the same place.
    ///
    /// - Parameter place: where the request comes from; see `place(of:)`.
    func grant(_ authorization: [String], from place: String) throws(Problem) -> TokenBook.Grant {
        guard let header = authorization.first else {
            throw .unauthorized("this listener asks for a token: send the header `Authorization: Bearer TOKEN`", isWrong: false)
        }
        guard authorization.count == 1, let token = Self.token(in: header) else {
            throw .unauthorized("the Authorization header has to be `Bearer TOKEN`, once", isWrong: false)
        }
        let digest = TokenDigest(token.utf8.prefix(Self.tokenBytesMax + 1))
        let now = nowMillis()
        let (answer, grant, told) = contents.withLock { contents -> (GuessLimit.Answer, TokenBook.Grant?, Int?) in
            let answer = contents.limit.ask(place, token: digest.short, nowMillis: now)
            guard answer == .look else { return (answer, nil, nil) }
            if let grant = contents.book.grant(for: digest) { return (.look, grant, nil) }
            return (.wrong, nil, contents.limit.failed(place, token: digest.short, nowMillis: now))
        }
        if let told { logger.warning("wrong token", metadata: ["from": "\(place)", "times": "\(told)"]) }
        switch answer {
        case .look:
            if let grant { return grant }
            throw .unauthorized("the token is not known", isWrong: true)
        case .wrong: throw .unauthorized("the token is not known", isWrong: true)
        case .wait(let millis):
            var problem = Problem(
                .tooManyRequests, "too-many-guesses", "Too many guesses",
                "too many different wrong tokens came from this address: none is looked at for a moment")
            problem.retryAfterSeconds = Int((millis + 999) / 1_000)
            throw problem
        }
    }

    /// The token of `Bearer TOKEN`; nil when that is not what it is.
    static func token(in header: String) -> Substring? {
        guard let space = header.firstIndex(of: " "), header[..<space].lowercased() == "bearer" else { return nil }
        let token = header[space...].drop { $0 == " " }
        return token.isEmpty || token.contains(" ") ? nil : token
    }

    /// The place that an address counts for: the address itself, or of IPv6 its first 64 bits, since whoever has one of these has all.
    static func place(of address: String?) -> String {
        guard let address else { return "unknown" }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
        // IPv4 on a socket of IPv6.
        if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
            return bytes[12...].map(String.init).joined(separator: ".")
        }
        for index in 8..<16 { bytes[index] = 0 }
        var text = [CChar](repeating: 0, count: 64)
        guard inet_ntop(AF_INET6, bytes, &text, 64) != nil else { return address }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/64"
    }
}
