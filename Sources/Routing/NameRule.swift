/// What names of domains, lambdas and plugins may be. They become file names, metric labels and parts of URLs.
public enum NameRule {
    /// The rule in words, as the end of a sentence.
    public static let words = "a name is letters, digits, '-', '_' and '.', at most 64 bytes, and does not begin with '.' or '-'"

    /// Whether `name` is allowed.
    public static func allows(_ name: String) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, bytes.count <= RoutingLimits.nameBytesMax else { return false }
        guard first != UInt8(ascii: "."), first != UInt8(ascii: "-") else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
    }
}
