// documents: a full-text index of a watched folder. Two lambdas over the events of a directory source.
//
//   extract   reads the file that an event is about, and puts out what is in it as text (`Extraction`)
//   index     (after: extract) keeps a SQLite FTS5 index of these texts in its state folder (`SearchIndex`)
//
// Invariants
// - Both may run again for the same event, and `index` for events out of order (redriven, replayed): the index keeps the sequence of
//   the last change of every path, of deleted ones too, and ignores what is older.
// - A file that is gone by the time it is read is no failure: its `deleted` event is on the way.
// - An event counts as done only after SQLite has put its transaction on the disk.
// - No Foundation; SQLite and zlib through their C interfaces.

public import CapeletSDK

private let plugin = Plugin(
    version: "1.0.0",
    .lambda("extract", Extract.self, summary: "Reads a changed file as text, gzip included"),
    .lambda("index", Index.self, summary: "Maintains a SQLite full-text index of the extracted texts"))

/// The plugin's entry point.
@c(capelet_plugin_v1) public func documentsPlugin() -> PluginTable { plugin.table }
