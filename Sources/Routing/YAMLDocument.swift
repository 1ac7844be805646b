import Yams

/// Reads YAML text into a tree of `YAMLValue` with the help of Yams.
///
/// Yams does three things that a routing file must not suffer from, so the text is changed before it sees it, without moving
/// any line or column:
/// - It expands aliases, and hashes keys, so that a few lines of aliases within aliases in a key take forever. Here every `*`
///   becomes a stand-in character: what was an alias is then a plain scalar that begins with it, and is resolved here,
///   against a budget.
/// - It stops at the first mapping with duplicate keys and names only the first of them. Here that first one gets a stand-in
///   for its first character and the text is parsed again, until all keys are different; then all duplicates are known.
/// - It resolves scalars by YAML 1.1 (`no` is false). Here by 1.2: `YAMLScalar`.
struct YAMLDocument {
    private let log: ProblemLog
    private var scalars: [Unicode.Scalar]
    /// Index of the first scalar of each line.
    private let lineStarts: [Int]
    /// Characters that do not occur in the text.
    private let standIns: [Unicode.Scalar]
    /// Keys that had to be changed to become different from their duplicates.
    private var changedKeys: [Position: String] = [:]

    /// How often the text is parsed for duplicate keys, at most.
    private static let roundsMax = 20
    /// How many characters are parsed in all those rounds, but for the first two.
    private static let scalarsMax = 4 << 20

    /// The tree of `text`; nil when it is not one well-formed document that holds something, which the log then says.
    static func read(_ text: String, log: ProblemLog) -> YAMLValue? {
        guard var document = YAMLDocument(text, log: log), let (parser, root) = document.parse() else { return nil }
        // The parser owns the anchors; nodes refer to them weakly.
        return withExtendedLifetime(parser) {
            var tree = YAMLTree(star: document.standIns[0], changedKeys: document.changedKeys, log: log)
            return tree.value(root, depth: 1)
        }
    }

    private init?(_ text: String, log: ProblemLog) {
        self.log = log
        scalars = Array(text.unicodeScalars)
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        lineStarts = Self.lineStarts(scalars)
        let present = Set(scalars.lazy.filter { $0.value >= 0xF0000 })
        // The private-use planes. A file of at most 1 MiB has no room for more than 262,144 of their 131,068 characters at four bytes
        // each, but a file that uses nearly all of them is no routing file.
        let unused = (0xF0000...0xFFFFD).lazy.compactMap(Unicode.Scalar.init).filter { !present.contains($0) }
        standIns = Array(unused.prefix(Self.roundsMax + 1))
        guard standIns.count == Self.roundsMax + 1 else {
            log.add(nil, "the file is full of private-use characters; it is no routing file")
            return nil
        }
        if let index = scalars.firstIndex(where: { !Self.isAllowed($0) }) {
            let code = String(scalars[index].value, radix: 16, uppercase: true)
            let name = "U+" + String(repeating: "0", count: max(0, 4 - code.count)) + code
            log.add(position(of: index), "the character \(name) is not allowed in YAML; remove it")
            return nil
        }
        for index in scalars.indices where scalars[index] == "*" { scalars[index] = standIns[0] }
    }

