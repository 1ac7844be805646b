import CLinux
import CWorkerProtocol
import Foundation
import Glibc
import Logging
import Testing
import WorkerProtocol

@testable import Supervisor

/// Copies of plugins, and what they say of themselves.
@Suite struct GenerationStoreTests {
    let plugins = Fixture.newFolder()
    let data = Fixture.newFolder()

    private func store(boot: Duration = .seconds(10), kept: Int = 3) -> GenerationStore {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return GenerationStore(
            plugins: plugins, data: data, workerExecutable: Fixture.worker, generationsKept: kept, boot: boot, logger: logger)
    }

    private func write(_ text: String, to path: String) throws {
        try FileManager.default.createDirectory(
            atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    private func copies() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: data + "/generations").filter { $0 != "numbers" }.sorted()
    }

    @Test func describesAndCopies() throws {
        try Fixture.install("well", as: "documents", in: plugins)
        let store = store()
        let first = try #require(try store.scan().generations["documents"])
        #expect(first.version == "1" && first.threads == 1 && first.number == 1)
        #expect(first.lambdas == [PluginLambda(name: "sup-work", summary: "Does as it is told.", handlers: ["start", "handle"])])
        #expect(first.directory == "\(data)/generations/documents-\(first.id)" && first.library == "documents.so")
        #expect(try copies() == ["documents-\(first.id)"])
        let bytes = try Data(contentsOf: URL(fileURLWithPath: Fixture.plugins["well"]!))
        #expect(try Data(contentsOf: URL(fileURLWithPath: first.directory + "/documents.so")) == bytes)
        #expect(first.id == sha256(bytes).prefix(16))
        var found = stat()
        stat(first.directory + "/documents.so", &found)
        #expect(found.st_mode & 0o777 == 0o555)
        // Overwriting the file in place changes nothing that was copied.
        try Fixture.install("two", as: "documents", in: plugins)
        let second = try #require(try store.scan(inUse: [first.id]).generations["documents"])
        #expect(second.version == "2" && second.number == 2 && second.id != first.id)
        #expect(try Data(contentsOf: URL(fileURLWithPath: first.directory + "/documents.so")) == bytes)
        // Back again: the number that it had, also for a store that has just been started.
        try Fixture.install("well", as: "documents", in: plugins)
        let again = try #require(try self.store().scan().generations["documents"])
        #expect(again == first)
    }

    @Test func oldCopiesGo() throws {
        let store = store(kept: 2)
        for name in ["well", "two", "thread"] {
            try Fixture.install(name, as: "p", in: plugins)
            let generation = try #require(try store.scan().generations["p"])
            // As if it had been used longer ago.
            var times = [timeval(tv_sec: 1000, tv_usec: 0), timeval(tv_sec: 1000 + (name == "well" ? 0 : 1), tv_usec: 0)]
            utimes(generation.directory, &times)
        }
        #expect(try copies().count == 2)
        try Fixture.install("well", as: "p", in: plugins)
        let inUse = try #require(try store.scan().generations["p"])
        #expect(inUse.number == 1)
        for name in ["two", "thread"] {
            try Fixture.install(name, as: "p", in: plugins)
            _ = try store.scan(inUse: [inUse.id])
            #expect(FileManager.default.fileExists(atPath: inUse.directory))
        }
    }

    @Test func aFolderWithLibraries() throws {
        try FileManager.default.createDirectory(atPath: plugins + "/app/lib", withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Fixture.plugins["well"]!, toPath: plugins + "/app/app.so")
        try write("v1", to: plugins + "/app/lib/libthing.so.1")
        try FileManager.default.createSymbolicLink(atPath: plugins + "/app/lib/libthing.so", withDestinationPath: "libthing.so.1")
        let store = store()
        let first = try #require(try store.scan().generations["app"])
        #expect(try String(contentsOfFile: first.directory + "/lib/libthing.so", encoding: .utf8) == "v1")
        try write("v2", to: plugins + "/app/lib/libthing.so.1")
        let second = try #require(try store.scan().generations["app"])
        #expect(first.id != second.id && second.number == 2)
        // A link that leads out of the folder is refused.
        try FileManager.default.createSymbolicLink(atPath: plugins + "/app/lib/secret", withDestinationPath: "/etc/passwd")
        let scan = try store.scan()
        #expect(scan.generations["app"] == nil)
        #expect(scan.failures.first?.reason.contains("leads out of the folder") == true)
    }

    @Test func whatIsWrongIsSaidAndTheOthersGoOn() throws {
        try Fixture.install("well", as: "good", in: plugins)
        try Fixture.install("abort", as: "crashes", in: plugins)
        try write("not a library", to: plugins + "/text.so")
        try write("", to: plugins + "/nothing.so")
        try write("", to: plugins + "/bad name.so")
        try write("x", to: plugins + "/README.md")
        try FileManager.default.createSymbolicLink(atPath: plugins + "/gone.so", withDestinationPath: "/nonexistent")
        try FileManager.default.createDirectory(atPath: plugins + "/empty", withIntermediateDirectories: true)
        mkfifo(plugins + "/pipe.so", 0o600)
        let scan = try store().scan()
        #expect(Array(scan.generations.keys) == ["good"])
        let reasons = Dictionary(uniqueKeysWithValues: scan.failures.map { ($0.plugin, $0.reason) })
        #expect(Set(reasons.keys) == ["crashes", "text", "nothing", "bad name", "gone"])
        #expect(reasons["crashes"]?.contains("SIGABRT") == true && reasons["crashes"]?.contains("the constructor gives up") == true)
        #expect(scan.plugins(exporting: "sup-work").map(\.plugin) == ["good"])
    }

