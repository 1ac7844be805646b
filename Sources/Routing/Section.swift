/// One mapping of the file whose keys are known: checks them, and reads typed values. What is wrong goes to the log, and the
/// default stays. One thread.
struct Section {
    /// How messages name it: `lambda 'charge'`, `'retry' of lambda 'charge'`.
    let place: String
    let log: ProblemLog
    private var entries: [String: YAMLEntry] = [:]

    /// Reads a mapping with some of `keys`; nothing at all is an empty one. Nil when it is neither.
    init?(_ value: YAMLValue, place: String, keys: [String], log: ProblemLog) {
        self.place = place
        self.log = log
        if value.isNull { return }
        guard case .mapping(let found) = value.content else {
            let hint = "keys: \(keys.joined(separator: ", "))"
            log.add(value.position, "\(place) must be a mapping of keys and values, not \(value.summary)", hint: hint)
            return nil
        }
        for entry in found {
            if keys.contains(entry.key) {
                entries[entry.key] = entry
            } else {
                log.add(entry.keyPosition, "unknown key \(quoted(entry.key)) \(within)", hint: Self.hint(entry.key, keys: keys))
            }
        }
    }

    private static func hint(_ key: String, keys: [String]) -> String {
        if let near = NearestName.of(key, among: keys) { return "did you mean '\(near)'?" }
        return RoutingKeys.elsewhere[key] ?? "keys here: \(keys.joined(separator: ", "))"
    }

    /// The end of a message about a key.
    private var within: String { place.isEmpty ? "at the top level" : "in \(place)" }

    /// How messages name a key: `'workers' in lambda 'charge'`.
    func name(_ key: String) -> String { "'\(key)' \(within)" }

    /// The place of a section below this one.
    func place(of key: String) -> String { place.isEmpty ? "'\(key)'" : "'\(key)' of \(place)" }

    /// The value of a key.
    func value(_ key: String) -> YAMLValue? { entries[key]?.value }

    /// Where a key is.
    func position(of key: String) -> Position? { entries[key]?.keyPosition }

    /// Whether a key is there.
    func has(_ key: String) -> Bool { entries[key] != nil }

    /// The section that a key holds.
    func section(_ key: String, keys: [String]) -> Section? {
        value(key).flatMap { Section($0, place: place(of: key), keys: keys, log: log) }
    }

    // MARK: Typed values

    /// Text; numbers and truth values without quotes count as text too.
    func text(_ key: String) -> String? {
        value(key).flatMap { text($0, named: name(key)) }
    }

    /// Text of a value that `named` names.
    func text(_ value: YAMLValue, named: String) -> String? {
        if !value.isNull, case .scalar(let text, plain: _) = value.content { return text }
        log.add(value.position, "\(named) must be text, not \(value.summary)")
        return nil
    }

    /// One text or a list of texts, with their places; at least one.
    func texts(_ key: String) -> [(text: String, at: Position)]? {
        value(key).flatMap { texts($0, named: name(key)) }
    }

    /// One text or a list of texts of a value that `named` names; at least one.
    func texts(_ value: YAMLValue, named: String) -> [(text: String, at: Position)]? {
        guard case .sequence(let items) = value.content else {
            return text(value, named: named).map { [($0, value.position)] }
        }
        if items.isEmpty {
            log.add(value.position, "\(named) is an empty list", hint: "name at least one, or leave the key out")
            return nil
        }
        return items.compactMap { item in text(item, named: "each element of \(named)").map { ($0, item.position) } }
    }

    /// A truth value.
    func read(_ key: String, into target: inout Bool) {
        guard let value = value(key) else { return }
        if case .scalar(let text, plain: true) = value.content, let bool = YAMLScalar.bool(text) {
            target = bool
        } else {
            log.add(value.position, "\(name(key)) must be true or false, not \(value.summary)")
        }
    }

