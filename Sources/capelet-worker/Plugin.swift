import CCapelet
import CLibC

/// A loaded plugin: the library is in this process, its entry point found, its table not yet asked for. Or a library that is no plugin, whose
/// functions are lambdas as they are.
struct Plugin {
    private let entry: Entry

    private enum Entry {
        case plugin(@convention(c) () -> UnsafePointer<capelet_plugin>?)
        case library(UnsafeMutableRawPointer)
    }

    enum Loading {
        case loaded(Plugin)
        /// Why not, for the operator.
        case failed(Text)
    }

    /// Loads what the settings of a LOAD name, from the folder that came with them or, for `library.kind` `system`, where the system has it.
    static func load(_ settings: Settings) -> Loading {
        let library = settings.text("library")
        guard let kind = settings.value("library.kind") else { return load(directory: Template.directoryPath, library: library) }
        var path: Text = []
        if !kind.equals("system") {
            path = Template.directoryPath
            path.append("/")
        }
        switch openLibrary(prefix: path, library: library) {
        case .failed(let why): return .failed(why)
        case .opened(let handle): return .loaded(Plugin(entry: .library(handle)))
        }
    }

    enum Opening {
        case opened(UnsafeMutableRawPointer)
        case failed(Text)
    }

    /// Loads a library for good. Runs its load-time constructors.
    static func openLibrary(prefix: Text, library: Text) -> Opening {
        let path = prefix + library
        guard !library.isEmpty, !library.contains(0) else { return .failed(Text.of("the settings name no library")) }
        guard let handle = path.withCString({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }) else {
            return .failed(lastError(prefix: prefix, library: library))
        }
        return .opened(handle)
    }

    /// Loads `library` from the folder `directory`, for good: there is no unloading. Runs the plugin's load-time constructors.
    ///
    /// The folder is best given as a descriptor, `/proc/self/fd/N`: that works even when its path cannot be reached. The descriptor has
    /// to stay open, because the path is what `$ORIGIN` of the library stands for.
    static func load(directory: Text, library: Text) -> Loading {
        var prefix = directory
        prefix.append("/")
        let handle: UnsafeMutableRawPointer
        switch openLibrary(prefix: prefix, library: library) {
        case .failed(let why): return .failed(why)
        case .opened(let opened): handle = opened
        }
        guard let symbol = dlsym(handle, "capelet_plugin_v1") else {
            var text = library
            text.append(": no function capelet_plugin_v1 is exported; a plugin has to export this one function ")
            text.append("with C linkage and default visibility (see capelet.h)")
            return .failed(text)
        }
        return .loaded(Plugin(entry: .plugin(unsafeBitCast(symbol, to: (@convention(c) () -> UnsafePointer<capelet_plugin>?).self))))
    }

    /// dlerror's words, without our path to the folder, which would tell the reader nothing.
    private static func lastError(prefix: Text, library: Text) -> Text {
        var text: Text = []
        text.append(cString: dlerror())
        text = text.removing(prefix)
        if text.isEmpty {
            text = library
            text.append(": the loader gives no reason")
        }
        return text
    }

    /// Calls the plugin for its table, and checks it. Calls plugin code: never in a template that will be forked. For a library the table has
    /// the one lambda that `settings`, those of a worker, describe.
    func table(_ settings: Settings) -> PluginTable.Reading {
        switch entry {
        case .plugin(let entryPoint): PluginTable.read(entryPoint())
        case .library(let handle): FunctionCall.table(library: handle, settings: settings)
        }
    }

    /// How many threads this process has; 0 when /proc does not say.
    static func threadCount() -> Int {
        let status = readSmallFile("/proc/self/status")
        return status.withUnsafeBytes { bytes in
            var line = 0
            while line < bytes.count {
                var end = line
                while end < bytes.count && bytes[end] != UInt8(ascii: "\n") { end += 1 }
                let text = UnsafeRawBufferPointer(rebasing: bytes[line..<end])
                if text.hasPrefix("Threads:") {
                    var digits = UnsafeRawBufferPointer(rebasing: text[8...])
                    while let first = digits.first, first == 9 || first == 32 { digits = UnsafeRawBufferPointer(rebasing: digits[1...]) }
                    return Int(digits.number ?? 0)
                }
                line = end + 1
            }
            return 0
        }
    }
}
