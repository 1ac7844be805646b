import Foundation
import Glibc
import Testing

@testable import Routing

@Suite("Access")
struct AccessTests {
    private let folder: TemporaryFolder
    private let tokenText = "0123456789abcdef0123456789abcdef"

    init() throws { folder = try TemporaryFolder() }

    @discardableResult
    private func file(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let path = try folder.write(name, text.utf8)
        guard chmod(path, mode) == 0 else { throw CocoaError(.fileWriteUnknown) }
        return path
    }

    private func load(_ text: String) throws -> RouteTable {
        try RoutingFile.load(path: try folder.write("capelet.yaml", text.utf8))
    }

    private func problems(_ text: String) throws -> [String] {
        let path = try folder.write("capelet.yaml", text.utf8)
        do throws(RoutingError) {
            _ = try RoutingFile.load(path: path)
            return []
        } catch {
            return error.problems.map { String($0.description.dropFirst(path.utf8.count)) }
        }
    }

    private let least = "domains: { d: { lambdas: [l] } }\n"

    // MARK: listening

    @Test("With tokens every address will do", arguments: ["0.0.0.0:7070", "'*:7070'", "10.1.2.3:80", "'[::]:7070'", "'[fe80::1]:7070'"])
    func reachable(address: String) throws {
        try file("admin", tokenText)
        let table = try load(least + "listen: { http: \(address) }\ntokens: { admin: { file: admin } }\n")
        #expect(table.listen.http == address.replacing("'", with: ""))
        #expect(table.listen.isReachable && table.hasTokens)
        #expect(table.tokens == TokenSettings(admin: folder.path + "/admin"))
    }

