/// A path relative to the root: raw bytes as Linux has them, components separated by one `/`, neither at the beginning nor at the end. The
/// root itself is empty.
typealias RelativePath = [UInt8]

/// By what a change of a regular file is known. Times are nanoseconds since 1970, by the file system's clock.
struct FileState: Equatable, Sendable {
    var size: Int64
    var modified: Int64
    /// Last change of the inode (ctime). Nobody can set it back, so it tells changes that keep size and mtime. A rename moves it too, for the
    /// renamed file. See `uncertain`.
    var changed: Int64
    var inode: UInt64

    /// For the catalog: a state that differs from every one that can be seen, so that the file is announced once more. Of a file that was
    /// announced in the middle of being written.
    var uncertain: FileState {
        var state = self
        state.changed = -changed
        return state
    }
}

/// What is at a path.
enum Observation: Equatable, Sendable {
    /// Nothing, or nothing that is a regular file.
    case absent
    /// A regular file.
    case file(FileState)

    var state: FileState? {
        if case .file(let state) = self { state } else { nil }
    }
}

/// A moment by two clocks, nanoseconds: one that only runs forward, and the one that the kernel stamps inodes with.
struct Moment: Sendable {
    var monotonic: Int64
    /// CLOCK_REALTIME_COARSE, read before what it belongs to was looked at.
    var wall: Int64
}
