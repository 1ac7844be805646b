/// One lambda that an operator has put back to an earlier generation of its plugin.
///
/// It holds until the plugins folder has other contents than `fromID`, or until it is taken back.
public struct Rollback: Sendable, Equatable {
    /// The lambda.
    public var lambda: String
    /// Its plugin.
    public var plugin: String
    /// The generation in the plugins folder, which is not wanted: its id.
    public var fromID: String
    /// Its number.
    public var fromNumber: Int
    /// The generation that serves instead: its id.
    public var toID: String
    /// Its number.
    public var toNumber: Int

    /// Makes one.
    public init(lambda: String, from: PluginGeneration, to: PluginGeneration) {
        self.lambda = lambda
        plugin = from.plugin
        fromID = from.id
        fromNumber = from.number
        toID = to.id
        toNumber = to.number
    }

    /// `rolled back from #4 to #3`
    public var words: String { "rolled back from #\(fromNumber) to #\(toNumber)" }

    /// From a line of the file; nil: it is none.
    init?(line: Substring) {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 6, let from = Int(words[3]), let to = Int(words[5]), !words[0].isEmpty, GenerationStore.isName(words[1]),
            [words[2], words[4]].allSatisfy({ $0.utf8.count == 16 && $0.allSatisfy(\.isHexDigit) })
        else { return nil }
        (lambda, plugin, fromID, fromNumber, toID, toNumber) = (words[0], words[1], words[2], from, words[4], to)
    }

    /// For the file.
    var line: String { "\(lambda) \(plugin) \(fromID) \(fromNumber) \(toID) \(toNumber)\n" }
}
