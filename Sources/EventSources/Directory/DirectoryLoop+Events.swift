internal import CLinux
internal import Glibc
internal import Logging

extension DirectoryLoop {
    /// Turns inotify's events into pings; returns whether there are more.
    func readEvents() -> Bool {
        var hasOverflowed = false
        let hasMore = watches.drain(limit: 16) { event in
            if event.has(Int32(bitPattern: UInt32(IN_Q_OVERFLOW))) { hasOverflowed = true } else { received(event) }
        }
        if hasOverflowed {
            log.info("inotify's queue has overflowed (fs.inotify.max_queued_events); everything is scanned")
            wholeScanAt = .min
        }
        if !hasMore { movedFrom.removeAll(keepingCapacity: true) }
        return hasMore
    }

    private func received(_ event: DirectoryWatches.Event) {
        guard event.hasName else {
            // About a watched directory itself; those below the root tell their parents the same.
            if event.path.isEmpty, event.has(IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT, IN_IGNORED) { isRootSuspect = true }
            if event.path.isEmpty, event.has(IN_ATTRIB), unreadable.contains([]) { wantScan([]) }
            return
        }
        guard heldUntil == nil, event.path.count <= SubjectEncoding.pathBytesMax else { return }
        if event.isDirectory {
            if event.has(IN_MOVED_FROM) {
                movedDirectories.append((event.path, Moment.nanos(CLOCK_MONOTONIC) + detector.settings.moveWindow))
            } else if event.has(IN_CREATE, IN_MOVED_TO, IN_DELETE) || (event.has(IN_ATTRIB) && unreadable.contains(event.path)) {
                wantScan(event.path)
            }
            return
        }
        let now = Moment.nanos(CLOCK_MONOTONIC)
        if event.has(IN_MOVED_TO), let from = movedFrom.removeValue(forKey: event.cookie) {
            detector.hint(event.path, from: from, now: now)
        }
        if event.has(IN_MOVED_FROM) { movedFrom[event.cookie] = event.path }
        if event.has(IN_CLOSE_WRITE, IN_MOVED_TO) {
            detector.ping(event.path, .closed, now: now)
        } else {
            detector.ping(event.path, event.has(IN_CREATE, IN_MODIFY) ? .written : .changed, now: now)
        }
    }

    /// Has a directory scanned as soon as possible; an empty path: everything.
    func wantScan(_ path: RelativePath) {
        if path.isEmpty { wholeScanAt = .min } else { wantedScans.insert(path) }
    }
}
