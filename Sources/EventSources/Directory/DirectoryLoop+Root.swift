internal import CLinux
internal import Glibc
internal import Logging

extension DirectoryLoop {
    /// The root was opened: watches begin anew, and everything is scanned, unless it looks as if it were not the real one.
    func rootOpened() {
        abandonScans()
        unreadable = []
        wantedScans = WantedScans()
        movedDirectories = []
        isRootSuspect = false
        watches.open()
        // An unmounted file system leaves an empty directory behind. That is no reason to announce all of it as deleted.
        if detector.catalog.count > 0, let savedRoot, savedRoot.path == tree.path, savedRoot != tree.identity, isRootEmpty() {
            hold(
                "it is empty and not the directory it was before: is a file system not mounted? "
                    + "As soon as there is anything in it, it is taken as it is")
            return
        }
        if heldUntil != nil { log.notice("the directory is there again; it is scanned", metadata: ["path": "\(rootText)"]) }
        heldUntil = nil
        status.state = .scanning
        status.detail = ""
        wholeScanAt = .min
        lastScanNanos = 0
    }

    /// Whether the root is still there; if not, everything is held.
    func checkRoot() {
        if !tree.isCurrent() { reopenRoot() }
    }

    func reopenRoot() {
        let error = tree.open()
        guard error == 0 else {
            hold("it cannot be opened: \(String(cString: strerror(error)))")
            return
        }
        let descriptor = tree.openDirectory([])
        guard descriptor >= 0 else {
            hold("it cannot be read: \(String(cString: strerror(-descriptor)))")
            return
        }
        close(descriptor)
        rootOpened()
    }

    /// Leaves everything as it is until the root is there again.
    func hold(_ reason: String) {
        abandonScans()
        if status.detail != reason {
            log.error(
                "the directory is not watched, and nothing in it is taken as deleted",
                metadata: ["path": "\(rootText)", "reason": "\(reason)"])
        }
        status.state = .held
        status.detail = reason
        heldUntil = Moment.nanos(CLOCK_MONOTONIC) + Self.holdNanos
    }

    private func isRootEmpty() -> Bool {
        let descriptor = tree.openDirectory([])
        guard descriptor >= 0 else { return false }
        guard let handle = fdopendir(descriptor) else {
            close(descriptor)
            return false
        }
        defer { closedir(handle) }
        var name: UnsafePointer<CChar>?
        var kind: Int32 = 0
        return capelet_linux_next_entry(handle, &name, &kind) == 0
    }
}
