import Foundation
import Testing

@testable import Supervisor

@Suite struct LambdaUsersTests {
    let path = NSTemporaryDirectory() + "/capelet-users-\(UUID().uuidString)"

    @Test("Ids are assigned once and kept, also across restarts")
    func kept() throws {
        defer { unlink(path) }
        let users = LambdaUsers(path: path, range: 100...103)
        #expect(try users.user(for: "b") == 100)
        #expect(try users.user(for: "a") == 101)
        #expect(try users.user(for: "b") == 100)
        let later = LambdaUsers(path: path, range: 100...103)
        #expect(try later.user(for: "c") == 102)
        #expect(try later.user(for: "a") == 101)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "100 b\n101 a\n102 c\n")
    }

    @Test("The last id is nobody's; when all others are taken, the error says what to do")
    func full() throws {
        defer { unlink(path) }
        let users = LambdaUsers(path: path, range: 7...8)
        #expect(try users.user(for: "a") == 7)
        let refusal = #expect(throws: SandboxRefusal.self) { try users.user(for: "b") }
        #expect(refusal?.description.contains("no user id is left for it in `limits.users` (7..8)") == true)
    }

    @Test("Another range gives new ids; what cannot be read is not guessed at")
    func changed() throws {
        defer { unlink(path) }
        #expect(try LambdaUsers(path: path, range: 7...9).user(for: "a") == 7)
        #expect(try LambdaUsers(path: path, range: 20...29).user(for: "a") == 20)
        try Data("nonsense\n".utf8).write(to: URL(fileURLWithPath: path))
        let refusal = #expect(throws: SandboxRefusal.self) { try LambdaUsers(path: path, range: 20...29).user(for: "a") }
        #expect(refusal?.description.contains("is not an id and a name") == true)
    }
}
