// Sources: what turns changes outside of Capelet into events of a domain.
//
// A source has two ways of learning of a change: a *ping*, a hint that one subject may have changed, which can be lost and is never
// trusted, and a *refresh*, a scan of everything. Both only say where to look. What was seen is compared with what the source has
// announced so far (its catalog or cursor), which lives in the journal and changes in the same transaction as the events. So
// nothing is announced twice and nothing is missed, whenever the process dies.
//
// Each source owns one thread and everything on it; the functions of `EventSource` may be called from any thread.
//
//   Directory/
//     DirectorySource      the public class: start, stop, ping, refresh, status
//     DirectoryLoop        its thread: inotify, looks, scans, appends to the journal
//     DirectoryTree        the watched folder: opening and looking at paths without following links
//     DirectoryWatches     inotify watches and what they mean
//     DirectoryScan        one walk over a folder, in steps
//     ChangeDetector       pure: what was seen + time -> what to look at, what to announce
//     Catalog              pure: what is announced, as a tree in memory
//     AnnouncementEncoding announcements as event records and catalog rows

/// Something outside that events come from.
public protocol EventSource: AnyObject, Sendable {
    /// Begins to watch. Reads the source's state from the journal and blocks for that. Call once.
    ///
    /// - Throws: when the source is not there or its state cannot be read; the message says which, and what to do.
    func start() throws(SourceError)

    /// Ends. Waits, for a few seconds at most, for what was handed to the journal; nothing else needs to be waited for, since the next start
    /// finds what changed. Call once, after `start`.
    func stop()

    /// Says that a subject may have changed. It is looked at soon; a subject that is not there or not valid does nothing.
    func ping(subject: String)

    /// Compares everything with what is known, soon.
    func refresh()

    /// What it does right now. Never blocks.
    func status() -> SourceStatus
}