    @Test("Without tokens only loopback will do, and it is said where and what to write")
    func unreachable() throws {
        for address in ["0.0.0.0:7070", "'*:7070'", "10.1.2.3:80", "'[::]:7070'", "'[::ffff:127.0.0.1]:7070'"] {
            let shown = address.replacing("'", with: "")
            #expect(
                try problems(least + "listen: { http: \(address) }") == [
                    ":2:17: 'http' in 'listen' is '\(shown)', which other machines can reach; that needs tokens: at the top level write "
                        + "tokens: { admin: { file: PATH }, producers: { file: PATH } }; or listen on 127.0.0.1, [::1] or localhost"
                ])
        }
        for address in ["127.0.0.1:0", "127.8.9.10:80", "'[::1]:80'", "localhost:80"] {
            #expect(try load(least + "listen: { http: \(address) }").listen.isReachable == false)
        }
        #expect(try load(least + "listen: { http: none }").listen.isReachable == false)
    }

    @Test("Tokens of one domain are tokens")
    func oneDomain() throws {
        try file("orders", tokenText)
        let table = try load(
            "listen: { http: 0.0.0.0:1 }\ndomains: { orders: { lambdas: [l], tokens: { file: orders } }, free: { lambdas: [l] } }\n")
        #expect(table.domains["orders"]?.tokens == folder.path + "/orders")
        #expect(table.domains["free"]?.tokens == nil)
        #expect(table.hasTokens)
    }

    @Test("Names for the Host header")
    func hosts() throws {
        #expect(try load(least + "listen: { hosts: [Events.Example.org, a-b] }").listen.hosts == ["events.example.org", "a-b"])
        #expect(try load(least + "listen: { hosts: one }").listen.hosts == ["one"])
        #expect(
            try problems(least + "listen: { hosts: ['a:80', 'b c', -d, ''] }").allSatisfy {
                $0.contains("is not a host's name; write it without a port")
            })
        #expect(try problems(least + "listen: { hosts: ['a:80', 'b c', -d, ''] }").count == 4)
        let many = (0..<65).map { "h\($0)" }.joined(separator: ", ")
        #expect(try problems(least + "listen: { hosts: [\(many)] }").first?.contains("more than 64 names") == true)
    }

    // MARK: token files

    @Test("One token a line, with comments; old and new side by side")
    func contents() throws {
        let path = try file("t", "# ours\n\n  \(tokenText)  # of last year\r\n\tabc.DEF-_~+/0123456789==\n")
        #expect(
            try TokenFile.read(path).map { String(decoding: $0.bytes, as: UTF8.self) } == [tokenText, "abc.DEF-_~+/0123456789=="])
    }

    @Test("What is wrong with a file is said with its line, and nothing of a token is")
    func wrong() throws {
        func reason(_ text: String, mode: mode_t = 0o600) throws -> String? {
            let path = try file("t", text, mode: mode)
            let error = #expect(throws: TokenFileError.self) { try TokenFile.read(path) }
            #expect(error?.path == path)
            return error?.description.replacing("'\(path)'", with: "F")
        }
        let advice = "make one with: head -c 32 /dev/urandom | base64"
        #expect(try reason("# nothing\n") == "F: there is no token in it; \(advice)")
        #expect(try reason("\(tokenText)\n123456789012345\n") == "F line 2: the token has 15 bytes, at least 16 are needed; \(advice)")
        #expect(
            try reason("secret#secret#secret") == "F line 1: column 7 cannot be part of a token: only letters, digits and - . _ ~ + / = can"
        )
        #expect(
            try reason("two words that are long")
                == "F line 1: column 4 cannot be part of a token: only letters, digits and - . _ ~ + / = can")
        #expect(try reason(String(repeating: "x", count: 1025)) == "F line 1: the token has more than 1024 bytes")
        #expect(try reason((0..<65).map { "\(tokenText)\($0)\n" }.joined()) == "F line 65: there are more than 64 tokens")
        #expect(try reason(String(repeating: "#", count: 70_000)) == "F: it is larger than 64KiB")
        #expect(try reason(tokenText, mode: 0o644) == "F: every user of this machine can get at it (mode 0644); run: chmod 600 F")
        #expect(try reason(tokenText, mode: 0o602) == "F: every user of this machine can get at it (mode 0602); run: chmod 600 F")
        #expect(try reason(tokenText, mode: 0o660) == "F: its group can write it (mode 0660); run: chmod 600 F")
        let pipe = folder.path + "/pipe"
        mkfifo(pipe, 0o600)
        #expect(throws: TokenFileError(path: pipe, line: 0, reason: "it is not a regular file")) { try TokenFile.read(pipe) }
        #expect(throws: TokenFileError(path: "/none", line: 0, reason: "No such file or directory")) { try TokenFile.read("/none") }
        // A group may read it: the host's own, say.
        #expect(try TokenFile.read(try file("g", tokenText, mode: 0o640)).count == 1)
    }

    @Test("check says where in the routing file the file is named")
    func places() throws {
        try file("wide", tokenText, mode: 0o644)
        #expect(
            try problems("tokens:\n  admin: { file: wide }\n  producers: { file: none }\n" + least) == [
                ":2:18: 'file' in 'admin' of 'tokens': '\(folder.path)/wide': every user of this machine can get at it (mode 0644); "
                    + "run: chmod 600 '\(folder.path)/wide'",
                ":3:22: 'file' in 'producers' of 'tokens': '\(folder.path)/none': No such file or directory",
            ])
        #expect(
            try problems(least + "tokens: { admn: none, admin: {} }") == [
                ":2:11: unknown key 'admn' in 'tokens'; did you mean 'admin'?",
                ":2:30: 'admin' of 'tokens' lacks the key 'file'; write admin: { file: PATH }",
            ])
        #expect(try load(least + "tokens: { admin: none, producers: none }").hasTokens == false)
    }

    @Test("A token that stands in the routing file itself is not repeated in the message")
    func misplaced() throws {
        for text in [
            least + "tokens: \(tokenText)", least + "tokens: { admin: \(tokenText) }",
            "domains: { d: { lambdas: [l], tokens: \(tokenText) } }",
        ] {
            let found = try problems(text)
            #expect(found.count == 1 && !found[0].contains(tokenText), "\(found)")
            #expect(found[0].contains("{ file: PATH }"))
        }
    }

    @Test("A token is either for the administration or for producers")
    func oneUse() throws {
        try file("a", "\(tokenText)\n")
        try file("p", "anotherTokenAltogether\n\(tokenText)\n")
        #expect(
            try problems("tokens: { admin: { file: a }, producers: { file: p } }\ndomains: { d: { lambdas: [l], tokens: { file: a } } }\n")
                == [
                    ":1:50: 'file' in 'producers' of 'tokens' has a token that is in '\(folder.path)/a' too, which is for the administration; "
                        + "give each use tokens of its own",
                    ":2:47: 'file' in 'tokens' of domain 'd' has a token that is in '\(folder.path)/a' too, which is for the administration; "
                        + "give each use tokens of its own",
                ])
    }

    @Test("Changes name files, and listening waits for a restart")
    func changes() throws {
        try file("a", tokenText)
        try file("p", "anotherTokenAltogether")
        let old = try load(least)
        let new = try load(
            "tokens: { admin: { file: a } }\nlisten: { hosts: [x] }\ndomains: { d: { lambdas: [l], tokens: { file: p } } }\n")
        #expect(old != new)
        #expect(
            new.changes(from: old).map(\.description) == [
                "listen.hosts changed from none to [x] (takes effect when the host is restarted)",
                "tokens.admin changed from none to \(folder.path)/a",
                "domain 'd': tokens changed from none to \(folder.path)/p",
            ])
    }

    @Test("A token does not show itself")
    func hidden() throws {
        let token = try #require(try TokenFile.read(try file("t", tokenText)).first)
        var dumped = ""
        dump(token, to: &dumped)
        for text in ["\(token)", String(reflecting: token), dumped] {
            #expect(!text.contains("48") && !text.contains(tokenText), "\(text)")
        }
    }
}
