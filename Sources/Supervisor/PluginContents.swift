internal import CLinux
internal import Glibc
internal import WorkerProtocol

/// The files of one plugin, as they lie in the plugins folder at one moment.
struct PluginContents {
    struct File {
        /// Within the plugin.
        var path: String
        /// Where it is read from: links are already followed.
        var source: String
        var isExecutable: Bool
    }

    /// Name of the plugin.
    var plugin: String
    /// The file or folder in the plugins folder.
    var source: String
    /// By path.
    var files: [File]

    static let filesMax = 10_000
    static let bytesMax: Int64 = 2 << 30

    /// A plugin that is one file, or a library under its own name.
    init(plugin: String, file: String, copiedAs name: String? = nil) {
        self.plugin = plugin
        source = file
        files = [File(path: name ?? plugin + ".so", source: file, isExecutable: true)]
    }

    /// A plugin that is a folder: NAME/NAME.so and whatever else is in it. Links that lead out of the folder are an error: the copy would
    /// not be complete, or hold what nobody meant to give to the plugin.
    init(plugin: String, folder: String) throws(PluginFailure) {
        self.plugin = plugin
        source = folder
        files = []
        guard let root = FileOperations.real(folder) else {
            throw PluginFailure(plugin: plugin, path: folder, reason: "the folder cannot be found")
        }
        do {
            var bytes: Int64 = 0
            try add(root, path: "", root: root, depth: 0, bytes: &bytes)
        } catch let error as SystemCallError {
            throw PluginFailure(plugin: plugin, path: folder, reason: error.description)
        } catch let error as PluginFailure {
            throw error
        } catch {
            throw PluginFailure(plugin: plugin, path: folder, reason: "\(error)")
        }
        files.sort { $0.path < $1.path }
        guard files.contains(where: { $0.path == plugin + ".so" }) else {
            throw PluginFailure(plugin: plugin, path: folder, reason: "there is no \(plugin).so in it")
        }
    }

    private mutating func add(_ folder: String, path: String, root: String, depth: Int, bytes: inout Int64) throws {
        func failure(_ reason: String) -> PluginFailure { PluginFailure(plugin: plugin, path: source, reason: reason) }
        guard depth < 16 else { throw failure("its folders are nested more than 16 deep at \(path)") }
        for entry in try FileOperations.list(folder) {
            let inner = path.isEmpty ? entry.name : path + "/" + entry.name
            var from = folder + "/" + entry.name
            var kind = entry.kind
            if kind == .link {
                guard let target = FileOperations.real(from) else { throw failure("the link \(inner) leads nowhere") }
                guard target.hasPrefix(root + "/") else { throw failure("the link \(inner) leads out of the folder, to \(target)") }
                guard let found = try FileOperations.status(target) else { throw failure("the link \(inner) leads nowhere") }
                from = target
                kind = FileOperations.kind(found)
            }
            switch kind {
            case .folder: try add(from, path: inner, root: root, depth: depth + 1, bytes: &bytes)
            case .file:
                guard let found = try FileOperations.status(from) else { throw failure("\(inner) vanished") }
                bytes += Int64(found.st_size)
                files.append(File(path: inner, source: from, isExecutable: found.st_mode & 0o111 != 0 || inner.hasSuffix(".so")))
                guard files.count <= Self.filesMax else { throw failure("it has more than \(Self.filesMax) files") }
                guard bytes <= Self.bytesMax else { throw failure("it has more than \(Self.bytesMax >> 20) MiB") }
            case .link, .other: throw failure("\(inner) is neither a file nor a folder")
            }
        }
    }

    /// Copies everything into `folder`, which exists and is empty, puts it on disk, and returns the name of what was copied: the SHA-256 of
    /// a plugin that is one file, else that of the lines `SHA-256  PATH` of all files, as `sha256sum` prints them.
    func copy(into folder: String) throws(SystemCallError) -> String {
        var lines = ""
        var folders: Set<String> = []
        for file in files {
            if let slash = file.path.lastIndex(of: "/") {
                let parent = folder + "/" + file.path[..<slash]
                try FileOperations.makeFolders(parent, mode: 0o755)
                folders.insert(parent)
            }
            let digest = try Self.copy(file, to: folder + "/" + file.path)
            lines += "\(digest)  \(file.path)\n"
            if files.count == 1, !file.path.contains("/") {
                try FileOperations.sync(folder)
                return digest
            }
        }
        for parent in folders { try FileOperations.sync(parent) }
        try FileOperations.sync(folder)
        var hash = capelet_linux_sha256()
        capelet_linux_sha256_start(&hash)
        lines.withUTF8 { capelet_linux_sha256_add(&hash, $0.baseAddress, $0.count) }
        return Self.end(&hash)
    }

    /// Reads the source once: what is hashed is what is written.
    private static func copy(_ file: File, to path: String) throws(SystemCallError) -> String {
        let target = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw SystemCallError("write \(path)", code: errno) }
        defer { close(target) }
        var hash = capelet_linux_sha256()
        capelet_linux_sha256_start(&hash)
        try FileOperations.read(file.source) { (bytes) throws(SystemCallError) in
            capelet_linux_sha256_add(&hash, bytes.baseAddress, bytes.count)
            try FileOperations.write(target, bytes, path: path)
        }
        if fchmod(target, file.isExecutable ? 0o555 : 0o444) != 0 { throw SystemCallError("chmod \(path)", code: errno) }
        if fsync(target) != 0 { throw SystemCallError("fsync \(path)", code: errno) }
        return end(&hash)
    }

    /// The SHA-256 of `prefix` and the contents of a file.
    static func digest(of path: String, prefix: String) throws(SystemCallError) -> String {
        var hash = capelet_linux_sha256()
        capelet_linux_sha256_start(&hash)
        var prefix = prefix
        prefix.withUTF8 { capelet_linux_sha256_add(&hash, $0.baseAddress, $0.count) }
        try FileOperations.read(path) { (bytes) throws(SystemCallError) in
            capelet_linux_sha256_add(&hash, bytes.baseAddress, bytes.count)
        }
        return end(&hash)
    }

    private static func end(_ hash: inout capelet_linux_sha256) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        capelet_linux_sha256_end(&hash, &digest)
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