    /// A whole number.
    func read(_ key: String, into target: inout Int, in range: ClosedRange<Int>) {
        guard let value = value(key) else { return }
        guard case .scalar(let text, plain: true) = value.content, case .int(let number) = YAMLScalar.number(text) else {
            return log.add(value.position, "\(name(key)) must be a whole number, not \(value.summary)")
        }
        guard let int = Int(exactly: number), range.contains(int) else {
            return log.add(
                value.position, "\(name(key)) is \(number), but must be between \(range.lowerBound) and \(range.upperBound)")
        }
        target = int
    }

    /// A number of bytes.
    func read(_ key: String, intoSize target: inout UInt64, in range: ClosedRange<UInt64>) {
        guard let value = value(key) else { return }
        guard case .scalar(let text, plain: _) = value.content, let bytes = Quantity.bytes(text) else {
            return log.add(value.position, "\(name(key)) must be a size, not \(value.summary)", hint: Quantity.sizeExamples)
        }
        guard range.contains(bytes) else {
            let (low, high) = (Quantity.text(bytes: range.lowerBound), Quantity.text(bytes: range.upperBound))
            return log.add(value.position, "\(name(key)) is \(text), but must be between \(low) and \(high)")
        }
        target = bytes
    }

    /// A number of bytes.
    func read(_ key: String, intoSize target: inout Int, in range: ClosedRange<UInt64>) {
        var bytes = UInt64(target)
        read(key, intoSize: &bytes, in: range)
        target = Int(bytes)
    }

    /// A duration.
    func read(_ key: String, into target: inout Duration, in range: ClosedRange<Duration>) {
        guard let value = value(key) else { return }
        guard case .scalar(let text, plain: _) = value.content, !value.isNull else {
            return log.add(value.position, "\(name(key)) must be a duration, not \(value.summary)", hint: Quantity.durationExamples)
        }
        guard let duration = duration(text, at: value.position, named: name(key)) else { return }
        if check(duration, shown: text, at: value.position, named: name(key), in: range) { target = duration }
    }

    /// The duration that `text` is; nil, and a problem, when it is none.
    func duration(_ text: String, at: Position, named: String) -> Duration? {
        if let duration = Quantity.duration(text) { return duration }
        if !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
            log.add(at, "\(named) needs a unit", hint: Quantity.durationExamples)
        } else {
            log.add(at, "\(named) must be a duration, not \(quoted(text))", hint: Quantity.durationExamples)
        }
        return nil
    }

    /// Whether a duration lies in `range`; a problem when not.
    func check(_ duration: Duration, shown text: String, at: Position, named: String, in range: ClosedRange<Duration>) -> Bool {
        if range.contains(duration) { return true }
        let (low, high) = (Quantity.text(range.lowerBound), Quantity.text(range.upperBound))
        log.add(at, "\(named) is \(text), but must be between \(low) and \(high)")
        return false
    }

    /// One of a few words.
    func read<Choice: RawRepresentable & CaseIterable>(_ key: String, into target: inout Choice) where Choice.RawValue == String {
        if let choice: Choice = choice(key) { target = choice }
    }

    /// One of a few words; nil when there is none, or another.
    func choice<Choice: RawRepresentable & CaseIterable>(_ key: String) -> Choice? where Choice.RawValue == String {
        guard let value = value(key) else { return nil }
        if case .scalar(let text, plain: _) = value.content, let choice = Choice(rawValue: text) { return choice }
        let words = Choice.allCases.map(\.rawValue)
        var hint: String?
        if case .scalar(let text, plain: _) = value.content {
            hint = NearestName.of(text, among: words).map { "did you mean '\($0)'?" }
        }
        log.add(value.position, "\(name(key)) must be one of \(words.joined(separator: ", ")), not \(value.summary)", hint: hint)
        return nil
    }

    /// A name: see `NameRule`.
    func readName(_ key: String) -> String? {
        guard let value = value(key), let text = text(key) else { return nil }
        if NameRule.allows(text) { return text }
        log.add(value.position, "\(name(key)) is \(quoted(text)), which is not a valid name", hint: NameRule.words)
        return nil
    }
}
