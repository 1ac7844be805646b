// Namespaces and mounts: the keeper's part of the sandbox, done before there is a template.
//
// A keeper that is to be process 1 of a pid namespace cannot become that itself: it makes the namespace, starts its other self in it, and waits
// for that one to end. The host knows the first; when it is killed, the kernel kills the second (PDEATHSIG), and with process 1 everything in
// its namespace.

import CLibC

struct Namespaces {
    let settings: Settings

    /// Enters what `settings` ask for. nil: it is done; this process may be another one than before.
    func enter() -> Text? {
        if settings.flag("namespace.user") {
            let error = capelet_linux_enter_user_namespace()
            if error != 0 { return Sandbox.failure("to enter a user namespace", error) }
        }
        var flags = 0
        if settings.flag("namespace.pid") { flags |= CAPELET_LINUX_NEW_PID }
        if settings.flag("namespace.mount") { flags |= CAPELET_LINUX_NEW_MOUNT }
        if settings.flag("namespace.network") { flags |= CAPELET_LINUX_NEW_NETWORK }
        if settings.flag("namespace.ipc") { flags |= CAPELET_LINUX_NEW_IPC }
        if flags == 0 { return nil }
        let error = capelet_linux_unshare(Int32(flags))
        if error != 0 { return Sandbox.failure("to enter namespaces", error) }
        if settings.flag("namespace.pid") { startAsFirstProcess() }
        return settings.flag("namespace.mount") ? mount() : nil
    }

    /// Goes on in a child, which is process 1 of the new pid namespace. The parent waits for its end.
    private func startAsFirstProcess() {
        var alive: [Int32] = [-1, -1]
        if pipe2(&alive, O_CLOEXEC) != 0 { fail("no pipe for a keeper", status: 71) }
        let child = fork()
        if child < 0 { fail("no process for a keeper", status: 71) }
        if child > 0 {
            // Nothing is open here but the end of the pipe that tells that this process lives.
            dup2(alive[1], 0)
            capelet_linux_close_from(1)
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 && capelet_linux_errno() == EINTR {}
            _exit(status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f)
        }
        _ = capelet_linux_die_with_parent()
        close(alive[1])
        // The parent may have died before it was asked for; getppid is 0 either way.
        var parent = pollfd(fd: alive[0], events: 0, revents: 0)
        if poll(&parent, 1, 0) != 0 { _exit(0) }
        close(alive[0])
    }

    private func mount() -> Text? {
        var error = capelet_linux_make_mounts_private()
        if error != 0 { return Sandbox.failure("to make mounts private", error) }
        // Opened now: afterwards they lie under what covers them. (And not before: what was opened in another mount namespace cannot be shown.)
        var binds: [(descriptor: Int32, path: Text)] = []
        settings.forEach(prefix: "mount.show.") { _, value in
            var path: Text = []
            path.append(value)
            let descriptor = path.withCString { capelet_linux_open_path($0) }
            if descriptor >= 0 { binds.append((descriptor, path)) }
        }
        defer { for bind in binds { close(bind.descriptor) } }
        var covered: [Text] = []
        var failure: Text?
        settings.forEach(prefix: "mount.hide.") { _, value in
            if failure != nil { return }
            var path: Text = []
            path.append(value)
            error = path.withCString { capelet_linux_cover($0) }
            if error == -ENOENT { return }
            if error != 0 {
                failure = Self.failure("to cover", path, error)
            } else {
                covered.append(path)
            }
        }
        if let failure { return failure }
        for (descriptor, path) in binds {
            // What lies under no cover is there anyway.
            guard covered.contains(where: { path.isInside($0) }) else { continue }
            error = makePlace(path, isFolder: capelet_linux_is_folder(descriptor) == 1)
            if error == 0 { error = path.withCString { capelet_linux_bind(descriptor, $0) } }
            if error != 0 { return Self.failure("to show", path, error) }
        }
        for path in covered {
            error = path.withCString { capelet_linux_freeze_cover($0) }
            if error != 0 { return Self.failure("to close the cover of", path, error) }
        }
        guard settings.flag("namespace.proc") else { return nil }
        error = capelet_linux_mount_proc()
        return error == 0 ? nil : Sandbox.failure("to mount /proc", error)
    }

    /// Makes the folders above `path` and, for what is to be shown there, a folder or an empty file.
    private func makePlace(_ path: Text, isFolder: Bool) -> Int32 {
        var end = 1
        while end < path.count {
            while end < path.count && path[end] != UInt8(ascii: "/") { end += 1 }
            if end == path.count { break }
            let made = Text(path[0..<end]).withCString { mkdir($0, 0o755) }
            if made != 0 && capelet_linux_errno() != EEXIST && capelet_linux_errno() != EROFS { return -capelet_linux_errno() }
            end += 1
        }
        if isFolder {
            return path.withCString { mkdir($0, 0o755) } == 0 || capelet_linux_errno() == EEXIST ? 0 : -capelet_linux_errno()
        }
        let file = path.withCString { capelet_linux_make_file($0) }
        if file < 0 { return -capelet_linux_errno() }
        close(file)
        return 0
    }

    private static func failure(_ what: StaticString, _ path: Text, _ error: Int32) -> Text {
        var text = Text.of("the sandbox cannot be entered: it failed ", what, " ")
        text.append(contentsOf: path)
        text.append(": ")
        text.append(cString: strerror(-error))
        return text
    }
}

extension Text {
    /// Whether this path is `folder` or lies below it.
    func isInside(_ folder: Text) -> Bool {
        guard count >= folder.count, self[0..<folder.count].elementsEqual(folder) else { return false }
        return count == folder.count || folder == [UInt8(ascii: "/")] || self[folder.count] == UInt8(ascii: "/")
    }
}
