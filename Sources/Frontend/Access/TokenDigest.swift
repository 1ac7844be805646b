import CLinux

/// What is kept of a token: SHA-256 over a key that this process has made up, and the token.
///
/// **Comparing in constant time.** Two tokens are compared by their digests, which have one length, word by word without a branch before the
/// last word. How long it takes says nothing about how far a guess is right; and since the key is secret, nobody can choose what the digest
/// of a guess begins with. What a client brings is hashed in a time that depends on its own length only.
struct TokenDigest: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    private static let key: (UInt64, UInt64, UInt64, UInt64) = {
        var random = SystemRandomNumberGenerator()
        return (random.next(), random.next(), random.next(), random.next())
    }()

    init(_ token: some Sequence<UInt8>) {
        var hash = capelet_linux_sha256()
        capelet_linux_sha256_start(&hash)
        withUnsafeBytes(of: Self.key) { capelet_linux_sha256_add(&hash, $0.baseAddress, $0.count) }
        let bytes = Array(token)
        bytes.withUnsafeBytes { capelet_linux_sha256_add(&hash, $0.baseAddress, $0.count) }
        var digest: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &digest) { capelet_linux_sha256_end(&hash, $0.bindMemory(to: UInt8.self).baseAddress) }
        words = digest
    }

    /// Whether both are of the same token. Constant time.
    @inline(never)
    func matches(_ other: TokenDigest) -> Bool {
        let difference =
            (words.0 ^ other.words.0) | (words.1 ^ other.words.1) | (words.2 ^ other.words.2) | (words.3 ^ other.words.3)
        return difference == 0
    }

    /// With one bit turned, for tests.
    func flipped(word: Int, bit: Int) -> TokenDigest {
        var other = self
        withUnsafeMutableBytes(of: &other.words) { $0.bindMemory(to: UInt64.self)[word] ^= 1 << bit }
        return other
    }

    /// Tells wrong tokens from one another; nothing secret is decided by it.
    var short: UInt64 { words.0 }
}
