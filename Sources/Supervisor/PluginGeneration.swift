/// One immutable copy of a plugin's bytes, and what it says it contains. Or a library whose functions are lambdas.
public struct PluginGeneration: Sendable, Equatable {
    /// How it is loaded.
    public enum Kind: String, Sendable {
        /// A plugin, from its copy.
        case plugin
        /// A library that is no plugin, from its copy.
        case copy
        /// A library of the system, which the loader finds by its name. Never copied: a second libc must not be loaded.
        case system
    }

    /// The plugin's name: the file's without `.so`, or the folder's. For a library its file name.
    public let plugin: String
    /// Counts the different contents that this plugin has had in this data directory, from 1.
    public let number: Int
    /// The first 16 hexadecimal digits of the SHA-256 of its contents; of a system library also of its path.
    public let id: String
    /// Absolute path of the copy's folder; of a system library: of the folder where the loader has found it.
    public let directory: String
    /// File name of the shared object within `directory`; of a system library: the name that the loader gets.
    public let library: String
    /// How it is loaded.
    public let kind: Kind
    /// The plugin's own version; empty if it has none.
    public let version: String
    /// What it exports.
    public let lambdas: [PluginLambda]
    /// Threads after loading. More than 1: its workers cannot be forked from a template.
    public let threads: Int

    /// Makes one. For tests; otherwise see `GenerationStore`.
    public init(
        plugin: String, number: Int, id: String, directory: String, library: String, kind: Kind = .plugin, version: String = "",
        lambdas: [PluginLambda] = [], threads: Int = 1
    ) {
        self.plugin = plugin
        self.number = number
        self.id = id
        self.directory = directory
        self.library = library
        self.kind = kind
        self.version = version
        self.lambdas = lambdas
        self.threads = threads
    }

    /// The name of its copy's folder.
    var name: String { "\(plugin)-\(id)" }

    /// For messages: `documents generation 3 (0123abcd)`.
    public var label: String { "\(plugin) generation \(number) (\(id.prefix(8)))" }
}

/// One lambda that a plugin exports.
public struct PluginLambda: Sendable, Equatable {
    /// Its name within the plugin.
    public let name: String
    /// One line about it; may be empty.
    public let summary: String
    /// Which of `start`, `handle`, `batch`, `cancel` it has.
    public let handlers: [String]

    /// Makes one.
    public init(name: String, summary: String = "", handlers: [String] = []) {
        self.name = name
        self.summary = summary
        self.handlers = handlers
    }
}
