public import CWorkerProtocol

/// Event records one after another (event_record.h), owned, growing.
///
/// One writer at a time; once handed over (to the journal, to a batch) nobody writes to it any more.
public final class RecordBuffer: @unchecked Sendable {
    /// Where the records begin; aligned to 16.
    public private(set) var base: UnsafeMutableRawPointer
    /// Bytes used.
    public private(set) var size = 0
    /// Where each record begins, in bytes from `base`.
    public private(set) var positions: [UInt32] = []
    private var capacity: Int

    /// An empty buffer with room for `capacity` bytes and `count` records before it has to grow.
    public init(capacity: Int = 4096, count: Int = 16) {
        self.capacity = max(capacity, 256)
        base = .allocate(byteCount: self.capacity, alignment: 16)
        positions.reserveCapacity(count)
    }

    deinit { base.deallocate() }

    /// Number of records.
    public var count: Int { positions.count }

    /// Bytes of memory held, used or not.
    public var allocatedBytes: Int { capacity + positions.capacity * 4 }

    /// The bytes used.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: size) }

    /// The record with this index.
    public func record(_ index: Int) -> UnsafeMutablePointer<capelet_record> {
        (base + Int(positions[index])).assumingMemoryBound(to: capelet_record.self)
    }

    /// A view of the record with this index; valid while the buffer lives.
    public func view(_ index: Int) -> RecordView { RecordView(record(index)) }

    private func reserve(_ more: Int) {
        guard size + more > capacity else { return }
        var grown = capacity * 2
        while size + more > grown { grown *= 2 }
        let new = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
        new.copyMemory(from: base, byteCount: size)
        base.deallocate()
        base = new
        capacity = grown
    }

    /// Encodes one event at the end. Offset and sequence may be filled in later (through `record`).
    ///
    /// Sizes must be within the limits of the format: subject, type and id under 64 KiB; callers check their own, lower limits first.
    ///
    /// - Parameters:
    ///   - headers: already encoded as pairs (`HeaderEncoder`).
    ///   - inputs: already encoded as pairs.
    ///   - payload: the payload, or the 8 bytes of its file's number with `externalSize` its real size.
    public func append(
        domain: UInt32, subjectHash: UInt64, subject: UnsafeRawBufferPointer, type: UnsafeRawBufferPointer,
        id: UnsafeRawBufferPointer, headers: EncodedPairs = .empty, inputs: EncodedPairs = .empty, payload: UnsafeRawBufferPointer,
        externalSize: UInt32? = nil, sequence: UInt64 = 0, timeMicros: Int64, acceptedMicros: Int64, hops: UInt16 = 0, flags: UInt8 = 0
    ) {
        precondition(!subject.isEmpty && subject.count < 65536 && type.count < 65536 && id.count < 65536)
        precondition(externalSize == nil || payload.count == 8)
        let need =
            MemoryLayout<capelet_record>.size + subject.count + type.count + id.count + headers.bytes.count + inputs.bytes.count
            + payload.count
        let padded = (need + 7) & ~7
        precondition(padded <= Int(CAPELET_RECORD_SIZE_MAX))
        reserve(padded)
        let start = base + size
        var record = capelet_record()
        record.size = UInt32(padded)
        record.version = UInt8(CAPELET_RECORD_VERSION)
        record.flags = flags | (externalSize == nil ? 0 : UInt8(CAPELET_RECORD_EXTERNAL))
        record.hops = hops
        record.sequence = sequence
        record.time_micros = timeMicros
        record.accepted_micros = acceptedMicros
        record.subject_hash = subjectHash
        record.domain = domain
        record.subject_size = UInt16(subject.count)
        record.type_size = UInt16(type.count)
        record.id_size = UInt16(id.count)
        record.header_count = UInt16(headers.count)
        record.input_count = UInt16(inputs.count)
        record.headers_size = UInt32(headers.bytes.count)
        record.inputs_size = UInt32(inputs.bytes.count)
        record.payload_size = externalSize ?? UInt32(payload.count)
        start.storeBytes(of: record, as: capelet_record.self)
        var at = start + MemoryLayout<capelet_record>.size
        func put(_ bytes: UnsafeRawBufferPointer) {
            guard let from = bytes.baseAddress, bytes.count > 0 else { return }
            at.copyMemory(from: from, byteCount: bytes.count)
            at += bytes.count
        }
        put(subject)
        put(type)
        put(id)
        headers.bytes.withUnsafeBytes(put)
        inputs.bytes.withUnsafeBytes(put)
        put(payload)
        if padded > need { at.initializeMemory(as: UInt8.self, repeating: 0, count: padded - need) }
        positions.append(UInt32(size))
        size += padded
    }

