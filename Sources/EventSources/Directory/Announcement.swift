/// An event to be: what happened at one path, and what the catalog says of it afterwards.
struct Announcement: Equatable, Sendable {
    enum Kind: String, Sendable {
        case created, modified, deleted
    }

    var path: RelativePath
    var kind: Kind
    /// What the catalog says afterwards; nil when it is deleted.
    var state: FileState?
    /// Moved: where from (on created and modified).
    var from: RelativePath?
    /// Moved: where to (on deleted).
    var to: RelativePath?
}

/// Announcements that become durable together with their changes of the catalog, or not at all.
struct AnnouncementBatch: Sendable {
    var id: UInt64
    var announcements: [Announcement]
}
