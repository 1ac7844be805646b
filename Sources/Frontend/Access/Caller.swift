import HTTPTypes

/// Who sends a request, as far as it matters for what is answered.
enum Caller: Sendable, Equatable {
    /// May do everything that the listener serves: it came by the Unix socket, with a token of the administration, or tokens are not asked for.
    case trusted
    /// Has shown a token of producers.
    case producer(TokenBook.Grant)
    /// Has shown nothing: may learn whether the host lives.
    case stranger

    /// Throws 403 unless the caller may send events to `domain`. To be asked before anything that tells which domains there are.
    func requireSending(to domain: String) throws(Problem) {
        switch self {
        case .trusted: return
        case .producer(let grant) where grant.maySend(to: domain): return
        case .producer, .stranger: throw .forbidden("the token is not for the domain `\(domain.prefix(100))`")
        }
    }
}

extension Problem {
    /// No token, or a wrong one.
    static func unauthorized(_ detail: String, isWrong: Bool) -> Problem {
        var problem = Problem(.unauthorized, "unauthorized", "Unauthorized", detail)
        // RFC 6750: no error code for a request that brings no token.
        problem.authenticate = isWrong ? "Bearer realm=\"capelet\", error=\"invalid_token\"" : "Bearer realm=\"capelet\""
        return problem
    }

    /// A right token for something else.
    static func forbidden(_ detail: String) -> Problem {
        var problem = Problem(.forbidden, "forbidden", "Forbidden", detail)
        problem.authenticate = "Bearer realm=\"capelet\", error=\"insufficient_scope\""
        return problem
    }
}
