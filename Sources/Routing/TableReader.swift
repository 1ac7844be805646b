/// Reads a whole routing file: from its tree of values to a checked table. One thread.
struct TableReader {
    let log: ProblemLog
    /// What relative paths are relative to. Absolute.
    let base: String

    /// One domain as it was read, with places for later messages.
    struct DomainDraft {
        var route: DomainRoute
        /// Where its name stands.
        var at: Position
        /// Its lambdas, in the file's order.
        var lambdas: [(name: String, at: Position)] = []
        /// Where the path of its source stands.
        var sourceAt: Position?
        /// The tokens of its producers.
        var tokens: TokenDraft?
    }

    /// One lambda as it was read.
    struct LambdaDraft {
        var route: LambdaRoute
        /// Where its name stands, first of all places.
        var at: Position
        /// Whether it has an entry under `lambdas:`.
        var isDefined: Bool
        /// Its upstreams.
        var after: [(name: String, at: Position)] = []
    }

    /// The table; nil when something is wrong, which the log then says.
    func table(_ root: YAMLValue) -> RouteTable? {
        guard !root.isNull else {
            log.add(nil, "the file is empty", hint: "the least that is needed is: domains: { NAME: { lambdas: [NAME] } }")
            return nil
        }
        guard case .mapping = root.content else {
            let message = "a routing file must be a mapping of keys and values, not \(root.summary)"
            log.add(root.position, message, hint: "begin with 'domains:'")
            return nil
        }
        guard let top = Section(root, place: "", keys: RoutingKeys.top, log: log) else { return nil }
        let plugins = path("plugins", in: top) ?? FilePath.absolute("plugins", base: base)
        let data = path("data", in: top) ?? FilePath.absolute("data", base: base)
        let libraries = paths("libraries", in: top)
        let listen = listenSettings(top)
        let tokens = tokenDrafts(top)
        let limits = hostLimits(top)
        let domains = domains(top)
        var lambdas = definedLambdas(top)
        for domain in domains {
            for (name, at) in domain.lambdas where lambdas[name] == nil {
                lambdas[name] = LambdaDraft(route: LambdaRoute(name: name), at: at, isDefined: false)
            }
        }
        if lambdas.count > RoutingLimits.namesMax { log.add(nil, "more than \(RoutingLimits.namesMax) lambdas") }
        SourceFolders.check(domains, data: data, log: log)
        checkAccess(top, listen: listen, admin: tokens.admin, producers: [tokens.producers] + domains.map(\.tokens))
        let topology = Topology(domains: domains, lambdas: lambdas, log: log)
        topology.check()
        if top.value("domains") == nil || (domains.isEmpty && log.isEmpty) {
            log.warn(top.position(of: "domains") ?? root.position, "there are no domains, so no event can come in")
        }
        guard log.isEmpty else { return nil }

        var table = RouteTable(plugins: plugins, data: data, listen: listen, limits: limits, domains: [:], lambdas: [:])
        table.libraries = libraries
        for domain in domains {
            table.domains[domain.route.name] = domain.route
            table.domains[domain.route.name]?.lambdas = topology.sorted(domain.lambdas.map(\.name))
        }
        table.lambdas = lambdas.mapValues(\.route)
        table.tokens = TokenSettings(admin: tokens.admin?.path, producers: tokens.producers?.path)
        table.warnings = log.warnings
        return table
    }

    // MARK: The top level

    private func hostLimits(_ top: Section) -> HostLimits {
        var limits = HostLimits()
        guard let section = top.section("limits", keys: RoutingKeys.limits) else { return limits }
        section.read("backlog", intoSize: &limits.backlogBytesMax, in: 1 << 20...RoutingLimits.sizeMax)
        // A record gives the size of a subject 16 bits, and all but payload and inputs 2 MiB (event_record.h).
        section.read("subject", intoSize: &limits.subjectBytesMax, in: 1...65535)
        section.read("headers", intoSize: &limits.headersBytesMax, in: 0...1 << 20)
        section.read("drain", into: &limits.drain, in: .zero ... .seconds(24 * 3600))
        section.read("generations", into: &limits.generationsKept, in: 1...1000)
        section.read("spawns", into: &limits.spawnsPerSecondMax, in: 1...10000)
        readUsers(section, into: &limits.users)
        return limits
    }

    /// Reads `58000..58999`. Never 0, and never the id that means "no change" to the kernel.
    private func readUsers(_ section: Section, into users: inout ClosedRange<UInt32>) {
        guard let value = section.value("users"), let text = section.text("users") else { return }
        let named = section.name("users")
        guard let (first, last) = text.components(around: ".."), let low = UInt32(first), let high = UInt32(last) else {
            return log.add(value.position, "\(named) must be a range of user ids, not \(value.summary)", hint: "for instance 58000..58999")
        }
        guard low >= 1, high < UInt32.max, low < high, high - low < 65_536 else {
            let hint = "at least 1, at most 4294967294, the smaller first, 2 to 65536 of them (the last is for describing plugins)"
            return log.add(value.position, "\(named) is \(text), which is no range of user ids", hint: hint)
        }
        users = low...high
    }

    // MARK: Shared with domains and lambdas

    /// Whether `name` can be the name of a `kind`.
    func checkName(_ name: String, at: Position, kind: String) -> Bool {
        if NameRule.allows(name) { return true }
        log.add(at, "\(quoted(name)) is not a valid name for a \(kind)", hint: NameRule.words)
        return false
    }

    /// The path that a key holds, absolute.
    func path(_ key: String, in section: Section) -> String? {
        guard let value = section.value(key), let text = section.text(key) else { return nil }
        return path(text, at: value.position, named: section.name(key))
    }

    /// The paths that a key lists, absolute.
    func paths(_ key: String, in section: Section) -> [String] {
        guard let value = section.value(key), !value.isNull, !value.isEmptyList else { return [] }
        return (section.texts(key) ?? []).compactMap { path($0.text, at: $0.at, named: section.name(key)) }
    }

    /// `text` as an absolute path.
    func path(_ text: String, at: Position, named: String) -> String? {
        if text.isEmpty || text.utf8.contains(0) {
            log.add(at, "\(named) is not a path: \(text.isEmpty ? "it is empty" : "it holds a zero byte")")
            return nil
        }
        if text == "~" || text.hasPrefix("~/") {
            log.add(at, "\(named) begins with '~', which is not expanded", hint: "write the whole path")
            return nil
        }
        let absolute = FilePath.absolute(text, base: base)
        if absolute.utf8.count > RoutingLimits.pathBytesMax {
            log.add(at, "\(named) is longer than \(RoutingLimits.pathBytesMax) bytes")
            return nil
        }
        return absolute
    }
}
