/// A place in a file. Columns count Unicode scalars, as libYAML does.
struct Position: Hashable, Comparable, Sendable {
    /// From 1.
    var line: Int
    /// From 1.
    var column: Int

    static func < (left: Position, right: Position) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// One value of a YAML file: aliases are resolved, keys are text and occur once.
struct YAMLValue {
    /// What the value is.
    enum Content {
        /// Text. `plain`: without quotes, so that it can also mean a number, a truth value or nothing.
        case scalar(String, plain: Bool)
        /// A list.
        case sequence([YAMLValue])
        /// Keys and values in the file's order.
        case mapping([YAMLEntry])
    }

    /// Where it begins.
    var position: Position
    /// What it is.
    var content: Content

    /// Whether this is `null` or nothing at all.
    var isNull: Bool {
        guard case .scalar(let text, plain: true) = content else { return false }
        return YAMLScalar.nulls.contains(text)
    }

    /// Whether this is `[]`.
    var isEmptyList: Bool {
        guard case .sequence(let items) = content else { return false }
        return items.isEmpty
    }

    /// How messages name it: `'30x'`, `a list`.
    var summary: String {
        switch content {
        case .scalar(_, _) where isNull: "nothing"
        case .scalar(let text, plain: true): quoted(text)
        case .scalar(let text, plain: false): "the text \(quoted(text))"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}

/// One key of a mapping and its value.
struct YAMLEntry {
    /// The key.
    var key: String
    /// Where the key begins.
    var keyPosition: Position
    /// Its value.
    var value: YAMLValue
}

/// The text in quotes, cut to what fits a message, control characters replaced.
func quoted(_ text: String) -> String {
    var shown = ""
    for (count, scalar) in text.unicodeScalars.enumerated() {
        if count == 60 {
            shown += "..."
            break
        }
        shown.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
    }
    return "'\(shown)'"
}
