public import Routing

/// The tokens that are in force, and what each is for. Holds digests only. A reload makes a new one.
public struct TokenBook: Sendable, Equatable {
    /// What a token is for.
    enum Use: Sendable, Hashable {
        case admin
        case producers
        case domain(String)
    }

    /// What somebody may do who has shown a token.
    struct Grant: Sendable, Equatable {
        var uses: Set<Use>
        /// Domains with tokens of their own: those of `producers` do not count there.
        var ownTokens: Set<String>

        var isAdmin: Bool { uses.contains(.admin) }

        func maySend(to domain: String) -> Bool {
            isAdmin || uses.contains(.domain(domain)) || (uses.contains(.producers) && !ownTokens.contains(domain))
        }
    }

    private struct Entry: Sendable {
        var digest: TokenDigest
        var use: Use
    }

    private var entries: [Entry] = []
    private var ownTokens: Set<String> = []
    /// Whether there are tokens of the administration: without any, reads are on the Unix socket only.
    let hasAdmin: Bool

    /// No tokens: TCP asks for none.
    public init() { hasAdmin = false }

    /// Reads the files that a table names. Throws what is wrong with the first that cannot be used.
    public init(_ routes: RouteTable) throws(TokenFileError) {
        hasAdmin = routes.tokens.admin != nil
        if let path = routes.tokens.admin { try add(path, .admin) }
        if let path = routes.tokens.producers { try add(path, .producers) }
        for (name, domain) in routes.domains.sorted(by: { $0.key < $1.key }) {
            guard let path = domain.tokens else { continue }
            ownTokens.insert(name)
            try add(path, .domain(name))
        }
    }

    private mutating func add(_ path: String, _ use: Use) throws(TokenFileError) {
        for token in try TokenFile.read(path) { entries.append(Entry(digest: TokenDigest(token.bytes), use: use)) }
    }

    /// Whether there are none.
    public var isEmpty: Bool { entries.isEmpty }

    /// What the owner of a token may do; nil: the token is wrong. Compares with every token, whether one has matched already or not.
    func grant(for digest: TokenDigest) -> Grant? {
        var uses: Set<Use> = []
        for entry in entries where entry.digest.matches(digest) { uses.insert(entry.use) }
        return uses.isEmpty ? nil : Grant(uses: uses, ownTokens: ownTokens)
    }

    /// Whether the same tokens are for the same uses, in the same order.
    public static func == (left: TokenBook, right: TokenBook) -> Bool {
        left.entries.count == right.entries.count && left.ownTokens == right.ownTokens && left.hasAdmin == right.hasAdmin
            && zip(left.entries, right.entries).allSatisfy { $0.use == $1.use && $0.digest.matches($1.digest) }
    }
}
