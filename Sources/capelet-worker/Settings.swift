import CLibC

/// What the host wrote into the memfd of a LOAD or SPAWN message: keys and values, see keeper_messages.h. A private copy, so that nobody
/// who also holds the memfd can change it under the reader. Whoever makes them for a while calls `release`; most live as long as their
/// process.
struct Settings {
    private let bytes: UnsafeRawBufferPointer

    /// Larger settings than this are refused.
    private static let sizeMax = 64 << 20

    /// Copies the file. nil: it cannot be read, or its entries do not fill it exactly.
    init?(descriptor: Int32) {
        let size = Int(capelet_linux_file_size(descriptor))
        guard size >= 0, size <= Settings.sizeMax, let copy = malloc(size + 1) else { return nil }
        var at = 0
        while at < size {
            let count = pread(descriptor, copy + at, size - at, at)
            if count < 0 && capelet_linux_errno() == EINTR { continue }
            guard count > 0 else {
                free(copy)
                return nil
            }
            at += count
        }
        bytes = UnsafeRawBufferPointer(start: copy, count: size)
        var end = 0
        while end < size {
            guard let entry = entry(at: end) else {
                free(copy)
                return nil
            }
            end = entry.end
        }
    }

    private init(none: Void) { bytes = UnsafeRawBufferPointer(start: nil, count: 0) }

    /// No settings at all.
    static var empty: Settings { Settings(none: ()) }

    /// Frees the copy. Nothing that came from these settings may be used afterwards.
    func release() {
        if let base = bytes.baseAddress { free(UnsafeMutableRawPointer(mutating: base)) }
    }

    private struct Entry {
        var key: UnsafeRawBufferPointer
        var value: UnsafeRawBufferPointer
        var end: Int
    }

    private func entry(at start: Int) -> Entry? {
        guard start + 8 <= bytes.count else { return nil }
        let keySize = Int(bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self))
        let valueSize = Int(bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self))
        let end = start + 8 + keySize + valueSize
        guard end <= bytes.count else { return nil }
        return Entry(
            key: UnsafeRawBufferPointer(start: bytes.baseAddress! + start + 8, count: keySize),
            value: UnsafeRawBufferPointer(start: bytes.baseAddress! + start + 8 + keySize, count: valueSize),
            end: end)
    }

    /// Calls `body` with every entry, in the order of the file.
    func forEach(_ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        var at = 0
        while let entry = entry(at: at) {
            body(entry.key, entry.value)
            at = entry.end
        }
    }

    /// Calls `body` with the entries whose key begins with `prefix`, and gives it what follows that.
    func forEach(prefix: StaticString, _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        forEach { key, value in
            if key.hasPrefix(prefix) { body(UnsafeRawBufferPointer(rebasing: key[prefix.utf8CodeUnitCount...]), value) }
        }
    }

    /// The value of `key`. It stays valid for the life of the process.
    func value(_ key: StaticString) -> UnsafeRawBufferPointer? {
        var at = 0
        while let entry = entry(at: at) {
            if entry.key.equals(key) { return entry.value }
            at = entry.end
        }
        return nil
    }

    /// The value of the key that is `prefix` and then `name`.
    func value(prefix: StaticString, name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let prefixSize = prefix.utf8CodeUnitCount
        var at = 0
        while let entry = entry(at: at) {
            if entry.key.count == prefixSize + name.count, entry.key.hasPrefix(prefix),
                UnsafeRawBufferPointer(rebasing: entry.key[prefixSize...]).equals(name)
            {
                return entry.value
            }
            at = entry.end
        }
        return nil
    }

    /// The value of `key` as text; empty if there is none.
    func text(_ key: StaticString) -> Text {
        var text: Text = []
        if let value = value(key) { text.append(value) }
        return text
    }

    func number(_ key: StaticString) -> UInt64? { value(key)?.number }

    func flag(_ key: StaticString) -> Bool { value(key)?.equals("1") ?? false }
}
