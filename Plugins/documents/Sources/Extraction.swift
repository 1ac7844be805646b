/// What `extract` puts out, and `index` takes in: what is known about a file, and its text.
///
/// Encoded as one line of JSON, `{"kind":"text","size":12,"mtime":1767225600000000000,"hash":"…","encoding":"utf-8","cut":false}`, a
/// line feed, and the text.
struct Extraction: Equatable {
    /// What became of the file.
    enum Kind: String {
        /// It could be read as text.
        case text
        /// It is something else.
        case binary
        /// It was not there any more, or is no regular file now.
        case gone
        /// The event says that it was deleted.
        case deleted
    }

    var kind: Kind
    /// Bytes in the file.
    var size: Int64 = 0
    /// When the file was last changed, in nanoseconds since 1970.
    var mtime: Int64 = 0
    /// SHA-256 of the whole file in hexadecimal. Empty for what is not there, and for a file over `hash-max-size`.
    var hash = ""
    /// `utf-8` or `latin-1`, with `+gzip` for what was unpacked. Empty unless `kind` is text.
    var encoding = ""
    /// Whether the text is not the whole text, because of `max-size` or the limit of an output.
    var isCut = false
    /// The text. Empty unless `kind` is text.
    var text = ""

    /// The most that the header line takes.
    static let headerSizeMax = 512

    /// The encoded form.
    var encoded: [UInt8] {
        let header = """
            {"kind":"\(kind.rawValue)","size":\(size),"mtime":\(mtime),"hash":"\(hash)","encoding":"\(encoding)","cut":\(isCut)}

            """
        var bytes = [UInt8]()
        bytes.reserveCapacity(header.utf8.count + text.utf8.count)
        bytes.append(contentsOf: header.utf8)
        bytes.append(contentsOf: text.utf8)
        return bytes
    }
}

extension Extraction {
    /// Reads the encoded form; nil if it is not one. Unknown members of the header are passed over.
    init?(encoded bytes: UnsafeRawBufferPointer) {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        guard let members = Self.members(UnsafeRawBufferPointer(rebasing: bytes[..<end])) else { return nil }
        guard let kind = members["kind"].flatMap(Kind.init(rawValue:)) else { return nil }
        guard let size = members["size"].flatMap({ Int64($0) }), let mtime = members["mtime"].flatMap({ Int64($0) }) else { return nil }
        self.init(
            kind: kind, size: size, mtime: mtime, hash: members["hash"] ?? "", encoding: members["encoding"] ?? "",
            isCut: members["cut"] == "true", text: String(decoding: bytes[(end + 1)...], as: UTF8.self))
    }

    /// A flat JSON object whose texts have no escapes, which is all that `encoded` writes: names and values as text.
    private static func members(_ line: UnsafeRawBufferPointer) -> [String: String]? {
        let text = String(decoding: line, as: UTF8.self)
        guard text.hasPrefix("{"), text.hasSuffix("}"), !text.contains("\\") else { return nil }
        var members: [String: String] = [:]
        for member in text.dropFirst().dropLast().split(separator: ",") {
            let parts = member.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].hasPrefix("\""), parts[0].hasSuffix("\""), parts[0].utf8.count > 2 else { return nil }
            let value = parts[1]
            let isText = value.hasPrefix("\"") && value.hasSuffix("\"") && value.utf8.count >= 2
            members[String(parts[0].dropFirst().dropLast())] = String(isText ? value.dropFirst().dropLast() : value)
        }
        return members
    }
}
