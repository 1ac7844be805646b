import Testing

@testable import capelet

@Suite struct ResponseParserTests {
    private func parse(_ text: String, step: Int, isHead: Bool = false) throws -> (status: Int, body: String, isDone: Bool) {
        var parser = ResponseParser(isHead: isHead)
        let bytes = Array(text.utf8)
        var body: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + step)
            try bytes[at..<end].withUnsafeBytes { try parser.add($0) }
            body += parser.takeBody()
            at = end
        }
        return (parser.status, String(decoding: body, as: UTF8.self), parser.isDone)
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func everyCutGivesTheSame(step: Int) throws {
        let fixed = try parse("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", step: step)
        #expect(fixed == (200, "hello", true))
        let chunked = try parse(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
            step: step)
        #expect(chunked == (201, "abc0123456789", true))
        #expect(try parse("HTTP/1.1 204 No Content\r\n\r\n", step: step) == (204, "", true))
        #expect(try parse("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", step: step, isHead: true) == (200, "", true))
        #expect(try parse("HTTP/1.1 200 OK\r\n\r\nrest", step: step) == (200, "rest", false))
    }

    @Test(arguments: [
        "SSH-2.0-x\r\n", "HTTP/1.1 abc\r\n", "HTTP/1.1 200 OK\r\nnocolon\r\n", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFF\r\n",
    ])
    func nonsenseIsRefused(text: String) {
        #expect(throws: ResponseParser.Failure.self) { try parse(text, step: 3) }
    }

    @Test func endlessLinesAreRefused() {
        #expect(throws: ResponseParser.Failure.self) {
            try parse("HTTP/1.1 200 OK\r\nx: " + String(repeating: "y", count: 200_000), step: 1_000)
        }
    }

    @Test func anAnswerThatBreaksOffIsNotWhole() throws {
        var parser = ResponseParser()
        try Array("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel".utf8).withUnsafeBytes { try parser.add($0) }
        #expect(throws: ResponseParser.Failure.self) { try parser.finish() }
    }
}
