internal import Glibc
internal import WorkerProtocol

/// A lambda's state folder: made when it is missing, and given to the user that its workers have.
enum StateFolder {
    /// Deeper folders than this are left as they are.
    private static let depthMax = 64

    /// Makes it, and what is above it.
    ///
    /// - Parameter path: absolute.
    static func make(_ path: String) throws(SandboxRefusal) {
        do throws(SystemCallError) {
            try FileOperations.makeFolders(path, mode: 0o700)
        } catch {
            throw SandboxRefusal("its state folder cannot be made: \(error)")
        }
    }

    /// Gives it, and what is in it, to the user that the lambda's workers have.
    ///
    /// - Parameter owner: a user and group id; nil: the host's.
    static func give(_ path: String, to owner: UInt32?) throws(SandboxRefusal) {
        do throws(SystemCallError) {
            guard getuid() == 0 else { return }
            let owner = owner ?? 0
            guard let status = try FileOperations.status(path), status.st_uid != owner else { return }
            let folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard folder >= 0 else { throw SystemCallError("open \(path)", code: errno) }
            // What is in it comes first: a crash in between leaves the folder as it was, and all is done again.
            try give(contentsOf: folder, from: status.st_uid, to: owner, depth: 0)
            guard chown(path, owner, owner) == 0 else { throw SystemCallError("chown \(path)", code: errno) }
        } catch {
            throw SandboxRefusal("its state folder cannot be made ready: \(error)")
        }
    }

    /// Changes the owner of what belonged to the old one. A lambda has written these names: links are not followed, and files that have other
    /// names elsewhere, or belong to somebody else, are left alone. Closes `folder`.
    private static func give(contentsOf folder: Int32, from old: uid_t, to new: uid_t, depth: Int) throws(SystemCallError) {
        guard let list = fdopendir(folder) else {
            close(folder)
            throw SystemCallError("read a state folder", code: errno)
        }
        defer { closedir(list) }
        while let entry = readdir(list) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { $0.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0] }
            if name == [46, 0] || name == [46, 46, 0] { continue }
            var status = stat()
            guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_uid == old else { continue }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            if isFolder, depth < depthMax {
                let inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                if inner >= 0 { try give(contentsOf: inner, from: old, to: new, depth: depth + 1) }
            }
            if isFolder || status.st_nlink == 1, fchownat(folder, name, new, new, AT_SYMLINK_NOFOLLOW) != 0 {
                throw SystemCallError("chown in a state folder", code: errno)
            }
        }
    }
}
