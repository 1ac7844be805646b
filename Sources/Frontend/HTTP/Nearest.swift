/// Finds what somebody may have meant.
enum Nearest {
    /// The name with the fewest edits to `text`, when these are few enough to be a slip.
    static func name(to text: String, among names: some Sequence<String>) -> String? {
        guard text.utf8.count <= 100 else { return nil }
        let wanted = Array(text.lowercased())
        var best: (name: String, distance: Int)?
        for name in names.sorted() {
            let distance = edits(wanted, Array(name.lowercased()))
            if distance <= max(1, max(wanted.count, name.count) / 3), distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    /// Levenshtein distance.
    private static func edits(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let cost = a == b ? diagonal : min(diagonal, row[j], row[j + 1]) + 1
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[right.count]
    }
}
