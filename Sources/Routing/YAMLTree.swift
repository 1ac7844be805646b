import Yams

/// Turns the nodes of one document into `YAMLValue`s: resolves aliases against a budget, reports duplicate keys, refuses tags.
struct YAMLTree {
    /// What stands for `*` in the text that was parsed: see `YAMLDocument`.
    let star: Unicode.Scalar
    /// Original names of keys that were changed.
    let changedKeys: [Position: String]
    let log: ProblemLog

    /// What an anchor stands for, and what using it costs.
    private struct Anchored {
        var value: YAMLValue
        var cost: Cost
    }

    /// How much of the limits a value takes.
    private struct Cost {
        var values = 0
        var textBytes = 0
        var height = 0
    }

    private var anchors: [String: Anchored] = [:]
    private var spent = Cost()
    /// The deepest nesting seen since it was last set to 0: gives the height of an anchored value.
    private var deepest = 0
    private var isStopped = false

    init(star: Unicode.Scalar, changedKeys: [Position: String], log: ProblemLog) {
        self.star = star
        self.changedKeys = changedKeys
        self.log = log
    }

    /// The value of a node; nil after a problem that ends the reading of it, which the log says.
    mutating func value(_ node: Node, depth: Int) -> YAMLValue? {
        let at = Self.position(node)
        guard spend(Cost(values: 1), at: at, depth: depth) else { return nil }
        let anchor = Self.anchor(node)
        let before = (cost: spent, deepest: deepest)
        deepest = depth
        defer { deepest = max(before.deepest, deepest) }
        guard let content = content(node, at: at, depth: depth) else { return nil }
        let value = YAMLValue(position: at, content: content)
        if let anchor {
            let cost = Cost(
                values: spent.values - before.cost.values + 1, textBytes: spent.textBytes - before.cost.textBytes,
                height: deepest - depth)
            anchors[anchor] = Anchored(value: value, cost: cost)
        }
        return value
    }

    private mutating func content(_ node: Node, at: Position, depth: Int) -> YAMLValue.Content? {
        switch node {
        case .scalar(let scalar): return self.scalar(scalar, at: at, depth: depth)
        case .sequence(let sequence):
            guard checkTag(sequence.tag, allowed: .seq, at: at) else { return nil }
            var values: [YAMLValue] = []
            for child in sequence {
                if let value = value(child, depth: depth + 1) { values.append(value) }
                if isStopped { return nil }
            }
            return .sequence(values)
        case .mapping(let mapping):
            guard checkTag(mapping.tag, allowed: .map, at: at) else { return nil }
            return entries(mapping, depth: depth).map(YAMLValue.Content.mapping)
        case .alias:
            preconditionFailure("aliases are scalars here: see YAMLDocument")
        }
    }

    private mutating func scalar(_ scalar: Node.Scalar, at: Position, depth: Int) -> YAMLValue.Content? {
        let text = restored(scalar.string)
        guard spend(Cost(textBytes: text.utf8.count), at: at, depth: depth) else { return nil }
        if scalar.style == .plain, scalar.string.unicodeScalars.first == star { return alias(text, at: at, depth: depth) }
        switch scalar.tag.rawValue {
        case "": return .scalar(text, plain: scalar.style == .plain)
        case Tag.Name.str.rawValue, Tag.Name.nonSpecific.rawValue: return .scalar(text, plain: false)
        default:
            log.add(at, "the tag \(quoted(scalar.tag.rawValue)) is not supported", hint: "remove it")
            return nil
        }
    }

    /// What `*name` stands for.
    private mutating func alias(_ text: String, at: Position, depth: Int) -> YAMLValue.Content? {
        let name = String(text.dropFirst())
        guard !name.isEmpty, name.utf8.allSatisfy(Self.isAnchorByte) else {
            log.add(at, "not valid YAML: '*' begins an alias", hint: "put text that begins with '*' in quotes")
            return nil
        }
        guard let anchored = anchors[name] else {
            log.add(at, "there is no anchor '&\(name)' before this alias", hint: "put text that begins with '*' in quotes")
            return nil
        }
        guard spend(anchored.cost, at: at, depth: depth + anchored.cost.height) else { return nil }
        return anchored.value.content
    }

    private mutating func entries(_ mapping: Node.Mapping, depth: Int) -> [YAMLEntry]? {
        var entries: [YAMLEntry] = []
        var places: [String: Position] = [:]
        for (keyNode, valueNode) in mapping {
            let at = Self.position(keyNode)
            let key = self.key(keyNode, at: at)
            let value = value(valueNode, depth: depth + 1)
            if isStopped { return nil }
            guard let key else { continue }
            guard spend(Cost(textBytes: key.utf8.count), at: at, depth: depth) else { return nil }
            if let first = places[key] {
                log.add(at, "duplicate key \(quoted(key))", hint: "it is already at line \(first.line), column \(first.column)")
            } else {
                places[key] = at
                if let value { entries.append(YAMLEntry(key: key, keyPosition: at, value: value)) }
            }
        }
        return entries
    }

    private func key(_ node: Node, at: Position) -> String? {
        if let name = changedKeys[at] { return restored(name) }
        guard case .scalar(let scalar) = node, scalar.style != .plain || scalar.string.unicodeScalars.first != star else {
            log.add(at, "a key must be plain text")
            return nil
        }
        let text = restored(scalar.string)
        if text == "<<", scalar.style == .plain {
            log.add(at, "merging with '<<' is not supported", hint: "write the keys out")
            return nil
        }
        return text
    }

    /// Takes from the budget. False: it is used up, and reading ends.
    private mutating func spend(_ cost: Cost, at: Position, depth: Int) -> Bool {
        guard !isStopped else { return false }
        spent.values += cost.values
        spent.textBytes += cost.textBytes
        deepest = max(deepest, depth)
        if depth > RoutingLimits.depthMax {
            log.add(at, "nested deeper than \(RoutingLimits.depthMax) levels")
        } else if spent.values > RoutingLimits.valuesMax {
            log.add(at, "more than \(RoutingLimits.valuesMax) values", hint: "are there aliases of aliases?")
        } else if spent.textBytes > RoutingLimits.textBytesMax {
            log.add(at, "more than \(RoutingLimits.textBytesMax) bytes of text", hint: "are there aliases of aliases?")
        } else {
            return true
        }
        isStopped = true
        return false
    }

    private func checkTag(_ tag: Tag, allowed: Tag.Name, at: Position) -> Bool {
        if ["", Tag.Name.nonSpecific.rawValue, allowed.rawValue].contains(tag.rawValue) { return true }
        log.add(at, "the tag \(quoted(tag.rawValue)) is not supported", hint: "remove it")
        return false
    }

    private func restored(_ text: String) -> String {
        guard text.unicodeScalars.contains(star) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == star ? "*" : $0 }))
    }

    private static func position(_ node: Node) -> Position {
        guard let mark = node.mark else { return Position(line: 1, column: 1) }
        return Position(line: mark.line, column: mark.column)
    }

    private static func anchor(_ node: Node) -> String? {
        switch node {
        case .scalar(let scalar): scalar.anchor?.rawValue
        case .sequence(let sequence): sequence.anchor?.rawValue
        case .mapping(let mapping): mapping.anchor?.rawValue
        case .alias: nil
        }
    }

    private static func isAnchorByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}
