import Glibc

/// An `EventFilter` in the form that the dispatcher evaluates for each event: its texts as bytes in one block.
///
/// Comparison is byte for byte. Immutable; any thread. `matches` allocates nothing.
public struct CompiledFilter: Sendable {
    /// Where a text lies in `bytes`.
    private struct Text: Sendable {
        var start: Int
        var count: Int
    }

    /// Some texts that lie one after another in `texts`.
    private typealias Texts = Range<Int>

    private var bytes: [UInt8] = []
    private var texts: [Text] = []
    private var types: Texts = 0..<0
    private var notTypes: Texts = 0..<0
    private var prefixes: Texts = 0..<0
    private var suffixes: Texts = 0..<0
    private var headers: [(name: Int, values: Texts)] = []

    /// Whether every event passes: then `matches` need not be called.
    public let isEmpty: Bool

    /// Whether headers are looked at.
    public var needsHeaders: Bool { !headers.isEmpty }

    /// Compiles a filter.
    public init(_ filter: EventFilter) {
        isEmpty = filter.isEmpty
        types = add(filter.types)
        notTypes = add(filter.notTypes)
        prefixes = add(filter.subjectPrefixes)
        suffixes = add(filter.subjectSuffixes)
        for (name, values) in filter.headers.sorted(by: { $0.key < $1.key }) {
            let nameIndex = add([name]).lowerBound
            headers.append((nameIndex, add(values)))
        }
    }

    private mutating func add(_ values: [String]) -> Texts {
        let first = texts.count
        for value in values {
            texts.append(Text(start: bytes.count, count: value.utf8.count))
            bytes.append(contentsOf: value.utf8)
        }
        return first..<texts.count
    }

    /// Whether an event gets through.
    ///
    /// - Parameter header: the value of the header of a name (lower case); nil when the event has none. Not called unless
    ///   everything else matches.
    public func matches(
        type: UnsafeRawBufferPointer, subject: UnsafeRawBufferPointer,
        header: (UnsafeRawBufferPointer) -> UnsafeRawBufferPointer?
    ) -> Bool {
        if isEmpty { return true }
        return bytes.withUnsafeBytes { block in
            if !types.isEmpty, !isAny(of: types, in: block, equal: type) { return false }
            if isAny(of: notTypes, in: block, equal: type) { return false }
            if !prefixes.isEmpty, !isAny(of: prefixes, in: block, where: { Self.has(subject, prefix: $0) }) { return false }
            if !suffixes.isEmpty, !isAny(of: suffixes, in: block, where: { Self.has(subject, suffix: $0) }) { return false }
            for (name, values) in headers {
                guard let value = header(text(name, in: block)), isAny(of: values, in: block, equal: value) else { return false }
            }
            return true
        }
    }

    private func text(_ index: Int, in block: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let text = texts[index]
        return UnsafeRawBufferPointer(rebasing: block[text.start..<text.start + text.count])
    }

    private func isAny(of range: Texts, in block: UnsafeRawBufferPointer, equal bytes: UnsafeRawBufferPointer) -> Bool {
        isAny(of: range, in: block) { $0.count == bytes.count && Self.equal($0, bytes) }
    }

    private func isAny(
        of range: Texts, in block: UnsafeRawBufferPointer, where condition: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        for index in range where condition(text(index, in: block)) { return true }
        return false
    }

    private static func has(_ bytes: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= prefix.count && equal(UnsafeRawBufferPointer(rebasing: bytes[..<prefix.count]), prefix)
    }

    private static func has(_ bytes: UnsafeRawBufferPointer, suffix: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= suffix.count && equal(UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - suffix.count)...]), suffix)
    }

    /// Both of the same size.
    private static func equal(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count > 0, let a = left.baseAddress, let b = right.baseAddress else { return true }
        return memcmp(a, b, left.count) == 0
    }
}
