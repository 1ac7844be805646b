internal import Glibc
public import Logging
public import Routing
internal import Synchronization
public import WorkerProtocol

/// Private, immutable copies of plugins: `data/generations/PLUGIN-HASH/`, where the hash is that of the contents.
///
/// Overwriting the file that a running process has mapped changes its code, truncating it kills it (ISOLATION §1). So nothing is ever
/// loaded from the plugins folder: what is found there is copied first, to a folder that has its final name only when it is complete and
/// on disk.
///
/// Any thread; one scan at a time. All calls block: not for the engine's thread.
public final class GenerationStore: Sendable {
    let plugins: String
    let generations: String
    let workerExecutable: String
    private let generationsKept: Int
    let bootMillis: Int64
    let logger: Logger
    let sandbox: LambdaSandbox
    let known = Mutex<Known>(Known())

    struct Known {
        /// The answers so far, by plugin and id: asking again would give the same.
        var described: [String: PluginGeneration] = [:]
        /// Numbers of generations, by plugin and id.
        var numbers: [String: Int] = [:]
        var areNumbersRead = false
        /// The order in which contents came to serve.
        var history = GenerationHistory()
        var isHistoryRead = false
    }

    /// - Parameters:
    ///   - plugins: the folder that is scanned. Absolute.
    ///   - data: the data directory; copies go to `generations` in it. Absolute.
    ///   - boot: how long a plugin may take to load.
    ///   - sandbox: what plugins are asked in what they contain: `SandboxPlanner.planDescription`.
    public init(
        plugins: String, data: String, workerExecutable: String, generationsKept: Int, boot: Duration, logger: Logger,
        sandbox: LambdaSandbox = LambdaSandbox()
    ) {
        self.sandbox = sandbox
        self.plugins = plugins
        generations = data + "/generations"
        self.workerExecutable = workerExecutable
        self.generationsKept = max(1, generationsKept)
        bootMillis = boot.wholeMillis
        self.logger = logger
    }

    /// Looks for plugins, copies those that are new, asks them what they contain, and removes old copies.
    ///
    /// - Parameters:
    ///   - inUse: ids of generations that serve: their copies stay.
    ///   - table: its lambdas that are functions of libraries are looked for too.
    /// - Throws: when the plugins folder cannot be read or the data directory not be written. What is wrong with a single plugin is in the
    ///   result.
    public func scan(inUse: Set<String> = [], table: RouteTable? = nil) throws(SystemCallError) -> PluginScan {
        let result = known.withLock { known -> Result<PluginScan, SystemCallError> in
            do {
                return .success(try scan(inUse: inUse, table: table, known: &known))
            } catch let error as SystemCallError {
                return .failure(error)
            } catch {
                return .failure(SystemCallError("scan \(plugins): \(error)", code: EIO))
            }
        }
        return try result.get()
    }

    private func scan(inUse: Set<String>, table: RouteTable?, known: inout Known) throws -> PluginScan {
        try FileOperations.makeFolders(generations, mode: 0o755)
        removeLeftovers()
        readHistory(&known)
        var scan = PluginScan()
        // Without a folder for plugins those are served that need none.
        let needsPlugins = table?.needsPlugins ?? true
        let found = try !needsPlugins && FileOperations.status(plugins) == nil ? [] : find(&scan)
        for (plugin, contents) in found {
            do {
                scan.generations[plugin] = try generation(of: contents, known: &known)
            } catch let failure as PluginFailure {
                scan.failures.append(failure)
            }
        }
        for failure in scan.failures { logger.error("\(failure)") }
        if let table { addLibraries(of: table, to: &scan, known: &known) }
        var keep = inUse
        for generation in [scan.generations.values, scan.libraries.values].joined() { keep.insert(generation.id) }
        prune(keeping: keep, history: known.history)
        return scan
    }

    // MARK: finding

    private func find(_ scan: inout PluginScan) throws(SystemCallError) -> [(String, PluginContents)] {
        var found: [(String, PluginContents)] = []
        for entry in try FileOperations.list(plugins) where !entry.name.hasPrefix(".") {
            let path = plugins + "/" + entry.name
            guard let status = try? FileOperations.status(path) else {
                if entry.name.hasSuffix(".so") {
                    scan.failures.append(
                        PluginFailure(plugin: String(entry.name.dropLast(3)), path: path, reason: "the link leads nowhere"))
                }
                continue
            }
            let plugin: String
            let contents: PluginContents
            switch FileOperations.kind(status) {
            case .file where entry.name.hasSuffix(".so"):
                plugin = String(entry.name.dropLast(3))
                contents = PluginContents(plugin: plugin, file: path)
            case .folder:
                plugin = entry.name
                guard let library = try? FileOperations.status(path + "/" + plugin + ".so"), FileOperations.kind(library) == .file else {
                    continue
                }
                do {
                    contents = try PluginContents(plugin: plugin, folder: path)
                } catch {
                    scan.failures.append(error)
                    continue
                }
            default: continue
            }
            guard Self.isName(plugin) else {
                scan.failures.append(
                    PluginFailure(plugin: plugin, path: path, reason: "the name of a plugin has letters, digits, - and _, at most 64"))
                continue
            }
            if found.contains(where: { $0.0 == plugin }) {
                scan.failures.append(
                    PluginFailure(plugin: plugin, path: path, reason: "there is both \(plugin).so and a folder \(plugin); remove one"))
                found.removeAll { $0.0 == plugin }
                continue
            }
            found.append((plugin, contents))
        }
        return found
    }

    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    // MARK: copying

