internal import CLinux
internal import Glibc

/// The watched folder: opens and looks at what lies below its root, never through a symbolic link. The root's own path is resolved once, when
/// the source starts. Owned by one thread.
///
/// Everything goes through a descriptor of the root, so that a root that is renamed or covered by a mount stays what it was until
/// `isCurrent` is asked. Mounts below the root are crossed.
struct DirectoryTree: ~Copyable {
    /// What a look found.
    enum Look {
        /// A regular file or nothing of the kind.
        case seen(Observation)
        /// A directory.
        case directory
        /// It cannot be told, for this errno.
        case failed(Int32)
    }

    /// Absolute path of the root, resolved.
    let path: RelativePath
    /// The directory that is open now.
    private(set) var identity: RootIdentity
    private var root: Int32 = -1
    private var parent: (path: RelativePath, descriptor: Int32)?
    private var hasOpenat2 = true

    /// A tree whose root is not open yet.
    init(path: RelativePath) {
        self.path = path
        identity = RootIdentity(device: 0, inode: 0, path: path)
    }

    deinit {
        if let parent { close(parent.descriptor) }
        if root >= 0 { close(root) }
    }

    /// Opens the root, anew if it was open. Returns 0 or an errno; then nothing is open.
    mutating func open() -> Int32 {
        forgetParent()
        if root >= 0 { close(root) }
        root = (path + [0]).withUnsafeBytes {
            Glibc.open($0.assumingMemoryBound(to: CChar.self).baseAddress!, Int32(CAPELET_LINUX_O_PATH) | O_DIRECTORY | O_CLOEXEC)
        }
        guard root >= 0 else { return errno }
        var entry = stat()
        guard fstat(root, &entry) == 0 else { return errno }
        identity = RootIdentity(device: UInt64(entry.st_dev), inode: UInt64(entry.st_ino), path: path)
        return 0
    }

    /// Whether the root's path still leads to the directory that is open.
    func isCurrent() -> Bool {
        var entry = stat()
        let result = (path + [0]).withUnsafeBytes { stat($0.assumingMemoryBound(to: CChar.self).baseAddress!, &entry) }
        return root >= 0 && result == 0 && UInt64(entry.st_dev) == identity.device && UInt64(entry.st_ino) == identity.inode
    }

    /// What is at `path`. Keeps the directory that it lies in open for the next look (`forgetParent`).
    mutating func look(_ path: RelativePath) -> Look {
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let directory = slash.map { Array(path[..<$0]) } ?? []
        let name = Array(path[(slash.map { $0 + 1 } ?? 0)...])
        let descriptor: Int32
        if directory.isEmpty {
            descriptor = root
        } else if let parent, parent.path == directory {
            descriptor = parent.descriptor
        } else {
            forgetParent()
            descriptor = openBelow(directory, Int32(CAPELET_LINUX_O_PATH) | O_DIRECTORY)
            guard descriptor >= 0 else { return Self.isAbsence(-descriptor) ? .seen(.absent) : .failed(-descriptor) }
            parent = (directory, descriptor)
        }
        return (name + [0]).withUnsafeBytes {
            Self.look(directory: descriptor, name: $0.assumingMemoryBound(to: CChar.self).baseAddress!)
        }
    }

    /// What `name` in an open directory is.
    static func look(directory: Int32, name: UnsafePointer<CChar>) -> Look {
        var entry = stat()
        let error = capelet_linux_stat_entry(directory, name, &entry)
        guard error == 0 else { return isAbsence(error) ? .seen(.absent) : .failed(error) }
        switch capelet_linux_entry_kind(entry.st_mode) {
        case Int32(CAPELET_LINUX_ENTRY_FILE):
            return .seen(
                .file(
                    FileState(
                        size: Int64(entry.st_size), modified: capelet_linux_modified_nanos(&entry),
                        changed: capelet_linux_changed_nanos(&entry), inode: UInt64(entry.st_ino))))
        case Int32(CAPELET_LINUX_ENTRY_DIRECTORY): return .directory
        default: return .seen(.absent)
        }
    }

    /// Closes what `look` keeps open: it is only sure to be the right directory for a short time.
    mutating func forgetParent() {
        if let parent { close(parent.descriptor) }
        parent = nil
    }

    /// Opens a directory for reading. Returns its descriptor or a negative errno.
    mutating func openDirectory(_ path: RelativePath) -> Int32 {
        openBelow(path.isEmpty ? [UInt8(ascii: ".")] : path, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
    }

    /// Whether an errno says that nothing is there (a link in the way counts as that: links are not followed).
    static func isAbsence(_ error: Int32) -> Bool { error == ENOENT || error == ENOTDIR || error == ELOOP }

    private mutating func openBelow(_ path: RelativePath, _ flags: Int32) -> Int32 {
        guard root >= 0 else { return -ESTALE }
        if hasOpenat2 {
            let descriptor = (path + [0]).withUnsafeBytes {
                capelet_linux_open_below(root, $0.assumingMemoryBound(to: CChar.self).baseAddress!, flags)
            }
            if descriptor != -ENOSYS && descriptor != -EPERM { return descriptor }
            hasOpenat2 = false
        }
        return openByComponents(path, flags)
    }

    /// The same without openat2, which old kernels and some containers do not have.
    func openByComponents(_ path: RelativePath, _ flags: Int32) -> Int32 {
        let parts = path.split(separator: UInt8(ascii: "/"))
        var at = root
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            let next = (Array(part) + [0]).withUnsafeBytes {
                openat(
                    at, $0.assumingMemoryBound(to: CChar.self).baseAddress!,
                    (isLast ? flags : Int32(CAPELET_LINUX_O_PATH) | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC)
            }
            let error = errno
            if at != root { close(at) }
            guard next >= 0 else { return -error }
            at = next
        }
        return at
    }
}
