/// A strict reader of Prometheus' text format, for tests: throws at anything that the format does not allow.
struct PrometheusParser {
    struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }
    struct Family {
        var kind: String
        var help: String
        var samples: [Sample] = []
    }
    struct Failure: Error {
        var line: Int
        var message: String
    }

    private(set) var families: [String: Family] = [:]

    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        families.values.flatMap(\.samples).first { $0.name == name && $0.labels == labels }?.value
    }

    init(_ text: String) throws {
        guard text.isEmpty || text.hasSuffix("\n") else { throw Failure(line: 0, message: "the last line has no newline") }
        var current: String?
        var help: (name: String, text: String)?
        var seen: Set<String> = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().enumerated() {
            func fail(_ message: String) -> Failure { Failure(line: index + 1, message: "\(message): \(line)") }
            if line.hasPrefix("# HELP ") {
                let parts = line.dropFirst(7).split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, help == nil else { throw fail("HELP") }
                help = (String(parts[0]), String(parts[1]))
            } else if line.hasPrefix("# TYPE ") {
                let parts = line.dropFirst(7).split(separator: " ")
                guard parts.count == 2, let known = help, known.name == parts[0], families[known.name] == nil else { throw fail("TYPE") }
                guard ["counter", "gauge", "histogram"].contains(String(parts[1])) else { throw fail("unknown type") }
                families[known.name] = Family(kind: String(parts[1]), help: known.text)
                current = known.name
                help = nil
            } else {
                guard let family = current, help == nil else { throw fail("a sample outside of a family") }
                let sample = try Self.sample(line, fail)
                let allowed = families[family]!.kind == "histogram" ? ["_bucket", "_sum", "_count"].map { family + $0 } : [family]
                guard allowed.contains(sample.name) else { throw fail("a sample of another family") }
                guard seen.insert("\(sample.name)\(sample.labels.sorted { $0.key < $1.key })").inserted else { throw fail("twice") }
                families[family]!.samples.append(sample)
            }
        }
        for (name, family) in families where family.kind == "histogram" { try Self.checkHistogram(name, family) }
    }

    private static func sample(_ line: Substring, _ fail: (String) -> Failure) throws -> Sample {
        var rest = line
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
        guard !name.isEmpty, !name.first!.isNumber else { throw fail("name") }
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while true {
                let label = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
                rest = rest.dropFirst(label.count)
                guard !label.isEmpty, !label.first!.isNumber, rest.hasPrefix("=\"") else { throw fail("label") }
                rest = rest.dropFirst(2)
                var value = ""
                while let character = rest.first, character != "\"" {
                    rest = rest.dropFirst()
                    if character == "\\" {
                        switch rest.first {
                        case "\\": value.append("\\")
                        case "n": value.append("\n")
                        case "\"": value.append("\"")
                        default: throw fail("escape")
                        }
                        rest = rest.dropFirst()
                    } else {
                        value.append(character)
                    }
                }
                guard rest.first == "\"", labels.updateValue(value, forKey: String(label)) == nil else { throw fail("label's end") }
                rest = rest.dropFirst()
                if rest.first == "," {
                    rest = rest.dropFirst()
                    continue
                }
                guard rest.first == "}" else { throw fail("labels' end") }
                rest = rest.dropFirst()
                break
            }
        }
        guard rest.first == " ", let value = Double(rest.dropFirst()), value.isFinite else { throw fail("value") }
        return Sample(name: String(name), labels: labels, value: value)
    }

    private static func checkHistogram(_ name: String, _ family: Family) throws {
        var groups: [[String: String]: [(bound: Double, count: Double)]] = [:]
        for sample in family.samples where sample.name == name + "_bucket" {
            var labels = sample.labels
            guard let le = labels.removeValue(forKey: "le"), let bound = le == "+Inf" ? .infinity : Double(le) else {
                throw Failure(line: 0, message: "\(name): a bucket without a bound")
            }
            groups[labels, default: []].append((bound, sample.value))
        }
        for (labels, buckets) in groups {
            for (lower, upper) in zip(buckets, buckets.dropFirst()) where lower.bound >= upper.bound || lower.count > upper.count {
                throw Failure(line: 0, message: "\(name)\(labels): buckets do not ascend")
            }
            let count = family.samples.first { $0.name == name + "_count" && $0.labels == labels }?.value
            guard buckets.last?.bound == .infinity, buckets.last?.count == count else {
                throw Failure(line: 0, message: "\(name)\(labels): the last bucket is not the count")
            }
            guard family.samples.contains(where: { $0.name == name + "_sum" && $0.labels == labels }) else {
                throw Failure(line: 0, message: "\(name)\(labels): no sum")
            }
        }
    }
}
