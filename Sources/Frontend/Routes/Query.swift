import Hummingbird

/// A request's query, read strictly: a parameter that is not known is refused, so that a typing error is not taken for "everything".
struct Query {
    private let values: [String: String]

    init(_ request: Request, known: Set<String>) throws(Problem) {
        var values: [String: String] = [:]
        for (key, value) in request.uri.queryParameters {
            let name = String(key)
            guard known.contains(name) else {
                let near =
                    Nearest.name(to: name, among: known).map { "; did you mean `\($0)`?" }
                    ?? "; known: \(known.sorted().joined(separator: ", "))"
                throw .invalid("there is no parameter `\(name.prefix(64))`\(near)", field: name)
            }
            guard values.updateValue(String(value), forKey: name) == nil else { throw .invalid("given twice", field: name) }
        }
        self.values = values
    }

    func text(_ name: String) -> String? {
        guard let value = values[name], !value.isEmpty else { return nil }
        return value
    }

    func required(_ name: String) throws(Problem) -> String {
        guard let value = text(name) else { throw .invalid("the parameter `\(name)` is missing", field: name) }
        return value
    }

    func number<Number: FixedWidthInteger>(_ name: String, default fallback: Number, in range: ClosedRange<Number>) throws(Problem)
        -> Number
    {
        guard let value = text(name) else { return fallback }
        guard let number = Number(value), range.contains(number) else {
            throw .invalid("has to be an integer from \(range.lowerBound) to \(range.upperBound)", field: name)
        }
        return number
    }

    func flag(_ name: String) throws(Problem) -> Bool {
        switch values[name] {
        case nil, "0", "false": false
        case "1", "true", "": true
        default: throw .invalid("has to be 1 or 0", field: name)
        }
    }
}
