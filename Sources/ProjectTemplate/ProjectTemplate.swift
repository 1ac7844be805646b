// ProjectTemplate: what `capelet new` writes.
//
// Pure: makes paths and texts, and touches no file. The SDK and the templates are compiled in (EmbeddedSDK.swift, made by
// PluginSDK/embed.sh), so a new project needs neither Capelet's sources nor a network. Templates and their placeholders are described
// in PluginSDK/Templates/README.md.

/// A new plugin project.
public enum ProjectTemplate {
    /// A language that there is a template for.
    public enum Language: String, Sendable, CaseIterable {
        /// Swift, with a copy of the SDK.
        case swift
        /// C, with a copy of capelet.h.
        case c

        /// The command that builds a new project, and where the plugin is afterwards, for a project called `name`.
        public func build(name: String) -> (command: String, plugin: String) {
            switch self {
            case .swift: ("swift build -c release", ".build/release/lib\(name).so")
            case .c: ("make", "\(name).so")
            }
        }
    }

    /// A name that cannot be a plugin's.
    public struct InvalidName: Error, Equatable, CustomStringConvertible {
        /// The name.
        public let name: String
        /// What is wrong with it, and what would be right.
        public let problem: String

        /// `"2fast" cannot be a plugin's name: it has to begin with a letter`
        public var description: String { "\"\(name)\" cannot be a plugin's name: \(problem)" }
    }

    /// The files of a new project called `name`: paths relative to its folder, and texts, in the order of paths.
    ///
    /// The name is that of the plugin and its lambda: letters, digits, `-` and `_`, a letter first, at most 64 characters.
    public static func render(name: String, language: Language) throws(InvalidName) -> [(path: String, contents: String)] {
        try check(name)
        let typeName = typeName(name)
        func fill(_ text: String) -> String {
            replacing("__Name__", with: typeName, in: replacing("__name__", with: name, in: text))
        }
        let template: [EmbeddedFile]
        var files: [(path: String, contents: String)]
        switch language {
        case .swift:
            template = EmbeddedSDK.swiftTemplate
            files = EmbeddedSDK.sdk.map { (path: "capelet-sdk/\($0.path)", contents: $0.contents) }
        case .c:
            template = EmbeddedSDK.cTemplate
            files = EmbeddedSDK.sdk.filter { $0.path.hasSuffix("/capelet.h") }.map { (path: "capelet.h", contents: $0.contents) }
        }
        for file in template { files.append((path: undotted(fill(file.path)), contents: fill(file.contents))) }
        return files.sorted { $0.path < $1.path }
    }

    /// `my-hook_2` → `MyHook2`
    static func typeName(_ name: String) -> String {
        name.split { $0 == "-" || $0 == "_" }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    private static func check(_ name: String) throws(InvalidName) {
        func isLetter(_ character: Character) -> Bool { character.isASCII && character.isLetter }
        func isAllowed(_ character: Character) -> Bool {
            isLetter(character) || character.isASCII && character.isNumber || character == "-" || character == "_"
        }
        guard let first = name.first else { throw InvalidName(name: name, problem: "it is empty") }
        guard isLetter(first) else { throw InvalidName(name: name, problem: "it has to begin with a letter") }
        guard name.allSatisfy(isAllowed) else { throw InvalidName(name: name, problem: "use letters, digits, - and _ only") }
        guard name.utf8.count <= 64 else { throw InvalidName(name: name, problem: "it is longer than 64 characters") }
        guard !["capelet-sdk", "capeletsdk", "capeletjson", "ccapelet"].contains(name.lowercased()) else {
            throw InvalidName(name: name, problem: "the SDK has this name; choose another")
        }
    }

    private static func undotted(_ path: String) -> String {
        path.split(separator: "/").map { $0.hasPrefix("dot-") ? "." + $0.dropFirst(4) : String($0) }.joined(separator: "/")
    }

    private static func replacing(_ placeholder: String, with value: String, in text: String) -> String {
        var result = ""
        var rest = text[...]
        while let range = rest.firstRange(of: placeholder) {
            result += rest[..<range.lowerBound]
            result += value
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
