/// Reads `config:` of a lambda.
struct ConfigReader {
    let reader: TableReader
    private var log: ProblemLog { reader.log }

    init(reader: TableReader) {
        self.reader = reader
    }

    /// The whole of `config:`, which must be a mapping. A key `file` at this level is a key like any other.
    func config(_ value: YAMLValue, place: String) -> ConfigValue {
        guard case .mapping(let entries) = value.content else {
            log.add(value.position, "\(place) must be a mapping of keys and values, not \(value.summary)")
            return .object([])
        }
        return .object(entries.map { ($0.key, self.value($0.value, place: place)) })
    }

    private func value(_ value: YAMLValue, place: String) -> ConfigValue {
        switch value.content {
        case .scalar(let text, plain: false): return .string(text)
        case .scalar(let text, plain: true): return scalar(text, at: value.position, place: place)
        case .sequence(let items): return .array(items.map { self.value($0, place: place) })
        case .mapping(let entries):
            if entries.count == 1, entries[0].key == "file", case .scalar(let path, plain: _) = entries[0].value.content {
                return secret(path, at: entries[0].value.position, place: place)
            }
            return .object(entries.map { ($0.key, self.value($0.value, place: place)) })
        }
    }

    private func scalar(_ text: String, at: Position, place: String) -> ConfigValue {
        if YAMLScalar.nulls.contains(text) { return .null }
        if let bool = YAMLScalar.bool(text) { return .bool(bool) }
        switch YAMLScalar.number(text) {
        case .int(let number): return .int(number)
        case .double(let number): return .double(number)
        case .unsupported:
            log.add(at, "the number \(quoted(text)) in \(place) has no form in JSON", hint: "put it in quotes to pass it as text")
            return .null
        case nil: return .string(text)
        }
    }

    private func secret(_ text: String, at: Position, place: String) -> ConfigValue {
        guard let path = reader.path(text, at: at, named: "'file' in \(place)") else { return .null }
        do throws(SecretFileError) {
            _ = try SecretFile.read(path)
        } catch {
            log.add(at, "'file' in \(place): \(error)")
        }
        return .secretFile(path)
    }
}
