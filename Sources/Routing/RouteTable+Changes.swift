extension RouteTable {
    /// What a reload from `old` to this table changes: the host's settings first, then domains, then lambdas, by name. Empty exactly
    /// when the tables are equal.
    public func changes(from old: RouteTable) -> [RouteChange] {
        var changes = Self.compare(old.settings, settings, subject: .host, prefix: "")
        if changes.isEmpty, old.listen != listen || old.limits != limits { changes.append(Self.unnamed(.host, "host: ")) }
        for index in changes.indices
        where changes[index].key == "data" || changes[index].key == "limits.users" || changes[index].key?.hasPrefix("listen.") == true {
            changes[index].requiresRestart = true
            changes[index].description += " (takes effect when the host is restarted)"
        }
        for name in Set(old.domains.keys).union(domains.keys).sorted() {
            changes += Self.domainChanges(name, from: old.domains[name], to: domains[name])
        }
        for name in Set(old.lambdas.keys).union(lambdas.keys).sorted() {
            changes += Self.lambdaChanges(name, from: old.lambdas[name], to: lambdas[name])
        }
        return changes
    }

    private static func domainChanges(_ name: String, from old: DomainRoute?, to new: DomainRoute?) -> [RouteChange] {
        let subject = RouteChange.Subject.domain(name)
        guard let old else {
            let list = new?.lambdas.joined(separator: ", ") ?? ""
            let lambdas = list.isEmpty ? "no lambdas" : "lambdas \(list)"
            return [RouteChange(subject: subject, kind: .added, description: "domain '\(name)' added (\(lambdas))")]
        }
        guard let new else { return [RouteChange(subject: subject, kind: .removed, description: "domain '\(name)' removed")] }
        let prefix = "domain '\(name)': "
        var changes = compare(old.settings, new.settings, subject: subject, prefix: prefix)
        var words = new.lambdas.filter { !old.lambdas.contains($0) }.map { "lambda '\($0)' added" }
        words += old.lambdas.filter { !new.lambdas.contains($0) }.map { "lambda '\($0)' removed" }
        if words.isEmpty, old.lambdas != new.lambdas { words = ["lambdas listed in another order"] }
        changes += words.map { RouteChange(subject: subject, kind: .changed, key: "lambdas", description: prefix + $0) }
        if changes.isEmpty, old != new { changes.append(unnamed(subject, prefix)) }
        return changes
    }

    private static func lambdaChanges(_ name: String, from old: LambdaRoute?, to new: LambdaRoute?) -> [RouteChange] {
        let subject = RouteChange.Subject.lambda(name)
        guard let old else { return [RouteChange(subject: subject, kind: .added, description: "lambda '\(name)' added")] }
        guard let new else { return [RouteChange(subject: subject, kind: .removed, description: "lambda '\(name)' removed")] }
        let prefix = "lambda '\(name)': "
        let changed = { (key: String) in
            RouteChange(subject: subject, kind: .changed, key: key, description: prefix + "\(key) changed")
        }
        var changes = compare(old.settings, new.settings, subject: subject, prefix: prefix)
        if old.config != new.config {
            let keys = differingKeys(old.config.leaves().map { ($0.key, $0.value) }, new.config.leaves().map { ($0.key, $0.value) })
            changes += keys.isEmpty ? [changed("config")] : keys.map { changed("config.\($0)") }
        }
        changes += differingKeys(old.environment.map { ($0, $1) }, new.environment.map { ($0, $1) }).map { changed("environment.\($0)") }
        if changes.isEmpty, old != new { changes.append(unnamed(subject, prefix)) }
        return changes
    }

    /// For values that differ but look the same, such as a plugin called `any` and no plugin.
    private static func unnamed(_ subject: RouteChange.Subject, _ prefix: String) -> RouteChange {
        RouteChange(subject: subject, kind: .changed, description: prefix + "settings changed")
    }

    /// Keys that only one side has or whose values differ, sorted.
    private static func differingKeys<Value: Equatable>(_ old: [(String, Value)], _ new: [(String, Value)]) -> [String] {
        let old = Dictionary(old, uniquingKeysWith: { first, _ in first })
        let new = Dictionary(new, uniquingKeysWith: { first, _ in first })
        return Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted()
    }

    private static func compare(
        _ old: SettingTexts, _ new: SettingTexts, subject: RouteChange.Subject, prefix: String
    ) -> [RouteChange] {
        var keys = new.map(\.key)
        for (key, _) in old where !keys.contains(key) { keys.append(key) }
        return keys.compactMap { key in
            let before = old.first { $0.key == key }?.text ?? "none"
            let after = new.first { $0.key == key }?.text ?? "none"
            guard before != after else { return nil }
            let text = "\(prefix)\(key) changed from \(before) to \(after)"
            return RouteChange(subject: subject, kind: .changed, key: key, description: text)
        }
    }
}
