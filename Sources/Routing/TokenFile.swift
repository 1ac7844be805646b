/// Reads files of bearer tokens: one token a line, so that an old and a new one can hold at the same time; `#` begins a comment.
public enum TokenFile {
    /// Shortest token, bytes.
    static let tokenBytesMin = 16
    /// Longest token, bytes.
    static let tokenBytesMax = 1024
    /// Most tokens in a file. Every one of them is compared with what a client brings.
    static let tokensMax = 64
    /// How to make a token.
    static let advice = "make one with: head -c 32 /dev/urandom | base64"

    /// The tokens of a file, at least one. Any thread.
    ///
    /// Refused when others than the owner and the group can read it, or others than the owner can write it: then it is no secret.
    public static func read(_ path: String) throws(TokenFileError) -> [Token] {
        let bytes: [UInt8]
        do throws(FileReadFault) {
            bytes = try FileBytes.read(path, max: RoutingLimits.secretBytesMax, mustBePrivate: true)
        } catch {
            throw TokenFileError(path: path, line: 0, reason: error.reason)
        }
        var tokens: [Token] = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            func fault(_ reason: String) -> TokenFileError { TokenFileError(path: path, line: index + 1, reason: reason) }
            let text = contents(of: line)
            if text.isEmpty { continue }
            if let at = text.firstIndex(where: { !isTokenByte($0) }) {
                throw fault("column \(at - line.startIndex + 1) cannot be part of a token: only letters, digits and - . _ ~ + / = can")
            }
            guard text.count >= tokenBytesMin else {
                throw fault("the token has \(text.count) bytes, at least \(tokenBytesMin) are needed; \(advice)")
            }
            guard text.count <= tokenBytesMax else { throw fault("the token has more than \(tokenBytesMax) bytes") }
            guard tokens.count < tokensMax else { throw fault("there are more than \(tokensMax) tokens") }
            tokens.append(Token(bytes: Array(text)))
        }
        guard !tokens.isEmpty else { throw TokenFileError(path: path, line: 0, reason: "there is no token in it; \(advice)") }
        return tokens
    }

    /// A line without its comment and the space around it. A `#` within a word is none of a comment's, so that no token is cut unseen.
    private static func contents(of line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = line
        var before = UInt8(ascii: " ")
        for (index, byte) in zip(line.indices, line) {
            if byte == UInt8(ascii: "#"), isSpace(before) {
                text = line[..<index]
                break
            }
            before = byte
        }
        while let first = text.first, isSpace(first) { text = text.dropFirst() }
        while let last = text.last, isSpace(last) { text = text.dropLast() }
        return text
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

    /// Of the characters of RFC 6750's `b64token`.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"),
            UInt8(ascii: "="):
            true
        default: false
        }
    }
}
