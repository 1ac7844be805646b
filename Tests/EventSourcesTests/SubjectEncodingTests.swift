import Testing

@testable import EventSources

@Suite struct SubjectEncodingTests {
    @Test func escapesPercentAndInvalidBytesOnly() {
        #expect(SubjectEncoding.text(Array("a b/ü\n\u{7f}.txt".utf8)) == "a b/ü\n\u{7f}.txt")
        #expect(SubjectEncoding.text(Array("100%".utf8)) == "100%25")
        #expect(SubjectEncoding.text([0x61, 0xff, 0x62]) == "a%FFb")
        #expect(SubjectEncoding.text([0xc3]) == "%C3")
        #expect(SubjectEncoding.text([0xed, 0xa0, 0x80]) == "%ED%A0%80", "a surrogate is not UTF-8")
        #expect(SubjectEncoding.text([0xc0, 0xaf]) == "%C0%AF", "nor is an overlong form")
        #expect(SubjectEncoding.text([0xf0, 0x9f, 0x98, 0x41]) == "%F0%9F%98A")
    }

    @Test(arguments: 1...200) func isOneToOne(seed: UInt64) {
        var random = SeededRandom(seed)
        let alphabet: [UInt8] = [0x25, 0x41, 0x2e, 0xc3, 0xbc, 0xff, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0x0a, 0x01]
        let path = (0..<Int.random(in: 3...40, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
        let subject = SubjectEncoding.encode(path)
        #expect(String(validating: subject, as: UTF8.self) != nil)
        #expect(SubjectEncoding.decode(subject) == path)
    }

    @Test(arguments: ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.", "%", "%2", "%zz", "a%00b"])
    func refusesWhatIsNoPath(subject: String) { #expect(SubjectEncoding.decode(subject.utf8) == nil) }

    @Test func refusesTooLongPaths() {
        #expect(SubjectEncoding.decode(String(repeating: "a", count: 4095).utf8) != nil)
        #expect(SubjectEncoding.decode(String(repeating: "a", count: 4096).utf8) == nil)
    }
}
