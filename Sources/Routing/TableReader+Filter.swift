extension TableReader {
    /// Reads `filter:`.
    func readFilter(_ section: Section, into filter: inout EventFilter) {
        guard let inner = section.section("filter", keys: RoutingKeys.filter) else { return }
        filter.types = (inner.texts("type") ?? []).map(\.text)
        filter.notTypes = (inner.texts("not-type") ?? []).map(\.text)
        filter.subjectPrefixes = affixes("subject-prefix", in: inner)
        filter.subjectSuffixes = affixes("subject-suffix", in: inner)
        if let value = inner.value("header"), !value.isNull { filter.headers = headers(value, in: inner) }
        if !filter.types.isEmpty, filter.types.allSatisfy(filter.notTypes.contains), let at = inner.value("not-type")?.position {
            log.add(at, "\(inner.place) lets no event through: every 'type' is also a 'not-type'")
        }
    }

    private func affixes(_ key: String, in section: Section) -> [String] {
        (section.texts(key) ?? []).compactMap { text, at in
            guard text.isEmpty else { return text }
            log.add(at, "\(section.name(key)) is empty, so that every subject matches", hint: "leave it out")
            return nil
        }
    }

    private func headers(_ value: YAMLValue, in section: Section) -> [String: [String]] {
        guard case .mapping(let entries) = value.content else {
            log.add(value.position, "\(section.name("header")) must be a mapping of header names and values, not \(value.summary)")
            return [:]
        }
        var headers: [String: [String]] = [:]
        for entry in entries {
            let name = entry.key.lowercased()
            guard !name.isEmpty else {
                log.add(entry.keyPosition, "\(section.name("header")) has an empty name")
                continue
            }
            guard headers[name] == nil else {
                let hint = "case does not matter in header names"
                log.add(entry.keyPosition, "header '\(name)' is given twice in \(section.place)", hint: hint)
                continue
            }
            headers[name] = (section.texts(entry.value, named: "header '\(entry.key)' in \(section.place)") ?? []).map(\.text)
        }
        return headers
    }
}

extension String {
    /// What stands before and after the first `separator`; nil when there is none.
    func components(around separator: String) -> (String, String)? {
        guard let range = firstRange(of: separator) else { return nil }
        return (String(self[..<range.lowerBound]), String(self[range.upperBound...]))
    }
}
