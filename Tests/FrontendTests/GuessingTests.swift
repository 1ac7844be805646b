import Foundation
import Glibc
import Logging
import Routing
import Synchronization
import Testing

@testable import Frontend

/// Comparing tokens, counting guesses, telling who is at the other end: what needs no connection.
@Suite struct GuessingTests {
    // MARK: comparing

    @Test func equalTokensMatchAndNoOthers() {
        let token = Array("0123456789abcdef0123456789abcdef".utf8)
        let digest = TokenDigest(token)
        #expect(digest.matches(TokenDigest(token)))
        #expect(digest.matches(TokenDigest(token[...])), "whatever it is kept in")
        for index in token.indices {
            for bit in 0..<8 {
                var other = token
                other[index] ^= 1 << bit
                #expect(!digest.matches(TokenDigest(other)), "byte \(index), bit \(bit)")
            }
        }
        for length in 0..<token.count { #expect(!digest.matches(TokenDigest(token.prefix(length))), "a beginning of \(length) bytes") }
        #expect(!digest.matches(TokenDigest(token + [0])))
        #expect(!digest.matches(TokenDigest([])))
        #expect(TokenDigest([]).matches(TokenDigest([])))
    }

    /// Every word of the digest counts: a comparison that leaves one out would pass the test above.
    @Test func everyWordOfTheDigestIsCompared() {
        let digest = TokenDigest("token".utf8)
        for word in 0..<4 {
            for bit in [0, 31, 63] {
                let other = digest.flipped(word: word, bit: bit)
                #expect(!digest.matches(other) && !other.matches(digest), "word \(word), bit \(bit)")
            }
        }
    }

    @Test func aHeaderHasOneToken() {
        #expect(AccessGate.token(in: "Bearer abc") == "abc")
        #expect(AccessGate.token(in: "bearer   abc") == "abc")
        for wrong in ["", "Bearer", "Bearer ", "abc", "Basic abc", "Bearer a b", "Bearerabc"] {
            #expect(AccessGate.token(in: wrong) == nil, "\(wrong)")
        }
    }

    // MARK: counting

    @Test func guessesAreBounded() {
        var limit = GuessLimit()
        var now: Int64 = 1_000
        func guess(_ token: UInt64, from place: String = "10.0.0.1") -> GuessLimit.Answer {
            let answer = limit.ask(place, token: token, nowMillis: now)
            if answer == .look { _ = limit.failed(place, token: token, nowMillis: now) }
            return answer
        }
        for token in 0..<UInt64(GuessLimit.burst) { #expect(guess(token) == .look) }
        #expect(guess(100) == .wait(1_000))
        #expect(guess(100, from: "10.0.0.2") == .look, "others are not held up")
        now += 999
        #expect(guess(100) == .wait(1))
        now += 1
        #expect(guess(100) == .look)
        #expect(guess(101) == .wait(1_000), "one more, and no more")
        // In an hour: a burst and one a second, whatever is tried.
        var looked = 0
        for step in 0..<36_000 {
            now += 100
            if guess(UInt64(1_000 + step)) == .look { looked += 1 }
        }
        #expect(looked <= 3_600 + GuessLimit.burst)
        now += 100_000
        for token in 0..<UInt64(GuessLimit.burst) { #expect(guess(50_000 + token) == .look, "after a rest all are there again") }
    }

    @Test func theSameWrongTokenIsNoNewGuess() {
        var limit = GuessLimit()
        for _ in 0..<1_000 {
            if limit.ask("a", token: 7, nowMillis: 0) == .look { _ = limit.failed("a", token: 7, nowMillis: 0) }
        }
        #expect(limit.ask("a", token: 7, nowMillis: 0) == .wrong)
        #expect(limit.ask("a", token: 8, nowMillis: 0) == .look, "one old token shuts nobody out")
        limit.forgetTokens()
        #expect(limit.ask("a", token: 7, nowMillis: 0) == .look, "it may be right now")
    }

    @Test func manyPlacesTakeBoundedMemory() {
        var limit = GuessLimit()
        for place in 0..<20_000 { _ = limit.failed("place \(place)", token: UInt64(place), nowMillis: 0) }
        #expect(limit.placeCount <= GuessLimit.placesMax + 1)
        #expect(limit.ask("place 19999 and none before", token: 1, nowMillis: 0) != .look, "those beyond share one account")
        #expect(limit.ask("place 1", token: 99, nowMillis: 0) == .look)
        // Later their place is free again.
        _ = limit.failed("new", token: 5, nowMillis: 100_000)
        #expect(limit.placeCount < 10)
    }

    @Test func wrongTokensAreToldOfNowAndThen() {
        var limit = GuessLimit()
        #expect(limit.failed("a", token: 1, nowMillis: 0) == 1)
        for token in 2..<UInt64(20) { #expect(limit.failed("a", token: token, nowMillis: 59_999) == nil) }
        #expect(limit.failed("a", token: 99, nowMillis: 60_000) == 19)
    }

    @Test func addressesOfOneOwnerAreOnePlace() {
        #expect(AccessGate.place(of: "10.1.2.3") == "10.1.2.3")
        #expect(AccessGate.place(of: "::ffff:10.1.2.3") == "10.1.2.3")
        #expect(AccessGate.place(of: "2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64")
        #expect(AccessGate.place(of: "2001:db8:1:2::9") == AccessGate.place(of: "2001:db8:1:2:ffff::1"))
        #expect(AccessGate.place(of: "2001:db8:1:3::9") != AccessGate.place(of: "2001:db8:1:2::9"))
        #expect(AccessGate.place(of: nil) == "unknown")
    }

    /// Also the right one is not looked at: otherwise its answer would differ from the others'.
    @Test func beyondTheLimitEvenTheRightTokenWaits() throws {
        let folder = NSTemporaryDirectory() + "capelet-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let book = try TokenFiles(folder).book(admin: "the-right-token-0001")
        let now = Mutex<Int64>(0)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let gate = AccessGate(book, logger: logger, nowMillis: { now.withLock { $0 } })
        func answer(_ token: String, from place: String = "a") -> String {
            do throws(Problem) {
                return try gate.grant(["Bearer \(token)"], from: place).isAdmin ? "right" : "another"
            } catch {
                return error.name
            }
        }
        #expect(answer("the-right-token-0001") == "right")
        for guess in 0..<GuessLimit.burst { #expect(answer("the-wrong-token-\(1000 + guess)") == "unauthorized") }
        #expect(answer("the-wrong-token-2000") == "too-many-guesses")
        #expect(answer("the-right-token-0001") == "too-many-guesses")
        #expect(answer("the-right-token-0001", from: "b") == "right")
        now.withLock { $0 += GuessLimit.refillMillis }
        #expect(answer("the-right-token-0001") == "right")
        #expect(answer(String(repeating: "x", count: 30_000), from: "b") == "unauthorized")
    }

    // MARK: who is at the other end of the Unix socket

    @Test func workersAndStrangersMayNotSteer() {
        // 10 is the host, 20 its keeper, 30 a worker, 31 what the worker has started; 40 is a shell, 41 a command.
        let parents: [pid_t: pid_t] = [10: 1, 20: 10, 30: 20, 31: 30, 40: 1, 41: 40]
        func refusal(_ uid: uid_t, _ pid: pid_t, owner: uid_t = 1000) -> String? {
            PeerCheck.refusal(uid: uid, pid: pid, owner: owner, host: 10, parent: { parents[$0] })
        }
        #expect(refusal(1000, 41) == nil)
        #expect(refusal(1000, 10) == nil, "the host itself")
        #expect(refusal(1000, 0) == nil, "of another pid namespace")
        #expect(refusal(0, 41) == nil, "root owns everything anyway")
        for pid in [20, 30, 31] as [pid_t] { #expect(refusal(1000, pid)?.contains("worker of this host") == true, "\(pid)") }
        #expect(refusal(0, 30, owner: 0)?.contains("worker of this host") == true, "also where the host is root")
        #expect(refusal(1001, 41) == "the Unix socket is for user 1000 and root, not for user 1001")
        #expect(refusal(1000, 99) == "process 99 cannot be looked at", "who has gone already is not believed")
        let loop = PeerCheck.refusal(uid: 5, pid: 50, owner: 5, host: 10, parent: { $0 == 50 ? 51 : 50 })
        #expect(loop == "process 50 has too many ancestors")
    }

    @Test func parentsAreRead() {
        #expect(PeerCheck.parent(of: getpid()) == getppid())
        #expect(PeerCheck.parent(of: 1) == 0)
        #expect(PeerCheck.parent(of: -1) == nil)
    }

    // MARK: the socket's place

    /// With the most permissive mask, since that is what the modes must not depend on.
    @Test func theSocketIsNeverOpenToOthers() throws {
        let folder = NSTemporaryDirectory() + "capelet-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func mode(_ path: String) -> Int? {
            (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int
        }
        let place = try SocketPlace(folder + "/capelet.sock")
        let mask = umask(0)
        defer { umask(mask) }
        try place.prepare()
        #expect(mode(folder + "/.sock") == 0o700, "nobody else can come to where it is bound")
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: place.bindPath.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        #expect(result == 0)
        #expect(mode(folder + "/capelet.sock") == nil)
        try place.publish()
        #expect(mode(folder + "/capelet.sock") == 0o600)
        #expect(mode(folder + "/.sock") == nil)
    }
}

/// Files of tokens for tests, with the mode that they have to have.
struct TokenFiles {
    let folder: String

    init(_ folder: String) { self.folder = folder }

    func write(_ name: String, _ tokens: [String]) throws -> String {
        let path = folder + "/" + name
        try Data(tokens.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: path))
        guard chmod(path, 0o600) == 0 else { throw CocoaError(.fileWriteUnknown) }
        return path
    }

    /// What is in force with these tokens.
    func book(admin: String? = nil, producers: String? = nil, domains: [String: String] = [:]) throws -> TokenBook {
        var table = RouteTable(plugins: "/p", data: "/d", domains: [:], lambdas: [:])
        if let admin { table.tokens.admin = try write("admin", [admin]) }
        if let producers { table.tokens.producers = try write("producers", [producers]) }
        for (name, token) in domains {
            table.domains[name] = DomainRoute(name: name, lambdas: [])
            table.domains[name]?.tokens = try write("domain-\(name)", [token])
        }
        return try TokenBook(table)
    }
}