    /// Parses until all keys are different.
    private mutating func parse() -> (Parser, Node)? {
        var duplicate: (at: Position, names: [String])?
        for round in 1...max(2, min(Self.roundsMax, Self.scalarsMax / max(1, scalars.count))) {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars)
            do {
                let parser = try Parser(yaml: String(view), resolver: .basic, constructor: .default, encoding: .utf8)
                guard let root = try parser.singleRoot() else {
                    log.add(nil, "the file is empty", hint: "the least that is needed is: domains: { NAME: { lambdas: [NAME] } }")
                    return nil
                }
                return (parser, root)
            } catch YamlError.duplicatedKeysInMapping(let names, let context) {
                let at = Position(line: context.mark.line, column: context.mark.column)
                duplicate = (at, names)
                guard change(keyAt: at, names: names, standIn: standIns[round]) else { break }
            } catch {
                // A changed key can break the syntax where it was not a plain one: then the duplicate is what was wrong.
                if let duplicate {
                    note(duplicate)
                } else {
                    note(error)
                }
                return nil
            }
        }
        if let duplicate { note(duplicate) }
        return nil
    }

    /// Makes the key at a place differ from all others. False: no key can be found there.
    private mutating func change(keyAt at: Position, names: [String], standIn: Unicode.Scalar) -> Bool {
        guard lineStarts.indices.contains(at.line - 1) else { return false }
        var index = lineStarts[at.line - 1] + at.column - 1
        guard scalars.indices.contains(index) else { return false }
        if scalars[index] == "\"" || scalars[index] == "'" { index += 1 }
        guard scalars.indices.contains(index) else { return false }
        if changedKeys[at] == nil {
            let rest = scalars[index...]
            // The longest name that stands there: `names` are all duplicates of the mapping.
            guard let name = names.filter({ rest.starts(with: $0.unicodeScalars) }).max(by: { $0.count < $1.count }), !name.isEmpty
            else { return false }
            changedKeys[at] = name
        }
        scalars[index] = standIn
        return true
    }

    private func note(_ duplicate: (at: Position, names: [String])) {
        // The place is that of the first name.
        let name = quoted(restored(duplicate.names.first ?? ""))
        let others = duplicate.names.count - 1
        let more = others > 0 ? ", as are \(others) other keys of this mapping" : ""
        log.add(duplicate.at, "duplicate key \(name): it is here and again further down\(more)", hint: "keep one of them")
    }

    private func restored(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == standIns[0] ? "*" : $0 }))
    }

    private func note(_ error: any Error) {
        switch error {
        case YamlError.scanner(let context, let problem, let mark, yaml: _), YamlError.parser(let context, let problem, let mark, yaml: _):
            let at = Position(line: mark.line, column: mark.column)
            var message = "not valid YAML: \(problem)"
            if let context {
                let begin = context.mark.line == mark.line ? "" : " that begins at line \(context.mark.line)"
                message += " (\(context.text)\(begin))"
            }
            log.add(at, message, hint: hint(at))
        case YamlError.composer(context: _, problem: _, let mark, yaml: _):
            let at = Position(line: mark.line, column: mark.column)
            log.add(at, "a second YAML document begins here; a routing file is one document")
        case YamlError.memory:
            log.add(nil, "not valid YAML: nested too deeply")
        default:
            log.add(nil, "not valid YAML: \(error)")
        }
    }

    /// What is most often meant by a syntax error at a place.
    private func hint(_ at: Position) -> String? {
        guard lineStarts.indices.contains(at.line - 1) else { return nil }
        let start = lineStarts[at.line - 1]
        let end = lineStarts.indices.contains(at.line) ? lineStarts[at.line] : scalars.count
        let indent = scalars[start..<end].prefix { $0 == " " || $0 == "\t" }
        return indent.contains("\t") ? "indent with spaces, not tabs" : nil
    }

    private func position(of index: Int) -> Position {
        let line = lineStarts.lastIndex { $0 <= index } ?? 0
        return Position(line: line + 1, column: index - lineStarts[line] + 1)
    }

    /// Line breaks as libYAML counts them.
    private static func lineStarts(_ scalars: [Unicode.Scalar]) -> [Int] {
        var starts = [0]
        for (index, scalar) in scalars.enumerated() {
            switch scalar.value {
            case 0x0D where index + 1 < scalars.count && scalars[index + 1] == "\n": continue
            case 0x0A, 0x0D, 0x85, 0x2028, 0x2029: starts.append(index + 1)
            default: continue
            }
        }
        return starts
    }

    /// What libYAML reads (YAML 1.2 §5.1).
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }
}
