@testable import Routing

/// Writes a route table as a routing file in which every setting is spelled out.
struct RoutingText {
    private(set) var text = ""

    /// Settings whose texts are names, paths or addresses, and not numbers or words of the file's syntax.
    private static let texts: Set<String> = [
        "plugins", "data", "listen.http", "listen.resp", "tokens.admin", "tokens.producers", "tokens", "source.directory", "plugin",
        "lambda",
        "library", "function", "signature", "output",
    ]
    /// Settings that are left out where there is nothing to say.
    private static let optional: Set<String> = [
        "libraries", "listen.resp", "listen.hosts", "tokens.admin", "tokens.producers", "tokens", "cpu", "processors",
    ]
    /// Settings that are lists: written from what they hold.
    private static let lists = ["after", "arguments", "filter.", "sandbox.read", "sandbox.write", "sandbox.environment"]

    init(_ table: RouteTable) {
        text = "{"
        let hosts = table.listen.hosts.isEmpty ? [:] : ["listen": "hosts: \(Self.list(table.listen.hosts))"]
        write(table.settings.filter { $0.key != "libraries" && $0.key != "listen.hosts" }, adding: hosts)
        if !table.libraries.isEmpty { text += ", libraries: \(Self.list(table.libraries))" }
        text += ", domains: {"
        for domain in table.domains.values {
            text += Self.quoted(domain.name) + ": {lambdas: " + Self.list(domain.lambdas) + ", "
            write(domain.settings.filter { domain.source != nil || !$0.key.hasPrefix("source.") })
            text += "}, "
        }
        text += "}, lambdas: {"
        for lambda in table.lambdas.values {
            text += Self.quoted(lambda.name) + ": {"
            write(
                lambda.settings.filter { setting in
                    // What lives in a library has no plugin, no name there and no configuration.
                    !Self.lists.contains { setting.key.hasPrefix($0) } && (setting.key != "plugin" || lambda.plugin != nil)
                        && (setting.key != "lambda" || lambda.function == nil)
                },
                adding: [
                    "sandbox": "read: \(Self.list(lambda.sandbox.read)), write: \(Self.list(lambda.sandbox.write)), "
                        + "environment: \(Self.list(lambda.sandbox.environment))"
                ])
            text += ", after: \(Self.list(lambda.after)), filter: {" + Self.filter(lambda.filter) + "}, environment: {"
            for (name, value) in lambda.environment { text += Self.quoted(name) + ": " + Self.quoted(value) + ", " }
            text += "}"
            if let function = lambda.function {
                text += ", arguments: [" + function.arguments.map(Self.argument).joined(separator: ", ") + "]}, "
            } else {
                text += ", config: " + Self.config(lambda.config) + "}, "
            }
        }
        text += "}}"
    }

    /// Writes settings as a mapping's entries; those with a dot in their key go into a mapping of their own, along with `adding`.
    private mutating func write(_ settings: SettingTexts, adding: [String: String] = [:]) {
        var sections: [(name: String, entries: [String])] = []
        for (key, value) in settings where value != "none" || !Self.optional.contains(key) {
            let shown = Self.texts.contains(key) ? Self.quoted(value) : value
            if let (section, inner) = key.components(around: ".") {
                if sections.last?.name != section { sections.append((section, [])) }
                sections[sections.count - 1].entries.append("\(inner): \(shown)")
            } else {
                sections.append(("", ["\(key): \(shown)"]))
            }
        }
        let written = sections.map { section in
            let entries = section.entries + (adding[section.name].map { [$0] } ?? [])
            return section.name.isEmpty ? entries[0] : "\(section.name): {\(entries.joined(separator: ", "))}"
        }
        text += written.joined(separator: ", ")
    }

    private static func filter(_ filter: EventFilter) -> String {
        // An empty list is refused: leaving the key out says the same.
        let lists = [
            ("type", filter.types), ("not-type", filter.notTypes), ("subject-prefix", filter.subjectPrefixes),
            ("subject-suffix", filter.subjectSuffixes),
        ]
        var text = lists.filter { !$0.1.isEmpty }.map { "\($0.0): \(list($0.1)), " }.joined() + "header: {"
        for (name, values) in filter.headers { text += "? " + quoted(name) + " : " + list(values) + ", " }
        return text + "}"
    }

    private static func config(_ value: ConfigValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let bool): bool ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number): String(number)
        case .string(let text): quoted(text)
        case .secretFile(let path): "{file: \(quoted(path))}"
        case .array(let values): "[" + values.map(config).joined(separator: ", ") + "]"
        case .object(let entries): "{" + entries.map { "? " + quoted($0.key) + " : " + config($0.value) }.joined(separator: ", ") + "}"
        }
    }

    private static func argument(_ argument: FunctionArgument) -> String {
        switch argument {
        case .text(let text): quoted(text.hasPrefix("$") ? "$" + text : text)
        case .integer, .float, .bool, .null: argument.text
        default: quoted(argument.text)
        }
    }

    private static func list(_ texts: [String]) -> String { "[" + texts.map(quoted).joined(separator: ", ") + "]" }

    /// YAML 1.2 §7.3.1. Keys of any length have to follow a question mark: those of more than 1,024 characters. Everything that is not plain ASCII is escaped.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" {
                result += "\\\(scalar)"
            } else if (0x20...0x7E).contains(scalar.value) {
                result.unicodeScalars.append(scalar)
            } else {
                let code = String(scalar.value, radix: 16)
                result += "\\U" + String(repeating: "0", count: 8 - code.count) + code
            }
        }
        return result + "\""
    }
}
