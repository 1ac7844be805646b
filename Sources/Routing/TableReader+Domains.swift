extension TableReader {
    /// All domains, in the file's order.
    func domains(_ top: Section) -> [DomainDraft] {
        guard let value = top.value("domains"), !value.isNull else { return [] }
        guard case .mapping(let entries) = value.content else {
            log.add(value.position, "'domains' must be a mapping of names and domains, not \(value.summary)")
            return []
        }
        if entries.count > RoutingLimits.namesMax {
            log.add(value.position, "'domains' has more than \(RoutingLimits.namesMax) entries")
            return []
        }
        return entries.compactMap(domain)
    }

    private func domain(_ entry: YAMLEntry) -> DomainDraft? {
        guard checkName(entry.key, at: entry.keyPosition, kind: "domain") else { return nil }
        let route = DomainRoute(name: entry.key, lambdas: [])
        var draft = DomainDraft(route: route, at: entry.keyPosition)
        guard let section = Section(entry.value, place: "domain '\(entry.key)'", keys: RoutingKeys.domain, log: log) else { return draft }
        readLambdas(section, into: &draft)
        readSource(section, into: &draft)
        section.read("sequence", into: &draft.route.sequence)
        section.read("durability", into: &draft.route.durability)
        section.read("payload", intoSize: &draft.route.payloadBytesMax, in: 1...16 << 20)
        readDeduplicate(section, into: &draft.route)
        readRetention(section, into: &draft.route)
        draft.tokens = tokenDraft("tokens", in: section)
        draft.route.tokens = draft.tokens?.path
        return draft
    }

    private func readLambdas(_ section: Section, into draft: inout DomainDraft) {
        guard let value = section.value("lambdas"), !value.isNull, !value.isEmptyList else {
            return log.warn(draft.at, "\(section.place) has no lambdas, so nothing happens to its events")
        }
        if case .mapping(let entries) = value.content {
            let names = entries.map(\.key).joined(separator: ", ")
            return log.add(
                value.position, "\(section.name("lambdas")) must be a list of names, not a mapping",
                hint: "write lambdas: [\(names)] here and the settings under 'lambdas' at the top level")
        }
        for (name, at) in section.texts("lambdas") ?? [] where checkName(name, at: at, kind: "lambda") {
            if let first = draft.lambdas.first(where: { $0.name == name }) {
                let hint = "it is already at line \(first.at.line), column \(first.at.column)"
                log.add(at, "lambda '\(name)' is listed twice in \(section.place)", hint: hint)
            } else {
                draft.lambdas.append((name, at))
            }
        }
    }

    private func readSource(_ section: Section, into draft: inout DomainDraft) {
        guard let value = section.value("source"), !value.isNull else { return }
        guard let source = section.section("source", keys: RoutingKeys.source) else { return }
        guard source.has("directory") else {
            return log.add(value.position, "\(source.place) lacks the key 'directory'", hint: "write source: { directory: PATH }")
        }
        guard let path = path("directory", in: source) else { return }
        draft.sourceAt = source.value("directory")?.position
        var settings = DirectorySourceSettings(path: path)
        source.read("refresh", into: &settings.refresh, in: .milliseconds(100) ... .seconds(24 * 3600))
        source.read("quiet", into: &settings.quiet, in: .zero ... .seconds(3600))
        draft.route.source = .directory(settings)
    }

    private func readDeduplicate(_ section: Section, into route: inout DomainRoute) {
        guard let value = section.value("deduplicate") else { return }
        let range = Duration.zero ... .seconds(365 * 24 * 3600)
        guard case .mapping = value.content else { return section.read("deduplicate", into: &route.deduplicate, in: range) }
        guard let inner = section.section("deduplicate", keys: RoutingKeys.deduplicate) else { return }
        inner.read("window", into: &route.deduplicate, in: range)
        inner.read("count", into: &route.deduplicateCountMax, in: 0...100_000_000)
    }

    private func readRetention(_ section: Section, into route: inout DomainRoute) {
        guard let value = section.value("retention") else { return }
        let range = Duration.zero...RoutingLimits.durationMax
        guard case .mapping = value.content else { return section.read("retention", into: &route.retention, in: range) }
        guard let inner = section.section("retention", keys: RoutingKeys.retention) else { return }
        inner.read("age", into: &route.retention, in: range)
        inner.read("size", intoSize: &route.retentionBytesMax, in: 0...RoutingLimits.sizeMax)
    }
}
