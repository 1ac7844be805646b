/// Paths as subjects (SEMANTICS §8): `%` and every byte that is not part of valid UTF-8 become `%XX` (upper case), everything else stays. One
/// to one, so that a subject leads back to its path.
enum SubjectEncoding {
    /// The subject of a path. At most three times as long.
    static func encode(_ path: some Collection<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var parser = Unicode.UTF8.ForwardParser()
        var bytes = path.makeIterator()
        var at = path.startIndex
        while true {
            switch parser.parseScalar(from: &bytes) {
            case .valid(let scalar):
                if scalar.count == 1, scalar.first == UInt8(ascii: "%") {
                    escape(UInt8(ascii: "%"), into: &result)
                } else {
                    result.append(contentsOf: scalar)
                }
                at = path.index(at, offsetBy: scalar.count)
            case .error(let length):
                for _ in 0..<length {
                    escape(path[at], into: &result)
                    at = path.index(after: at)
                }
            case .emptyInput:
                return result
            }
        }
    }

    /// The same as text.
    static func text(_ path: some Collection<UInt8>) -> String { String(decoding: encode(path), as: UTF8.self) }

    /// The path of a subject; nil when it cannot be one: an escape that is none, an empty component, `.` or `..`, a zero byte, too long.
    static func decode(_ subject: some Collection<UInt8>) -> RelativePath? {
        var path: RelativePath = []
        path.reserveCapacity(subject.count)
        var bytes = subject.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "%") else {
                path.append(byte)
                continue
            }
            guard let high = bytes.next().flatMap(digit), let low = bytes.next().flatMap(digit) else { return nil }
            path.append(high << 4 | low)
        }
        return isPath(path) ? path : nil
    }

    /// The longest path that is announced, bytes. Linux takes no longer ones in one call either (PATH_MAX).
    static let pathBytesMax = 4095

    private static func isPath(_ path: RelativePath) -> Bool {
        guard !path.isEmpty, path.count <= pathBytesMax, !path.contains(0) else { return false }
        return path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
        }
    }

    private static func escape(_ byte: UInt8, into result: inout [UInt8]) {
        let digits: StaticString = "0123456789ABCDEF"
        result.append(UInt8(ascii: "%"))
        result.append(digits.utf8Start[Int(byte >> 4)])
        result.append(digits.utf8Start[Int(byte & 15)])
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