    @Test func aPluginThatHangsIsGivenUp() throws {
        try Fixture.install("hang", as: "hang", in: plugins)
        let begin = Poller.nowMillis
        let scan = try store(boot: .milliseconds(300)).scan()
        #expect(scan.failures.first?.reason.contains("not loaded within 300 ms") == true)
        #expect(Poller.nowMillis - begin < 5000)
    }

    @Test func aMissingFolderIsAnError() throws {
        rmdir(plugins)
        #expect(throws: SystemCallError.self) { try store().scan() }
    }

    @Test func descriptionsAreParsed() throws {
        let text = "plugin 1 2.0 beta\nlambda a\tone line\tstart,handle\nlambda b\t\t\nthreads 3\nend\n"
        let description = try PluginDescription(parsing: text)
        #expect(description.version == "2.0 beta" && description.threads == 3)
        #expect(description.lambdas.map(\.name) == ["a", "b"])
        for wrong in [
            "error no such file\n", "plugin 1 1\nthreads 1\nend\n", "plugin 1 1\nlambda a\t\t\nthreads 1\n", "hello\nend\n",
            "lambda a\t\t\nlambda a\t\t\nend\n", "lambda a\t\t\nthreads x\nend\n", "",
        ] {
            #expect(throws: PluginDescription.Failure.self) { try PluginDescription(parsing: wrong) }
        }
    }

    /// A plugin can write its description itself; what it says is shown on terminals.
    @Test func descriptionsHoldNoControlCharacters() throws {
        let text = "plugin 1 2\u{1b}[2J\nlambda a\tred \u{1b}[31m\u{85}\thandle\r\nthreads 1\nend\n"
        let description = try PluginDescription(parsing: text)
        #expect(description.version == "2\\x1b[2J")
        #expect(description.lambdas == [PluginLambda(name: "a", summary: "red \\x1b[31m\\xc2\\x85", handlers: ["handle\\x0d"])])
        #expect {
            try PluginDescription(parsing: "error \u{7}no\n")
        } throws: {
            ($0 as? PluginDescription.Failure)?.reason == "\\x07no"
        }
    }

    @Test func messagesOfKeepersAreChecked() throws {
        func bytes(_ type: Int, _ body: [UInt8]) -> [UInt8] {
            var message = capelet_keeper_message()
            message.type = UInt32(type)
            message.id = 7
            return withUnsafeBytes(of: message) { Array($0) } + body
        }
        var death = capelet_keeper_death()
        death.wait_status = 9
        let body = withUnsafeBytes(of: death) { Array($0) }
        try bytes(CAPELET_KEEPER_DIED, body + [1]).withUnsafeBytes { bytes in
            let report = try KeeperReport(bytes)
            #expect(report.message.id == 7 && report.death.wait_status == 9 && report.body.count == 33)
        }
        for wrong in [[], Array(bytes(CAPELET_KEEPER_STARTED, []).dropLast()), bytes(CAPELET_KEEPER_DIED, body.dropLast())] {
            wrong.withUnsafeBytes { bytes in _ = #expect(throws: KeeperReport.Malformed.self) { try KeeperReport(bytes) } }
        }
    }

    private func sha256(_ data: Data) -> String {
        var hash = capelet_linux_sha256()
        capelet_linux_sha256_start(&hash)
        data.withUnsafeBytes { capelet_linux_sha256_add(&hash, $0.baseAddress, $0.count) }
        var digest = [UInt8](repeating: 0, count: 32)
        capelet_linux_sha256_end(&hash, &digest)
        return digest.map { String(format: "%02x", $0) }.joined()
    }

    /// The examples of FIPS 180-4 and of the common tools, in all the ways that a message can be cut.
    @Test func sha256IsSHA256() {
        #expect(sha256(Data()) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(sha256(Data("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            sha256(Data("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(sha256(Data(repeating: 97, count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        let message = Data((0..<300).map { UInt8(truncatingIfNeeded: $0) })
        for length in 0..<300 {
            var hash = capelet_linux_sha256()
            capelet_linux_sha256_start(&hash)
            for byte in message.prefix(length) { withUnsafeBytes(of: byte) { capelet_linux_sha256_add(&hash, $0.baseAddress, 1) } }
            var digest = [UInt8](repeating: 0, count: 32)
            capelet_linux_sha256_end(&hash, &digest)
            #expect(digest.map { String(format: "%02x", $0) }.joined() == sha256(message.prefix(length)))
        }
    }
}
