internal import Glibc
internal import Logging
internal import Routing
internal import WorkerProtocol

extension GenerationStore {
    /// Looks for the libraries and functions of a routing file's lambdas.
    ///
    /// A library with a path is copied, as plugins are. One with a bare name is the loader's to find, here and in the workers, and is never
    /// copied; it is another generation when its file's path or contents have changed.
    func addLibraries(of table: RouteTable, to scan: inout PluginScan, known: inout Known) {
        for (library, functions) in table.functionsByLibrary.sorted(by: { $0.key < $1.key }) {
            do {
                let (generation, missing) =
                    library.contains("/")
                    ? try copiedLibrary(library, functions, &known) : try systemLibrary(library, functions, &known)
                scan.libraries[library] = generation
                for (function, why) in missing {
                    scan.missingFunctions[LibraryFunction(library: library, function: function)] = why
                }
            } catch {
                scan.libraryFailures[library] = error.reason
                logger.error("library \(library): \(error.reason)")
            }
        }
    }

    private func systemLibrary(
        _ name: String, _ functions: Set<String>, _ known: inout Known
    ) throws(PluginDescription.Failure) -> (PluginGeneration, missing: [String: String]) {
        let description = try PluginDescription(
            executable: workerExecutable, directory: nil, library: name, functions: functions, timeoutMillis: bootMillis, sandbox: sandbox)
        let slash = description.path.lastIndex(of: "/") ?? description.path.startIndex
        let folder = String(description.path[..<slash])
        let generation = try orFailure { () throws(SystemCallError) in
            let id = String(try PluginContents.digest(of: description.path, prefix: description.path + "\0").prefix(16))
            return PluginGeneration(
                plugin: name, number: try number(of: name, id, known: &known), id: id, directory: folder.isEmpty ? "/" : folder,
                library: name, kind: .system, threads: description.threads)
        }
        return (generation, description.missing)
    }

    private func copiedLibrary(
        _ path: String, _ functions: Set<String>, _ known: inout Known
    ) throws(PluginDescription.Failure) -> (PluginGeneration, missing: [String: String]) {
        let name = String(path.split(separator: "/").last ?? "")
        let (id, directory) = try orFailure { () throws(SystemCallError) in try copy(path, as: name) }
        let description = try PluginDescription(
            executable: workerExecutable, directory: directory, library: name, functions: functions, timeoutMillis: bootMillis,
            sandbox: sandbox)
        let generation = try orFailure { () throws(SystemCallError) in
            PluginGeneration(
                plugin: name, number: try number(of: name, id, known: &known), id: id, directory: directory, library: name, kind: .copy,
                threads: description.threads)
        }
        return (generation, description.missing)
    }

    private func copy(_ path: String, as name: String) throws(SystemCallError) -> (id: String, directory: String) {
        let temporary = "\(generations)/.new-\(name)-\(getpid())"
        FileOperations.remove(temporary)
        defer { FileOperations.remove(temporary) }
        try FileOperations.makeFolder(temporary, mode: 0o700)
        let contents = PluginContents(plugin: name, file: path, copiedAs: name)
        let id = String(try contents.copy(into: temporary).prefix(16))
        let directory = "\(generations)/\(name)-\(id)"
        try place(temporary, at: directory)
        return (id, directory)
    }

    private func orFailure<Value>(_ body: () throws(SystemCallError) -> Value) throws(PluginDescription.Failure) -> Value {
        do { return try body() } catch { throw PluginDescription.Failure(error.description) }
    }
}
