// Every setting as a key and its value in the file's syntax. What changed is told from these, and the defaults are printed from
// these, so that neither can lag behind the types.

/// Keys (dotted below a section) and values as a routing file would write them.
typealias SettingTexts = [(key: String, text: String)]

extension RouteTable {
    /// The settings that belong to no domain and no lambda.
    var settings: SettingTexts {
        [
            ("plugins", plugins), ("data", data),
            ("libraries", libraries.isEmpty ? "none" : "[\(libraries.joined(separator: ", "))]"),
            ("listen.http", listen.http ?? "none"), ("listen.resp", listen.resp ?? "none"),
            ("listen.hosts", listen.hosts.isEmpty ? "none" : "[\(listen.hosts.joined(separator: ", "))]"),
            ("tokens.admin", tokens.admin ?? "none"), ("tokens.producers", tokens.producers ?? "none"),
            ("limits.backlog", Quantity.text(bytes: limits.backlogBytesMax)),
            ("limits.subject", Quantity.text(bytes: UInt64(limits.subjectBytesMax))),
            ("limits.headers", Quantity.text(bytes: UInt64(limits.headersBytesMax))),
            ("limits.drain", Quantity.text(limits.drain)), ("limits.generations", "\(limits.generationsKept)"),
            ("limits.spawns", "\(limits.spawnsPerSecondMax)"),
            ("limits.users", "\(limits.users.lowerBound)..\(limits.users.upperBound)"),
        ]
    }
}

extension DomainRoute {
    /// All settings but the lambdas.
    var settings: SettingTexts {
        var settings: SettingTexts = []
        if case .directory(let source) = source {
            settings.append(("source.directory", source.path))
            settings.append(("source.refresh", Quantity.text(source.refresh)))
            settings.append(("source.quiet", Quantity.text(source.quiet)))
        } else {
            settings.append(("source.directory", "none"))
        }
        return settings + [
            ("sequence", sequence.rawValue), ("durability", durability.rawValue),
            ("deduplicate.window", Quantity.text(deduplicate)), ("deduplicate.count", "\(deduplicateCountMax)"),
            ("payload", Quantity.text(bytes: UInt64(payloadBytesMax))),
            ("retention.age", Quantity.text(retention)), ("retention.size", Quantity.text(bytes: retentionBytesMax)),
            ("tokens", tokens ?? "none"),
        ]
    }
}

extension LambdaRoute {
    /// All settings but `config` and `environment`, whose values may be confidential, as is text among `arguments`.
    var settings: SettingTexts {
        let from =
            switch from {
            case .now: "now"
            case .beginning: "beginning"
            case .offset(let offset): "\(offset)"
            }
        let list = { (texts: [String]) in texts.isEmpty ? "none" : "[\(texts.joined(separator: ", "))]" }
        var settings: SettingTexts = [
            ("plugin", plugin ?? "any"), ("lambda", entry), ("enabled", "\(enabled)"), ("workers", "\(workers)"),
            ("concurrency", "\(concurrency)"), ("after", list(after)), ("order", order.rawValue), ("from", from),
            ("retry.attempts", "\(retry.attempts)"),
            ("retry.backoff", "\(Quantity.text(retry.backoffMin))..\(Quantity.text(retry.backoffMax))"),
            ("retry.crashes", "\(retry.crashes)"), ("exhausted", exhausted.rawValue),
            ("timeout", limits.timeout.map { Quantity.text($0) } ?? "none"), ("timeout-max", Quantity.text(limits.timeoutMax)),
            ("boot", Quantity.text(limits.boot)), ("grace", Quantity.text(limits.grace)),
            ("memory", Quantity.text(bytes: limits.memoryBytes)), ("cpu", limits.cpu.map { Quantity.text($0) } ?? "none"),
            ("processors", limits.processors.map { "\($0)" } ?? "none"), ("files", "\(limits.files)"),
            ("file-size", Quantity.text(bytes: limits.fileBytes)),
            ("stack", Quantity.text(bytes: limits.stackBytes)), ("log-rate", Quantity.text(bytes: UInt64(limits.logBytesPerSecond))),
            ("recycle.memory", recycle.memoryText), ("recycle.events", recycle.events.map { "\($0)" } ?? "none"),
            ("recycle.age", recycle.age.map { Quantity.text($0) } ?? "none"),
            ("filter.type", list(filter.types)), ("filter.not-type", list(filter.notTypes)),
            ("filter.subject-prefix", list(filter.subjectPrefixes)), ("filter.subject-suffix", list(filter.subjectSuffixes)),
            ("sandbox.tier", sandbox.tier.rawValue), ("sandbox.require", sandbox.require.rawValue), ("sandbox.user", sandbox.user.rawValue),
            ("sandbox.network", "\(sandbox.network)"), ("sandbox.processes", "\(sandbox.processes)"),
            ("sandbox.read", list(sandbox.read)), ("sandbox.write", list(sandbox.write)),
            ("sandbox.environment", list(sandbox.environment)),
        ]
        if let function {
            settings += [
                ("library", function.library), ("function", function.function), ("signature", function.signature.description),
                ("arguments", list(function.arguments.map(\.text))), ("success", function.success.rawValue),
                ("output", function.output.rawValue),
            ]
        }
        for (name, values) in filter.headers.sorted(by: { $0.key < $1.key }) {
            settings.append(("filter.header.\(name)", list(values)))
        }
        return settings
    }
}

extension RecycleSettings {
    fileprivate var memoryText: String {
        switch memory {
        case nil: "none"
        case .percent(let percent): "\(percent)%"
        case .bytes(let bytes): Quantity.text(bytes: bytes)
        }
    }
}
