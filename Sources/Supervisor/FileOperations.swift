internal import Glibc
internal import WorkerProtocol

/// The few file operations that generations need, on paths, with errors that name them. Blocking.
enum FileOperations {
    struct Entry {
        var name: String
        var kind: Kind
        var size: Int64

        enum Kind { case file, folder, link, other }
    }

    /// The entries of a folder, by name. Links are not followed.
    static func list(_ folder: String) throws(SystemCallError) -> [Entry] {
        guard let stream = opendir(folder) else { throw SystemCallError("read the folder \(folder)", code: errno) }
        defer { closedir(stream) }
        var entries: [Entry] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            guard let found = try status(folder + "/" + name, followingLinks: false) else { continue }
            entries.append(Entry(name: name, kind: kind(found), size: Int64(found.st_size)))
        }
        return entries.sorted { $0.name < $1.name }
    }

    static func kind(_ status: stat) -> Entry.Kind {
        switch status.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .folder
        case S_IFLNK: .link
        default: .other
        }
    }

    /// Nil: there is nothing of that name.
    static func status(_ path: String, followingLinks: Bool = true) throws(SystemCallError) -> stat? {
        var found = stat()
        let result = followingLinks ? stat(path, &found) : lstat(path, &found)
        if result == 0 { return found }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw SystemCallError("look at \(path)", code: errno)
    }

    /// The path without links, dots and double slashes; nil: it does not exist.
    static func real(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
    }

    static func makeFolder(_ path: String, mode: mode_t = 0o755) throws(SystemCallError) {
        if mkdir(path, mode) != 0, errno != EEXIST { throw SystemCallError("make the folder \(path)", code: errno) }
    }

    /// With all folders above it.
    static func makeFolders(_ path: String, mode: mode_t = 0o755) throws(SystemCallError) {
        var at = ""
        for part in path.split(separator: "/") {
            at += "/" + part
            if try status(at) == nil { try makeFolder(at, mode: mode) }
        }
    }

    /// Opens a regular file and nothing else (a FIFO would make the caller wait), and hands its bytes on in pieces.
    static func read(_ path: String, _ body: (UnsafeRawBufferPointer) throws(SystemCallError) -> Void) throws(SystemCallError) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw SystemCallError("open \(path)", code: errno) }
        defer { close(file) }
        var found = stat()
        guard fstat(file, &found) == 0 else { throw SystemCallError("look at \(path)", code: errno) }
        guard kind(found) == .file else { throw SystemCallError("read \(path), which is not a regular file", code: EINVAL) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = Glibc.read(file, buffer.baseAddress!, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemCallError("read \(path)", code: errno)
            }
            if count == 0 { return }
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    static func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, path: String) throws(SystemCallError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(file, rest.baseAddress!, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemCallError("write \(path)", code: errno)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Puts a file or folder on disk.
    static func sync(_ path: String) throws(SystemCallError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemCallError("open \(path)", code: errno) }
        defer { close(file) }
        if fsync(file) != 0 { throw SystemCallError("fsync \(path)", code: errno) }
    }

    /// Writes a small file so that it is there whole or not at all, and on disk when this returns.
    static func replace(_ path: String, with text: String) throws(SystemCallError) {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemCallError("write \(temporary)", code: errno) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { bytes -> Result<Void, SystemCallError> in
            do throws(SystemCallError) { return .success(try write(file, bytes, path: temporary)) } catch { return .failure(error) }
        }
        try result.get()
        if fsync(file) != 0 { throw SystemCallError("fsync \(temporary)", code: errno) }
        if rename(temporary, path) != 0 { throw SystemCallError("rename \(temporary)", code: errno) }
        if let slash = path.lastIndex(of: "/") { try sync(String(path[..<slash])) }
    }

    /// Removes a file, or a folder with all that is in it. Best effort: what is left is removed another time.
    static func remove(_ path: String) {
        guard let found = try? status(path, followingLinks: false) else { return }
        if kind(found) == .folder {
            chmod(path, 0o700)
            for entry in (try? list(path)) ?? [] { remove(path + "/" + entry.name) }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
