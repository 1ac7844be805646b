import Glibc

/// Paths as text: relative to the file's folder, without `.` and `..`, and whether one holds another.
enum FilePath {
    /// `path` as an absolute path without `.`, `..` and doubled slashes. Symbolic links stay what they are.
    static func absolute(_ path: String, base: String) -> String {
        var parts: [Substring] = []
        for part in (path.hasPrefix("/") ? path : base + "/" + path).split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The folder that holds `path`, absolute.
    static func folder(of path: String) -> String {
        let absolute = absolute(path, base: currentDirectory)
        guard let slash = absolute.lastIndex(of: "/"), slash != absolute.startIndex else { return "/" }
        return String(absolute[..<slash])
    }

    /// The process's current directory; `/` when it has been removed.
    static var currentDirectory: String {
        guard let path = getcwd(nil, 0) else { return "/" }
        defer { free(path) }
        return String(cString: path)
    }

    /// `path` with all symbolic links followed as far as it exists, so that two names of one folder become equal.
    static func canonical(_ path: String) -> String {
        var existing = path
        var missing: [Substring] = []
        while true {
            if let resolved = realpath(existing, nil) {
                defer { free(resolved) }
                return absolute(missing.reversed().joined(separator: "/"), base: String(cString: resolved))
            }
            guard existing != "/", let slash = existing.lastIndex(of: "/") else { return path }
            missing.append(existing[existing.index(after: slash)...])
            existing = slash == existing.startIndex ? "/" : String(existing[..<slash])
        }
    }

    /// Whether `inner` is `outer` or lies within it. Both absolute.
    static func holds(_ outer: String, _ inner: String) -> Bool {
        outer == inner || inner.hasPrefix(outer == "/" ? "/" : outer + "/")
    }

    /// Whether a folder is there.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The text of an error number.
    static func reason(_ code: Int32) -> String {
        String(cString: strerror(code))
    }
}
