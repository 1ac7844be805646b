/// What a scan of the plugins folder found.
public struct PluginScan: Sendable {
    /// Plugins that can be loaded, by name.
    public var generations: [String: PluginGeneration] = [:]
    /// Files that cannot, and why.
    public var failures: [PluginFailure] = []

    /// Libraries whose functions are lambdas, by their name in the routing file.
    public var libraries: [String: PluginGeneration] = [:]
    /// Those that cannot be loaded, and why.
    public var libraryFailures: [String: String] = [:]
    /// Functions that libraries do not have, and why.
    public var missingFunctions: [LibraryFunction: String] = [:]

    /// Nothing found.
    public init() {}

    /// The plugins that export a lambda of this name.
    public func plugins(exporting lambda: String) -> [PluginGeneration] {
        generations.values.filter { $0.lambdas.contains { $0.name == lambda } }.sorted { $0.plugin < $1.plugin }
    }
}

/// A plugin that cannot be loaded.
public struct PluginFailure: Sendable, Equatable, Error, CustomStringConvertible {
    /// Its name.
    public let plugin: String
    /// The file or folder.
    public let path: String
    /// Why.
    public let reason: String

    /// Makes one.
    public init(plugin: String, path: String, reason: String) {
        self.plugin = plugin
        self.path = path
        self.reason = reason
    }

    /// For the operator.
    public var description: String { "plugin \(plugin) (\(path)): \(reason)" }
}
