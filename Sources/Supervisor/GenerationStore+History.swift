internal import Glibc
internal import Synchronization
public import WorkerProtocol

// Which generation came before which, and loading one of those that are kept.

extension GenerationStore {
    private var historyPath: String { generations + "/history" }

    /// The contents of the plugins folder that serve from now on. Remembers their order, on disk, and removes copies that are too many.
    ///
    /// - Parameter inUse: ids of further generations whose copies stay.
    public func cameToServe(_ serving: [PluginGeneration], inUse: Set<String>) throws(SystemCallError) {
        let result = known.withLock { known -> Result<Void, SystemCallError> in
            readHistory(&known)
            var hasChanged = false
            for generation in serving.sorted(by: { ($0.plugin, $0.number) < ($1.plugin, $1.number) }) {
                if known.history.cameToServe(generation.name) { hasChanged = true }
            }
            guard hasChanged else { return .success(()) }
            prune(keeping: inUse.union(serving.map(\.id)), history: known.history)
            let copies = Set(((try? FileOperations.list(generations)) ?? []).map(\.name))
            known.history.keep { copies.contains($0) }
            do throws(SystemCallError) {
                return .success(try FileOperations.replace(historyPath, with: known.history.text))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// The id of the latest generation that served before this one and is kept; nil: there is none.
    public func previous(of generation: PluginGeneration) -> String? {
        known.withLock { known in
            readHistory(&known)
            let found = known.history.before(generation.name).first { name in
                let library = "\(generations)/\(name)/\(generation.plugin).so"
                return (try? FileOperations.status(library)).flatMap { $0 } != nil
            }
            return found.map { String($0.suffix(16)) }
        }
    }

    /// A generation that is kept, by its id. Asks it what it contains, if that is not known.
    public func generation(plugin: String, id: String) throws(PluginFailure) -> PluginGeneration {
        let directory = "\(generations)/\(plugin)-\(id)"
        func failure(_ reason: String) -> PluginFailure { PluginFailure(plugin: plugin, path: directory, reason: reason) }
        let result = known.withLock { known -> Result<PluginGeneration, PluginFailure> in
            guard (try? FileOperations.status(directory + "/" + plugin + ".so")).flatMap({ $0 }) != nil else {
                return .failure(failure("its copy is gone"))
            }
            readNumbers(&known)
            do {
                return .success(try describe(plugin: plugin, id: id, source: directory, known: &known))
            } catch let error as PluginFailure {
                return .failure(error)
            } catch {
                return .failure(failure("\(error)"))
            }
        }
        return try result.get()
    }

    /// Reads the history once. Where there is none, from an earlier version, the copies that are there stand in the order of their numbers.
    func readHistory(_ known: inout Known) {
        guard !known.isHistoryRead else { return }
        known.isHistoryRead = true
        readNumbers(&known)
        if (try? FileOperations.status(historyPath)).flatMap({ $0 }) != nil {
            var bytes: [UInt8] = []
            try? FileOperations.read(historyPath) { (piece) throws(SystemCallError) in bytes.append(contentsOf: piece) }
            known.history = GenerationHistory(parsing: String(decoding: bytes, as: UTF8.self))
            return
        }
        let copies = ((try? FileOperations.list(generations)) ?? []).map(\.name)
        for name in copies.filter({ known.numbers[$0] != nil }).sorted(by: { known.numbers[$0]! < known.numbers[$1]! }) {
            _ = known.history.cameToServe(name)
        }
    }
}
