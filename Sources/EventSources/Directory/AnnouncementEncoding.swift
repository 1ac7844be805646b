internal import Journal
internal import WorkerProtocol

/// Announcements as the journal takes them: event records for the domain, and rows of the catalog.
///
/// An event: subject = the path (`SubjectEncoding`), type `created`, `modified` or `deleted`, payload = the path's raw bytes, no id (the catalog
/// keeps it from being doubled). Headers, all text: `root` (absolute path of the root, encoded like a subject); on created and modified
/// `size` (bytes), `mtime` (nanoseconds since 1970) and `inode`, decimal; of a move `to` on the event of the old path and `from` on that of
/// the new one, encoded like subjects. Time: the file's mtime; of deletions and moves when they were found.
///
/// A subject of a directory source can be longer than one from a producer: paths of up to 4,095 bytes are announced, whose
/// subject has at most 12,285.
struct AnnouncementEncoding: Sendable {
    let stream: StreamID
    let subjectHash: SubjectHash
    private let root: String

    init(stream: StreamID, subjectHash: SubjectHash, root: RelativePath) {
        self.stream = stream
        self.subjectHash = subjectHash
        self.root = SubjectEncoding.text(root)
    }

    /// The events. `wall` is the present, nanoseconds since 1970.
    func records(_ announcements: [Announcement], wall: Int64) -> RecordBuffer {
        let buffer = RecordBuffer(capacity: announcements.count * 320, count: announcements.count)
        for announcement in announcements {
            var headers = EncodedPairs()
            headers.append(name: "root", value: root)
            if let state = announcement.state {
                headers.append(name: "size", value: String(state.size))
                headers.append(name: "mtime", value: String(state.modified))
                headers.append(name: "inode", value: String(state.inode))
            }
            if let from = announcement.from { headers.append(name: "from", value: SubjectEncoding.text(from)) }
            if let to = announcement.to { headers.append(name: "to", value: SubjectEncoding.text(to)) }
            let time = announcement.from == nil ? announcement.state?.modified ?? wall : wall
            let subject = SubjectEncoding.encode(announcement.path)
            var type = announcement.kind.rawValue
            subject.withUnsafeBytes { subject in
                type.withUTF8 { type in
                    announcement.path.withUnsafeBytes { payload in
                        buffer.append(
                            domain: stream.rawValue, subjectHash: subjectHash(subject), subject: subject,
                            type: UnsafeRawBufferPointer(type),
                            id: UnsafeRawBufferPointer(start: nil, count: 0), headers: headers, payload: payload,
                            timeMicros: Self.micros(time), acceptedMicros: Self.micros(wall))
                    }
                }
            }
        }
        return buffer
    }

    /// The changes of the catalog that belong to them. `offset`: a position that none of the events lies below.
    func changes(_ announcements: [Announcement], offset: UInt64) -> [SourceChange] {
        announcements.map {
            if let state = $0.state { .put(key: $0.path, value: CatalogRow.encode(state, offset: offset)) } else { .remove(key: $0.path) }
        }
    }

    private static func micros(_ nanos: Int64) -> Int64 {
        let (quotient, remainder) = nanos.quotientAndRemainder(dividingBy: 1000)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

/// What the journal keeps for each announced file under its path, and for the root.
enum CatalogRow {
    /// The key of the root's row. No path has a zero byte.
    static let rootKey: [UInt8] = [0] + Array("root".utf8)

    /// Version 1: version u8, size, mtime, ctime, inode, and the end of the domain's journal when the event was handed in (its sequence is not
    /// below), 8 bytes each, little endian.
    static func encode(_ state: FileState, offset: UInt64) -> [UInt8] {
        var row: [UInt8] = [1]
        row.reserveCapacity(41)
        for field in [
            UInt64(bitPattern: state.size), UInt64(bitPattern: state.modified), UInt64(bitPattern: state.changed), state.inode, offset,
        ] {
            withUnsafeBytes(of: field.littleEndian) { row.append(contentsOf: $0) }
        }
        return row
    }

    /// The state of a row; nil when it is not one.
    static func decode(_ row: UnsafeRawBufferPointer) -> FileState? {
        guard row.count == 41, row[0] == 1 else { return nil }
        func field(_ index: Int) -> UInt64 { UInt64(littleEndian: row.loadUnaligned(fromByteOffset: 1 + 8 * index, as: UInt64.self)) }
        return FileState(
            size: Int64(bitPattern: field(0)), modified: Int64(bitPattern: field(1)), changed: Int64(bitPattern: field(2)), inode: field(3))
    }
}

/// Which directory the catalog is of.
struct RootIdentity: Equatable, Sendable {
    var device: UInt64
    var inode: UInt64
    var path: RelativePath

    /// Version 1: version u8, device, inode (8 bytes each, little endian), absolute path.
    func encoded() -> [UInt8] {
        var row: [UInt8] = [1]
        withUnsafeBytes(of: device.littleEndian) { row.append(contentsOf: $0) }
        withUnsafeBytes(of: inode.littleEndian) { row.append(contentsOf: $0) }
        return row + path
    }

    init(device: UInt64, inode: UInt64, path: RelativePath) {
        self.device = device
        self.inode = inode
        self.path = path
    }

    init?(_ row: UnsafeRawBufferPointer) {
        guard row.count > 17, row[0] == 1 else { return nil }
        device = UInt64(littleEndian: row.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
        inode = UInt64(littleEndian: row.loadUnaligned(fromByteOffset: 9, as: UInt64.self))
        path = Array(row[17...])
    }
}