    /// Copies one whole record to the end and returns its place, so that the caller can change its header.
    @discardableResult
    public func append(copying record: UnsafePointer<capelet_record>) -> UnsafeMutablePointer<capelet_record> {
        let count = Int(record.pointee.size)
        reserve(count)
        (base + size).copyMemory(from: record, byteCount: count)
        positions.append(UInt32(size))
        defer { size += count }
        return (base + size).assumingMemoryBound(to: capelet_record.self)
    }

    /// Copies records that follow one another in another buffer to the end.
    public func append(copying other: RecordBuffer, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let from = Int(other.positions[range.lowerBound])
        let to = range.upperBound < other.count ? Int(other.positions[range.upperBound]) : other.size
        reserve(to - from)
        (base + size).copyMemory(from: other.base + from, byteCount: to - from)
        for index in range { positions.append(UInt32(size + Int(other.positions[index]) - from)) }
        size += to - from
    }

    /// Copies one record, giving it other inputs.
    public func append(copying view: RecordView, inputs: EncodedPairs) {
        let header = view.header.pointee
        append(
            domain: header.domain, subjectHash: header.subject_hash, subject: view.subject, type: view.type, id: view.id,
            headers: EncodedPairs(copying: view.headersSection, count: Int(header.header_count)), inputs: inputs,
            payload: view.payloadSection, externalSize: view.isExternal ? header.payload_size : nil, sequence: header.sequence,
            timeMicros: header.time_micros, acceptedMicros: header.accepted_micros, hops: header.hops,
            flags: header.flags & ~UInt8(CAPELET_RECORD_EXTERNAL))
        record(count - 1).pointee.offset = header.offset
    }

    /// Copies bytes that are to be records, checking each; nil when they are not.
    ///
    /// - Parameter count: how many records there have to be.
    public convenience init?(checking source: UnsafeRawBufferPointer, count: Int) {
        self.init(capacity: source.count, count: count)
        guard source.count > 0, let from = source.baseAddress else {
            if count != 0 { return nil }
            return
        }
        base.copyMemory(from: from, byteCount: source.count)
        size = source.count
        var at = 0
        while at < size {
            guard capelet_record_check(base + at, size - at) else { return nil }
            positions.append(UInt32(at))
            at += Int(record(positions.count - 1).pointee.size)
        }
        guard positions.count == count else { return nil }
    }
}

/// Headers or inputs of an event, encoded as a record holds them.
public struct EncodedPairs: Sendable, Equatable {
    /// `count` pairs.
    public private(set) var bytes: [UInt8]
    /// Number of pairs.
    public private(set) var count: Int

    /// No pairs.
    public static let empty = EncodedPairs()

    /// No pairs.
    public init() {
        bytes = []
        count = 0
    }

    /// A copy of a record's section.
    public init(copying section: UnsafeRawBufferPointer, count: Int) {
        bytes = Array(section)
        self.count = count
    }

    /// Adds a pair. The name must be shorter than 64 KiB, the value than 4 GiB.
    public mutating func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        precondition(name.count < 65536)
        withUnsafeBytes(of: UInt16(name.count).littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt32(value.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: value)
        count += 1
    }

    /// Adds a pair of texts.
    public mutating func append(name: String, value: String) {
        var name = name
        var value = value
        name.withUTF8 { name in value.withUTF8 { append(name: UnsafeRawBufferPointer(name), value: UnsafeRawBufferPointer($0)) } }
    }
}
