public import CWorkerProtocol

/// Reads the parts of one checked record in place. Valid as long as the record's memory.
public struct RecordView: @unchecked Sendable {
    /// The record's header.
    public let header: UnsafePointer<capelet_record>
    private let at: capelet_record_sections

    /// A view of a record that has passed `capelet_record_check`.
    public init(_ header: UnsafePointer<capelet_record>) {
        self.header = header
        at = capelet_record_sections(header)
    }

    private func section(_ from: UInt32, _ to: UInt32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(header) + Int(from), count: Int(to - from))
    }

    /// The subject.
    public var subject: UnsafeRawBufferPointer { section(at.subject, at.type) }
    /// The type; may be empty.
    public var type: UnsafeRawBufferPointer { section(at.type, at.id) }
    /// The id; may be empty.
    public var id: UnsafeRawBufferPointer { section(at.id, at.headers) }
    /// The headers, encoded.
    public var headersSection: UnsafeRawBufferPointer { section(at.headers, at.inputs) }
    /// The inputs, encoded.
    public var inputsSection: UnsafeRawBufferPointer { section(at.inputs, at.payload) }
    /// The payload, or the number of its file.
    public var payloadSection: UnsafeRawBufferPointer { section(at.payload, at.end) }
    /// Whether the payload lies in a file of its own.
    public var isExternal: Bool { header.pointee.flags & UInt8(CAPELET_RECORD_EXTERNAL) != 0 }
    /// The number of the payload's file; nil when it is inline.
    public var externalNumber: UInt64? { isExternal ? payloadSection.loadUnaligned(as: UInt64.self) : nil }

    /// The subject as text.
    public var subjectText: String { String(decoding: subject, as: UTF8.self) }
    /// The type as text.
    public var typeText: String { String(decoding: type, as: UTF8.self) }
    /// The id as text.
    public var idText: String { String(decoding: id, as: UTF8.self) }

    /// Calls `body` with each header. Does not allocate.
    public func forEachHeader(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        Self.forEachPair(headersSection, body)
    }

    /// Calls `body` with each input (lambda, output).
    public func forEachInput(_ body: (_ lambda: UnsafeRawBufferPointer, _ output: UnsafeRawBufferPointer) -> Void) {
        Self.forEachPair(inputsSection, body)
    }

    /// The value of a header; nil when it is not there. Does not allocate.
    public func header(named name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var found: UnsafeRawBufferPointer?
        forEachHeader { key, value in
            if found == nil, key.count == name.count, key.elementsEqual(name) { found = value }
        }
        return found
    }

    private static func forEachPair(_ section: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        var at = 0
        while at + 6 <= section.count {
            let name = Int(section.loadUnaligned(fromByteOffset: at, as: UInt16.self))
            let value = Int(section.loadUnaligned(fromByteOffset: at + 2, as: UInt32.self))
            at += 6
            body(
                UnsafeRawBufferPointer(rebasing: section[at..<at + name]),
                UnsafeRawBufferPointer(rebasing: section[at + name..<at + name + value]))
            at += name + value
        }
    }
}

extension RecordView {
    /// The value of the pair with this name in an encoded and checked section; nil when it is not there.
    public static func find(_ name: UnsafeRawBufferPointer, in section: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var found: UnsafeRawBufferPointer?
        forEachPair(section) { key, value in
            if found == nil, key.count == name.count, key.elementsEqual(name) { found = value }
        }
        return found
    }
}
