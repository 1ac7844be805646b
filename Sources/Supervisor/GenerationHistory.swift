/// In which order the contents of each plugin came to serve. Every content stands once, where it served last. A value; `GenerationStore` keeps it
/// on disk.
///
/// What serves is what lies in the plugins folder; going back to an earlier generation (`Rollback`) changes nothing here, so that
/// "the one before" means the same before and after it.
struct GenerationHistory: Equatable {
    /// `PLUGIN-ID`, the oldest first.
    private(set) var names: [String] = []

    init() {}

    /// From the file: one name a line.
    init(parsing text: String) { names = text.split(separator: "\n").map(String.init) }

    /// For the file.
    var text: String { names.map { $0 + "\n" }.joined() }

    /// The plugin of a name.
    static func plugin(of name: String) -> Substring { name.dropLast(17) }

    /// This content of a plugin serves now. Returns whether that was not known.
    mutating func cameToServe(_ name: String) -> Bool {
        if names.last(where: { Self.plugin(of: $0) == Self.plugin(of: name) }) == name { return false }
        names.removeAll { $0 == name }
        names.append(name)
        return true
    }

    /// What served before it, the latest first.
    func before(_ name: String) -> [String] {
        let end = names.lastIndex(of: name) ?? names.endIndex
        return names[..<end].reversed().filter { Self.plugin(of: $0) == Self.plugin(of: name) }
    }

    /// The place of a name; the higher, the later. -1: it has never served.
    func rank(_ name: String) -> Int { names.lastIndex(of: name) ?? -1 }

    /// Leaves only some.
    mutating func keep(_ isKept: (String) -> Bool) { names = names.filter(isKept) }
}
