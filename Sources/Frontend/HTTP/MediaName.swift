/// A content type without its parameters, in lower case: `application/json`.
struct MediaName: Equatable {
    let essence: String

    /// Nil when the header is missing or empty.
    init?(_ header: String?) {
        guard let header else { return nil }
        let text = header.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
        if text.isEmpty { return nil }
        essence = text
    }
}

extension String {
    /// The text with `%XX` decoded; nil when that is not UTF-8 or a percent sign stands alone.
    func removingURLPercentEncoding() -> String? {
        var out: [UInt8] = []
        var iterator = utf8.makeIterator()
        while let byte = iterator.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = iterator.next().flatMap(JSONScanner.hexDigit), let low = iterator.next().flatMap(JSONScanner.hexDigit)
                else { return nil }
                out.append(high << 4 | low)
            } else {
                out.append(byte)
            }
        }
        return String(validating: out, as: UTF8.self)
    }
}