    private func generation(of contents: PluginContents, known: inout Known) throws -> PluginGeneration {
        func failure(_ reason: String) -> PluginFailure { PluginFailure(plugin: contents.plugin, path: contents.source, reason: reason) }
        let temporary = "\(generations)/.new-\(contents.plugin)-\(getpid())"
        FileOperations.remove(temporary)
        defer { FileOperations.remove(temporary) }
        let id: String
        do {
            try FileOperations.makeFolder(temporary, mode: 0o700)
            id = String(try contents.copy(into: temporary).prefix(16))
        } catch {
            throw failure("it cannot be copied: \(error)")
        }
        let name = "\(contents.plugin)-\(id)"
        if let generation = known.described[name], try FileOperations.status(generation.directory + "/" + generation.library) != nil {
            utimes(generation.directory, nil)
            return generation
        }
        let directory = generations + "/" + name
        do {
            try place(temporary, at: directory)
        } catch {
            throw failure("it cannot be copied: \(error)")
        }
        return try describe(plugin: contents.plugin, id: id, source: contents.source, known: &known)
    }

    /// Asks a copy that is in its place what it contains, unless that is known.
    ///
    /// - Parameter source: where failures say that it is.
    func describe(plugin: String, id: String, source: String, known: inout Known) throws -> PluginGeneration {
        let name = "\(plugin)-\(id)"
        if let generation = known.described[name] { return generation }
        let directory = generations + "/" + name
        let library = plugin + ".so"
        let description: PluginDescription
        do {
            description = try PluginDescription(
                executable: workerExecutable, directory: directory, library: library, timeoutMillis: bootMillis, sandbox: sandbox)
        } catch {
            throw PluginFailure(plugin: plugin, path: source, reason: error.reason)
        }
        let generation = PluginGeneration(
            plugin: plugin, number: try number(of: plugin, id, known: &known), id: id, directory: directory, library: library,
            version: description.version, lambdas: description.lambdas, threads: description.threads)
        known.described[name] = generation
        logger.info("plugin \(generation.label): \(generation.lambdas.map(\.name).joined(separator: ", "))")
        return generation
    }

    /// Gives a complete copy its name. A copy of that name that is already there stays: processes may have it mapped.
    func place(_ temporary: String, at directory: String) throws(SystemCallError) {
        // Its mode last: what is in a folder without write permission cannot be renamed with it by an ordinary user.
        if try FileOperations.status(directory) == nil {
            if rename(temporary, directory) != 0, errno != EEXIST, errno != ENOTEMPTY {
                throw SystemCallError("rename \(temporary) to \(directory)", code: errno)
            }
            chmod(directory, 0o555)
            try FileOperations.sync(generations)
        }
        utimes(directory, nil)
    }

    // MARK: numbers

    private var numbersPath: String { generations + "/numbers" }

    func readNumbers(_ known: inout Known) {
        guard !known.areNumbersRead else { return }
        known.areNumbersRead = true
        var bytes: [UInt8] = []
        try? FileOperations.read(numbersPath) { (piece) throws(SystemCallError) in bytes.append(contentsOf: piece) }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, let number = Int(parts[1]) { known.numbers[String(parts[0])] = number }
        }
    }

    /// The number of a generation: the one that it has, or the next of its plugin. Kept on disk, so that a restart does not count anew.
    func number(of plugin: String, _ id: String, known: inout Known) throws(SystemCallError) -> Int {
        let name = "\(plugin)-\(id)"
        if let number = known.numbers[name] { return number }
        let highest = known.numbers.filter { $0.key.dropLast(17) == plugin }.values.max() ?? 0
        known.numbers[name] = highest + 1
        let text = known.numbers.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
        try FileOperations.replace(numbersPath, with: text)
        return highest + 1
    }

    // MARK: removing

    /// What a crash has left.
    private func removeLeftovers() {
        for entry in (try? FileOperations.list(generations)) ?? [] where entry.name.hasPrefix(".new-") {
            FileOperations.remove(generations + "/" + entry.name)
        }
    }

    /// Removes the copies of each plugin but the `generationsKept` that served last, and those in use. What never served goes first.
    func prune(keeping: Set<String>, history: GenerationHistory) {
        var copies: [Substring: [(rank: Int, usedAt: Int, name: String)]] = [:]
        for entry in (try? FileOperations.list(generations)) ?? [] where entry.kind == .folder && entry.name.utf8.count > 17 {
            let usedAt = (try? FileOperations.status(generations + "/" + entry.name))?.st_mtim.tv_sec ?? 0
            let copy = (rank: history.rank(entry.name), usedAt: usedAt, name: entry.name)
            copies[GenerationHistory.plugin(of: entry.name), default: []].append(copy)
        }
        for list in copies.values {
            for (index, copy) in list.sorted(by: { $0 > $1 }).enumerated() {
                if index < generationsKept || keeping.contains(String(copy.name.suffix(16))) { continue }
                FileOperations.remove(generations + "/" + copy.name)
            }
        }
    }
}
