/// Every key that a routing file can have.
enum RoutingKeys {
    static let top = ["plugins", "data", "libraries", "listen", "tokens", "limits", "domains", "lambdas"]
    static let listen = ["http", "resp", "hosts"]
    static let tokens = ["admin", "producers"]
    static let limits = ["backlog", "subject", "headers", "drain", "generations", "spawns", "users"]
    static let domain = ["source", "lambdas", "sequence", "durability", "deduplicate", "payload", "retention", "tokens"]
    static let source = ["directory", "refresh", "quiet"]
    static let deduplicate = ["window", "count"]
    static let retention = ["age", "size"]
    static let lambda =
        [
            "plugin", "lambda", "enabled", "workers", "concurrency", "after", "filter", "order", "from", "retry", "exhausted",
            "timeout", "timeout-max", "boot", "grace", "memory", "cpu", "processors", "files", "file-size", "stack", "log-rate",
            "recycle",
            "config", "environment", "sandbox",
        ] + function
    /// Those of a lambda that is a plain C function.
    static let function = ["library", "function", "signature", "arguments", "success", "output"]
    static let filter = ["type", "not-type", "subject-prefix", "subject-suffix", "header"]
    static let retry = ["attempts", "backoff", "crashes"]
    static let recycle = ["memory", "events", "age"]
    static let sandbox = ["tier", "require", "user", "network", "processes", "read", "write", "environment"]

    /// Keys that are often looked for one level too high, or in the other half of the file: what to say then.
    static let elsewhere: [String: String] = {
        var hints: [String: String] = [:]
        for key in source { hints[key] = "'\(key)' belongs under 'source' of a domain" }
        for key in filter { hints[key] = "'\(key)' belongs under 'filter' of a lambda" }
        for key in recycle { hints[key] = "'\(key)' belongs under 'recycle' of a lambda" }
        for key in retry { hints[key] = "'\(key)' belongs under 'retry' of a lambda" }
        for key in sandbox where key != "environment" { hints[key] = "'\(key)' belongs under 'sandbox' of a lambda" }
        for key in listen { hints[key] = "'\(key)' belongs under 'listen'" }
        for key in tokens { hints[key] = "'\(key)' belongs under 'tokens' at the top level" }
        for key in limits { hints[key] = "'\(key)' belongs under 'limits' at the top level" }
        for key in domain where key != "lambdas" { hints[key] = "'\(key)' belongs to a domain" }
        for key in lambda { hints[key] = "'\(key)' belongs to a lambda, under 'lambdas' at the top level" }
        return hints
    }()
}
