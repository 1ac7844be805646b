/// Finds what was probably meant by a name that does not exist.
enum NearestName {
    /// The candidate with the fewest edits from `name`, if they are few for its length; the first one of several.
    static func of(_ name: String, among candidates: some Sequence<String>) -> String? {
        guard name.utf8.count <= RoutingLimits.nameBytesMax else { return nil }
        let wanted = Array(name.lowercased().utf8)
        // One edit in three letters: 'retrys' is 'retry', but 'cat' is not 'cpu'.
        var best: (edits: Int, name: String)?
        let limit = max(1, wanted.count / 3)
        for candidate in candidates where candidate != name {
            let edits = distance(wanted, Array(candidate.lowercased().utf8))
            if edits <= limit, edits < best?.edits ?? Int.max { best = (edits, candidate) }
        }
        return best?.name
    }

    /// Insertions, deletions, replacements and swaps of neighbours that turn one into the other (optimal string alignment).
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
                var edits = min(replaced, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    edits = min(edits, beforePrevious[column - 1] + 1)
                }
                current.append(edits)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
