import Glibc

/// The place of the Unix socket in the file system. It appears there with mode 0600 in one step, replacing what a host that was killed left
/// behind.
///
/// It is bound within a folder that only the owner can enter, given its mode, and then renamed to its place: at no moment can anybody else
/// connect. The caller makes sure that no other host uses the folder (the journal's lock does).
struct SocketPlace: Sendable {
    /// The final path.
    let path: String
    private let folder: String

    /// Where it is bound first. Short, since the address of a Unix socket has 107 bytes at most.
    let bindPath: String

    init(_ path: String) throws(FrontendError) {
        self.path = path
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        folder = parent + "/.sock"
        bindPath = folder + "/s"
        let longest = max(path.utf8.count, bindPath.utf8.count)
        guard longest <= 107 else {
            throw FrontendError(
                "the socket's path \(path) has \(longest) bytes, Linux allows 107; use a data directory with a shorter path")
        }
    }

    /// Makes the private folder.
    func prepare() throws(FrontendError) {
        _ = unlink(bindPath)
        _ = rmdir(folder)
        guard mkdir(folder, 0o700) == 0 else {
            throw FrontendError("cannot make \(folder) for the administration socket: \(String(cString: strerror(errno)))")
        }
    }

    /// Moves the bound socket to its place.
    func publish() throws(FrontendError) {
        guard chmod(bindPath, 0o600) == 0, rename(bindPath, path) == 0 else {
            throw FrontendError("cannot put the administration socket at \(path): \(String(cString: strerror(errno)))")
        }
        _ = rmdir(folder)
    }

    /// Removes it.
    func remove() {
        _ = unlink(path)
        _ = unlink(bindPath)
        _ = rmdir(folder)
    }
}
