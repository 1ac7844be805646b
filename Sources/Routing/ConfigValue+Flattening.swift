extension ConfigValue {
    /// All values as text with the keys that lead to them joined by dots, list elements numbered from 0: `retry.count`, `hosts.0`. What a
    /// plugin looks up with `capelet_host.config`. `null`, and lists and mappings that are empty, give nothing. Where two ways lead to the
    /// same key, the first in the file wins.
    ///
    /// - Parameter resolvingSecrets: see `jsonText`.
    /// - Throws: `SecretFileError` when a secret file cannot be read now.
    public func flattened(resolvingSecrets: Bool) throws(SecretFileError) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        var seen: Set<String> = []
        for (key, value) in leaves() where seen.insert(key).inserted {
            switch value {
            case .bool(let bool): pairs.append((key, bool ? "true" : "false"))
            case .int(let number): pairs.append((key, String(number)))
            case .double(let number): pairs.append((key, String(number)))
            case .string(let text): pairs.append((key, text))
            case .secretFile(let path): pairs.append((key, resolvingSecrets ? try SecretFile.read(path) : Self.redacted))
            case .null, .array, .object: continue
            }
        }
        return pairs
    }

    /// Every value that holds no others, with its dotted key.
    func leaves() -> [(key: String, value: ConfigValue)] {
        var leaves: [(key: String, value: ConfigValue)] = []
        appendLeaves(under: "", to: &leaves)
        return leaves
    }

    private func appendLeaves(under prefix: String, to leaves: inout [(key: String, value: ConfigValue)]) {
        let join = { (key: String) in prefix.isEmpty ? key : prefix + "." + key }
        switch self {
        case .array(let values) where !values.isEmpty:
            for (index, value) in values.enumerated() { value.appendLeaves(under: join(String(index)), to: &leaves) }
        case .object(let entries) where !entries.isEmpty:
            for entry in entries { entry.value.appendLeaves(under: join(entry.key), to: &leaves) }
        default:
            if !prefix.isEmpty { leaves.append((prefix, self)) }
        }
    }
}
