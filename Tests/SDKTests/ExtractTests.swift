import CapeletSDK
import Foundation
import Testing

@Suite("documents: extract")
struct ExtractTests {
    private let fixture: DocumentsFixture

    init() throws { fixture = try DocumentsFixture() }

    @Test("a text file becomes a header and its text")
    func text() throws {
        try fixture.write("a/b.txt", "abc")
        let (ended, header, text) = fixture.extract(fixture.event("a/b.txt"))
        #expect(ended.status == Status.success)
        #expect(text == "abc")
        #expect(header.hasPrefix(#"{"kind":"text","size":3,"mtime":"#))
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(header.hasSuffix(#","hash":"\#(hash)","encoding":"utf-8","cut":false}"#))
    }

    @Test(
        "hashes are those of sha256sum, at every length around a block",
        arguments: [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
            (55, "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"),
            (56, "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"),
            (63, "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"),
            (64, "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"),
            (65, "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9"),
            (119, "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c"),
            (120, "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98"),
            (1000, "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f"),
            (100_000, "d69e68988157833272305aaf21f453c800346e8a3640db6578e260215542e5d4"),
        ])
    func hashes(length: Int, hash: String) throws {
        try fixture.write("f", [UInt8](repeating: UInt8(ascii: "x"), count: length))
        #expect(fixture.extract(fixture.event("f")).header.contains(hash))
    }

    @Test("what is not UTF-8 is read as Latin-1")
    func latin1() throws {
        try fixture.write("l.txt", [0x63, 0x61, 0x66, 0xE9, 0x20, 0xFC])
        let (_, header, text) = fixture.extract(fixture.event("l.txt"))
        #expect(text == "café ü" && header.contains(#""encoding":"latin-1""#))
    }

    @Test("a NUL near the beginning makes a file binary, one far behind a space")
    func binary() throws {
        try fixture.write("b", [1, 2, 0, 3])
        let early = fixture.extract(fixture.event("b"))
        #expect(early.header.hasPrefix(#"{"kind":"binary","size":4,"#) && early.text == "")
        try fixture.write("late", [UInt8](repeating: 0x61, count: 8192) + [0, 0x62])
        let late = fixture.extract(fixture.event("late"))
        #expect(late.header.hasPrefix(#"{"kind":"text""#) && late.text.hasSuffix("a b"))
    }

    @Test("gzip is unpacked, all members of it, unless that is switched off")
    func gzip() throws {
        let packed = [UInt8](Data(base64Encoded: "H4sIAAAAAAACAytITM5OTVHIOLwyJyefCwDhbCBrDgAAAA==")!)
        try fixture.write("p.gz", packed + packed)
        let (_, header, text) = fixture.extract(fixture.event("p.gz"))
        #expect(text == "packed héllo\npacked héllo\n")
        #expect(header.contains(#""size":\#(packed.count * 2),"#))
        #expect(header.contains(#""encoding":"utf-8+gzip","cut":false"#))
        #expect(fixture.extract(fixture.event("p.gz"), config: ["gzip": "false"]).header.hasPrefix(#"{"kind":"binary""#))
    }

    @Test("damaged gzip gives what can be unpacked, or is binary")
    func damagedGzip() throws {
        let packed = [UInt8](Data(base64Encoded: "H4sIAAAAAAACAytITM5OTVHIOLwyJyefCwDhbCBrDgAAAA==")!)
        try fixture.write("short.gz", packed.dropLast(6))
        let short = fixture.extract(fixture.event("short.gz"))
        #expect(short.ended.status == Status.success && short.header.contains(#""cut":true"#))
        #expect("packed héllo\n".hasPrefix(short.text))
        try fixture.write("broken.gz", Array(packed.prefix(10)) + [UInt8](repeating: 0xFF, count: 40))
        #expect(fixture.extract(fixture.event("broken.gz")).header.hasPrefix(#"{"kind":"binary""#))
    }

    @Test("unpacking is bounded")
    func gzipBomb() throws {
        let packed = [UInt8](Data(base64Encoded: "H4sIAAAAAAACAytITM5OTVHIOLwyJyefCwDhbCBrDgAAAA==")!)
        try fixture.write("many.gz", (0..<1000).flatMap { _ in packed })
        let (_, header, text) = fixture.extract(fixture.event("many.gz"), config: ["max-size": "5000"])
        #expect(header.contains(#""cut":true"#) && text.utf8.count <= 5000 && text.utf8.count > 100)
    }

    @Test("a file over max-size is cut between two characters; a text over the limit of an output too")
    func cut() throws {
        try fixture.write("long", String(repeating: "é", count: 100))
        let (_, header, text) = fixture.extract(fixture.event("long"), config: ["max-size": "51"])
        #expect(text == String(repeating: "é", count: 25))
        #expect(header.hasPrefix(#"{"kind":"text","size":200,"#) && header.hasSuffix(#""encoding":"utf-8","cut":true}"#))
        try fixture.write("huge", String(repeating: "€", count: 700_000))
        let huge = fixture.extract(fixture.event("huge"))
        #expect(huge.ended.status == Status.success && huge.header.hasSuffix(#""cut":true}"#))
        #expect(huge.text.utf8.count + huge.header.utf8.count < 1 << 20 && huge.text.allSatisfy { $0 == "€" })
    }

    @Test("the hash is that of the whole file, also of one that is cut, and empty over hash-max-size")
    func hashLimit() throws {
        let whole = "09ecb6ebc8bcefc733f6f2ec44f791abeed6a99edf0cc31519637898aebd52d8"
        try fixture.write("f", [UInt8](repeating: UInt8(ascii: "x"), count: 100))
        let read = { (config: [String: String]) in fixture.extract(fixture.event("f"), config: config) }
        let cut = read(["max-size": "10"])
        #expect(cut.header.contains(whole) && cut.text == "xxxxxxxxxx" && cut.header.contains(#""size":100,"#))
        #expect(read(["hash-max-size": "100"]).header.contains(whole))
        let unhashed = read(["hash-max-size": "99"])
        #expect(unhashed.header.contains(#""hash":"","#) && unhashed.text.count == 100)
        #expect(read(["hash-max-size": "0", "max-size": "7"]).text == "xxxxxxx")
    }

    @Test("a deleted file is said to be deleted; one that is not there, or no file, is gone")
    func absent() throws {
        #expect(fixture.extract(fixture.event("x", "deleted")).header.hasPrefix(#"{"kind":"deleted","size":0,"#))
        let gone = fixture.extract(fixture.event("x"))
        #expect(gone.ended.status == Status.success && gone.header.hasPrefix(#"{"kind":"gone","#))
        try fixture.write("folder/f", "f")
        #expect(fixture.extract(fixture.event("folder")).header.hasPrefix(#"{"kind":"gone","#))
        #expect(fixture.extract(fixture.event("folder/f/g")).header.hasPrefix(#"{"kind":"gone","#))
        #expect(mkfifo(fixture.root + "/pipe", 0o600) == 0)
        #expect(fixture.extract(fixture.event("pipe")).header.hasPrefix(#"{"kind":"gone","#))
    }

    @Test("links are not followed, neither as a file nor on the way")
    func links() throws {
        try fixture.write("real/secret", "secret")
        try FileManager.default.createSymbolicLink(atPath: fixture.root + "/link", withDestinationPath: "real/secret")
        try FileManager.default.createSymbolicLink(atPath: fixture.root + "/way", withDestinationPath: "real")
        #expect(fixture.extract(fixture.event("link")).header.hasPrefix(#"{"kind":"gone","#))
        #expect(fixture.extract(fixture.event("way/secret")).header.hasPrefix(#"{"kind":"gone","#))
        #expect(fixture.extract(fixture.event("real/secret")).text == "secret")
    }

    @Test("a path that leads out of the root is fatal", arguments: ["../x", "a/../../x", "/etc/passwd", "", "a//b", "./a"])
    func escapes(path: String) {
        let ended = fixture.extract(fixture.event("s", rawPath: Array(path.utf8))).ended
        #expect(ended.status == Status.fatal && ended.message.contains("is not a path below the root"))
    }

    @Test("any name that Linux allows is read")
    func oddNames() throws {
        let name: [UInt8] = [0x61, 0xFF, 0x20, 0x0A, 0x25, 0x2E]
        let path = Array(fixture.root.utf8) + [0x2F] + name + [0]
        let descriptor = path.withUnsafeBytes { creat($0.baseAddress!.assumingMemoryBound(to: CChar.self), 0o600) }
        #expect(descriptor >= 0 && write(descriptor, "odd", 3) == 3 && close(descriptor) == 0)
        #expect(fixture.extract(fixture.event("a%FF %0A%25.", rawPath: name)).text == "odd")
    }

    @Test("an event of something else is fatal, a missing root is not")
    func wrongEvents() throws {
        #expect(fixture.extract(FakeEvent(type: "created", payload: Array("a".utf8))).ended.message.hasPrefix("header root is missing"))
        let odd = fixture.extract(fixture.event("a", "order.paid")).ended
        #expect(odd.status == Status.fatal && odd.message.hasPrefix("type order.paid"))
        try FileManager.default.removeItem(atPath: fixture.root)
        let rootless = fixture.extract(fixture.event("a")).ended
        #expect(rootless.status == Status.retry && rootless.message.contains("open of the root"))
    }

    @Test("a wrong setting is a failed start")
    func settings() {
        #expect(fixture.extract(fixture.event("a"), config: ["max-size": "1TiB"]).ended.message.hasPrefix("config: max-size: \"1TiB\""))
        #expect(fixture.extract(fixture.event("a"), config: ["gzip": "maybe"]).ended.message.hasPrefix("config: gzip: \"maybe\""))
    }
}
